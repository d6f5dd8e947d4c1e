package faults_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// TestChains: whatever the commit that frees a follower seemed to come to, the follower does not wait for the sweeper's hour.
func TestChains(t *testing.T) {
	t.Parallel()
	for n, code := range failures {
		for _, applied := range []bool{false, true} {
			if n > 0 && !*report {
				continue
			}
			name := fmt.Sprintf("a chain, its commit fails, applied %t, %v", applied, code)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(t *testing.T, seed uint64) {
					w := newWorld(t, seed, quick)
					w.site("gate", well, "interrupts")
					w.site("after", well)
					w.route("order.created", "gate", "after")
					w.inject.arm(rule{kind: saveChain, applied: applied, code: code, first: 12, chance: 0.2})
					sent := w.stream("order.created", scale(), 200*time.Millisecond)
					time.Sleep(5 * time.Minute)
					w.inject.disarm()
					result := w.judge(groupChains, "the commit that frees a follower fails", name, expectation{unbounded: true})
					w.inTime(t, "after", sent, 2*time.Minute)
					record(t, result)
				})
			})
		}
	}
}

// TestChainIsGivenUp: what follows a dead delivery is skipped, and comes back with it.
func TestChainIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]rule{
		"a chain is given up and redelivered":                                          nil,
		"a chain is given up and redelivered, commits are lost":                        {{kind: "commit", code: codes.Unavailable, chance: 0.3}},
		"a chain is given up and redelivered, commits are applied and reported failed": {{kind: "commit", code: codes.DeadlineExceeded, chance: 0.3, applied: true}},
	} {
		if rules == nil && !*report {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, seed uint64) {
				w := newWorld(t, seed, quick)
				w.site("first", well, "interrupts")
				w.site("gate", answers(500), "interrupts")
				w.site("after", well, "interrupts")
				w.site("end", well)
				w.route("order.created", "first", "gate", "after", "end")
				w.settings("gate", map[string]any{"schedule": []string{"1s", "2s"}})
				w.inject.arm(rules...)
				w.stream("order.created", scale()/5, time.Second)
				time.Sleep(30 * time.Minute)
				s, _ := w.settle(0)
				if got := s.byState; got[finalDead] != len(w.sent) || got[finalSkipped] != 2*len(w.sent) {
					t.Errorf("given up: %v", got)
				}
				w.sites["gate"].become(well)
				w.redeliverAll("gate")
				time.Sleep(10 * time.Minute)
				w.inject.disarm()
				w.redeliverAll("gate") // what could not be moved meanwhile
				record(t, w.judge(groupChains, "a chain is given up, and put back", name, expectation{unbounded: len(rules) > 0}))
			})
		})
	}
}
