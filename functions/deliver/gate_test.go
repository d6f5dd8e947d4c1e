package deliver

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

var begin = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func one() key { return key{"default", "t1"} }

func TestShareOfATarget(t *testing.T) {
	tests := []struct {
		name   string
		limits action.Limits
		want   int
	}{
		{"without limits", action.Limits{}, ledger.Share},
		{"with a concurrency of its own", action.Limits{Concurrency: 3}, 3},
		{"with a concurrency above the share", action.Limits{Concurrency: 1000}, ledger.Share},
	}
	for _, tt := range tests {
		g, got := newGate(), 0
		for i := range 1000 {
			if g.enter(one(), tt.limits, begin.Add(time.Duration(i)*time.Microsecond)) {
				got++
			}
		}
		if got != tt.want {
			t.Errorf("%s: %d at once, want %d", tt.name, got, tt.want)
		}
		if !g.enter(key{"other", "t1"}, tt.limits, begin) || !g.enter(key{"default", "t2"}, tt.limits, begin) {
			t.Errorf("%s: others are kept out", tt.name)
		}
		g.leave(one(), begin)
		if !g.enter(one(), tt.limits, begin.Add(time.Millisecond)) || g.enter(one(), tt.limits, begin.Add(time.Millisecond)) {
			t.Errorf("%s: one left, and not one came in", tt.name)
		}
	}
}

func TestStuckTargetsAreKeptOut(t *testing.T) {
	g := newGate()
	for range maxStuck {
		if !g.enter(one(), action.Limits{}, begin) {
			t.Fatal("kept out early")
		}
	}
	if !g.enter(one(), action.Limits{}, begin.Add(stuckAfter)) {
		t.Error("kept out after exactly a second")
	}
	if g.enter(one(), action.Limits{}, begin.Add(stuckAfter+1)) {
		t.Error("let in beside eight that are stuck")
	}
	g.leave(one(), begin)
	if !g.enter(one(), action.Limits{}, begin.Add(stuckAfter+1)) {
		t.Error("kept out beside seven that are stuck")
	}
}

func TestNothingIsKeptOfWhatIsOver(t *testing.T) {
	g := newGate()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			k := key{"default", action.TargetID(fmt.Sprint(i % 5))}
			for range 100 {
				if start := time.Now(); g.enter(k, action.Limits{}, start) {
					g.leave(k, start)
				}
				g.note(k, true)
			}
		})
	}
	all.Wait()
	if len(g.underway) != 0 || g.watched.Len() != 0 {
		t.Errorf("kept: %d under way, %d watched", len(g.underway), g.watched.Len())
	}
	for i := range 3 * maxWatched {
		g.note(key{"default", action.TargetID(fmt.Sprint(i))}, false)
	}
	if g.watched.Len() != maxWatched {
		t.Errorf("%d targets watched", g.watched.Len())
	}
}

// TestBreaker writes attempts as + and -; the breaker opens with the last one, and not before.
func TestBreaker(t *testing.T) {
	tests := []struct {
		name, attempts string
		opens          bool
	}{
		{"four failures", "----", false},
		{"five in a row", "-----", true},
		{"five in a row after success", "++++-----", true},
		{"five, not in a row", "--+-+--", false},
		{"half of twenty", strings.Repeat("-+", 10), false}, // the tenth failure is the nineteenth attempt: it opens with the twentieth, if that fails
		{"half of twenty, counted from the first failure", "-" + strings.Repeat("+-", 9) + "-", true},
		{"a third of twenty", strings.Repeat("-++", 20), false},
		{"half of twenty after long good times", strings.Repeat("+", 100) + "-" + strings.Repeat("--+", 5) + "+++" + "-", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate()
			for i, c := range tt.attempts {
				opens := g.note(one(), c == '+')
				if last := i == len(tt.attempts)-1; opens != (last && tt.opens) {
					t.Fatalf("attempt %d: opens %t", i+1, opens)
				}
			}
		})
	}
}

func TestStampsAreRare(t *testing.T) {
	g := newGate()
	if !g.mayStamp(one(), true, begin) || g.mayStamp(one(), true, begin.Add(stampEvery-1)) || !g.mayStamp(one(), false, begin) || !g.mayStamp(one(), true, begin.Add(stampEvery)) {
		t.Error("not once a second for good and bad")
	}
}
