package main

import (
	"os"
	"runtime"
	"testing"
	"time"
)

func TestProcessTime(t *testing.T) {
	for stat, want := range map[string]time.Duration{
		"7 (emulator) S 1 7 7 0 -1 4194560 100 0 0 0 120 30 0 0 20 0 9 0 100": 1500 * time.Millisecond,
		"7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 1 0 0 0 20 0 9 0 100":       10 * time.Millisecond,
		"7 (parent) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 30 40 20 0 9 0 100":    730 * time.Millisecond,
	} {
		if got, err := processTime(stat); err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", stat, got, err, want)
		}
	}
	for _, stat := range []string{"", "7 (emulator) S 1", "7 (emulator) S 1 7 7 0 -1 4194560 100 0 0 0 many 30 0 0"} {
		if _, err := processTime(stat); err == nil {
			t.Errorf("%q passes", stat)
		}
	}
}

func TestMachineTime(t *testing.T) {
	all, busy, stolen, err := machineTime("cpu  100 10 50 800 20 3 7 10 5 0\ncpu0 1 2 3\n")
	if err != nil || all != 10*time.Second || busy != 1700*time.Millisecond || stolen != 100*time.Millisecond {
		t.Errorf("all %v, busy %v, stolen %v: %v", all, busy, stolen, err)
	}
	for _, stat := range []string{"", "cpu0 1 2 3 4 5 6 7 8 9 10", "cpu  1 2 3 4", "cpu  1 2 3 4 5 6 7 much"} {
		if _, _, _, err := machineTime(stat); err == nil {
			t.Errorf("%q passes", stat)
		}
	}
}

func TestUsed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	before, err := used(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); time.Since(start) < 200*time.Millisecond; {
	}
	after, err := used(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if u := after.since(before); u.ours <= 0 || u.all < u.ours || u.processors(u.all) != float64(runtime.NumCPU()) {
		t.Errorf("used %+v", u)
	}
	if _, err := used(-1); err == nil {
		t.Error("a process that is not there has used something")
	}
}
