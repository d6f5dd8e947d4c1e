package faults_test

import (
	"flag"
	"sync"
	"testing"
)

var (
	report = flag.Bool("report", false, "run all scenarios and write REPORT.md")
	seed   = flag.Uint64("seed", 1, "decides what is broken")
)

// chosen says whether the n-th of many rows runs: all of them for the report, some in CI.
func chosen(n int) bool { return *report || n%8 == 0 }

// scale is how many events a row of a table publishes.
func scale() int {
	if *report {
		return 200
	}
	return 50
}

var results struct {
	sync.Mutex
	lines []result
}

func record(t *testing.T, r result) {
	t.Helper()
	results.Lock()
	defer results.Unlock()
	results.lines = append(results.lines, r)
	t.Logf("%s: %d events, %d accepted %v, %d calls, %d repeated, quiet after %v, faults %s", r.scenario, r.events, r.accepted, r.byState, r.calls, r.repeated, r.quiet, r.faults)
}
