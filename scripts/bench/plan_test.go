package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPlanIsChecked(t *testing.T) {
	if err := small(parts...).check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*plan){
		"rounds":         func(p *plan) { p.rounds = 0 },
		"batch":          func(p *plan) { p.batch = 1001 },
		"payload":        func(p *plan) { p.payload = 1 << 20 },
		"targets":        func(p *plan) { p.targets = 0 },
		"neighbour":      func(p *plan) { p.neighbourTime = time.Hour },
		"flood":          func(p *plan) { p.flood = neighbourRate + 1 },
		"backlog":        func(p *plan) { p.backlog = 0 },
		"ledger":         func(p *plan) { p.ledger = 0 },
		"ledger, a lot":  func(p *plan) { p.ledger = 1 << 30 },
		"one rate":       func(p *plan) { p.costRates = []int{100, 100} },
		"no rate":        func(p *plan) { p.costRates = []int{0, 100} },
		"no latencyTime": func(p *plan) { p.latencyTime = 0 },
	} {
		p := small()
		change(&p)
		if p.check() == nil {
			t.Errorf("%s out of range was taken", name)
		}
	}
}

func TestParts(t *testing.T) {
	for list, want := range map[string][]string{
		"latency":        {partLatency},
		"ledger,latency": {partLedger, partLatency},
		"":               nil,
		"latency,":       nil,
		"Latency":        nil,
	} {
		got, err := parseParts(list)
		if (err != nil) != (want == nil) {
			t.Errorf("%q: %v", list, err)
		}
		if diff := cmp.Diff(want, got); err == nil && diff != "" {
			t.Errorf("%q (-want +got):\n%s", list, diff)
		}
	}
}
