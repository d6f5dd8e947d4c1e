package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for n := 100; n >= 1; n-- {
		hundred = append(hundred, time.Duration(n)*time.Millisecond)
	}
	tests := []struct {
		name      string
		durations []time.Duration
		p         int
		want      float64
	}{
		{"median of a hundred", hundred, 50, 50},
		{"99th of a hundred", hundred, 99, 99},
		{"99th of one", hundred[:1], 99, 100},
		{"of none", nil, 50, 0},
	}
	for _, tt := range tests {
		if got := percentile(tt.durations, tt.p); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestReport(t *testing.T) {
	var r report
	for _, v := range []float64{3, 1, 2} {
		r.add("a time", "ms", v)
		r.add("a rate", "/s", 1000*v)
		r.addAgainst("kept", "x", v, bar{limit: 2})
		r.addAgainst("near", "x", v, bar{limit: 1, off: true})
		r.addAgainst("far", "x", v, bar{limit: 0.99, off: true})
		r.addAgainst("missed", "x", v, bar{limit: 1.5, most: true})
	}
	p50, p99 := r.addLatency("latency", []time.Duration{time.Millisecond, 3 * time.Millisecond})
	if p50 != 1 || p99 != 3 {
		t.Errorf("p50 %v, p99 %v", p50, p99)
	}
	var out bytes.Buffer
	r.print(&out)
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"",
		"median [lowest .. highest]",
		"a time 2.00 ms [1.00 .. 3.00]",
		"a rate 2000 /s [1000 .. 3000]",
		"kept 2.00 x [1.00 .. 3.00] at least 2: kept",
		"near 2.00 x [1.00 .. 3.00] from 1 at most 1: kept",
		"far 2.00 x [1.00 .. 3.00] from 1 at most 0.99: MISSED",
		"missed 2.00 x [1.00 .. 3.00] at most 1.5: MISSED",
		"latency, p50 1.00 ms [1.00 .. 1.00]",
		"latency, p99 3.00 ms [3.00 .. 3.00]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestSeries(t *testing.T) {
	for name, tt := range map[string]struct {
		values series
		median float64
		text   string
	}{
		"none": {nil, 0, "-"},
		"one":  {series{5}, 5, "5.00 x   [5.00 .. 5.00]"},
		"four": {series{4, 1, 3, 2}, 3, "3.00 x   [1.00 .. 4.00]"},
	} {
		if got := strings.TrimSpace(tt.values.format("x")); tt.values.median() != tt.median || got != tt.text {
			t.Errorf("%s: %v, %q", name, tt.values.median(), got)
		}
	}
}

// TestTenths: a stall in one part is not what most are like, and a neighbour that is felt all the time is.
func TestTenths(t *testing.T) {
	steady := func(every, extra int) (all []time.Duration) {
		for n := range 1000 {
			d := 5 * time.Millisecond
			if n%every == 0 {
				d += time.Duration(extra) * time.Millisecond
			}
			all = append(all, d)
		}
		return all
	}
	stalled := steady(1, 0)
	for n := 100; n < 180; n++ {
		stalled[n] = time.Second
	}
	for name, tt := range map[string]struct {
		durations []time.Duration
		want      float64
	}{
		"even": {steady(1, 0), 5}, "a stall of the machine": {stalled, 5}, "one in twenty, all the time": {steady(20, 200), 205},
		"nothing": {nil, 0}, "few": {[]time.Duration{time.Second}, 1000},
	} {
		if got := tenths(tt.durations); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
