package deliver

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

var begin = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func one() key { return key{"default", "t1"} }

// TestShareOfATarget: a target gets its share of calls and no more; the next one waits a moment for room.
func TestShareOfATarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, got := newGate(), 0
		var starts []time.Time
		for range ledger.Share {
			if start, _, ok := g.enter(t.Context(), one(), false); ok {
				starts = append(starts, start)
				got++
			}
		}
		began := time.Now()
		if _, _, ok := g.enter(t.Context(), one(), false); ok || got != ledger.Share || time.Since(began) != while {
			t.Errorf("%d at once, and one more: %t after %v", got, ok, time.Since(began))
		}
		for _, other := range []key{{"other", "t1"}, {"default", "t2"}} {
			if start, _, ok := g.enter(t.Context(), other, false); !ok {
				t.Errorf("%v is kept out", other)
			} else {
				g.leave(other, start)
			}
		}
		time.AfterFunc(while/2, func() { g.leave(one(), starts[0]) })
		start, _, ok := g.enter(t.Context(), one(), false)
		if !ok {
			t.Fatal("one left, and none came in")
		}
		for _, s := range append(starts[1:], start) {
			g.leave(one(), s)
		}
		if len(g.underway) != 0 {
			t.Error("traffic is kept where there is none")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, ok := g.enter(ctx, one(), false); len(g.underway) != 0 && !ok {
			t.Error("traffic is kept for one who gave up")
		}
	})
}

// TestFastTargetsAreWaitedFor: of three times the share at once, all get in where calls take 60 ms, and only the share where they take 900 ms.
func TestFastTargetsAreWaitedFor(t *testing.T) {
	for took, want := range map[time.Duration]int64{60 * time.Millisecond: 3 * ledger.Share, 900 * time.Millisecond: ledger.Share} {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			var all sync.WaitGroup
			var entered atomic.Int64
			for range 3 * ledger.Share {
				all.Go(func() {
					start, _, ok := g.enter(t.Context(), one(), false)
					if !ok {
						return
					}
					entered.Add(1)
					time.Sleep(took)
					g.leave(one(), start)
				})
			}
			all.Wait()
			if entered.Load() != want {
				t.Errorf("calls of %v: %d entered, want %d", took, entered.Load(), want)
			}
		})
	}
}

func TestStuckTargetsAreKeptOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var starts []time.Time
		enter := func() bool {
			start, _, ok := g.enter(t.Context(), one(), false)
			if ok {
				starts = append(starts, start)
			}
			return ok
		}
		for range maxStuck {
			if !enter() {
				t.Fatal("kept out early")
			}
		}
		time.Sleep(stuckAfter)
		if !enter() {
			t.Error("kept out after exactly a second")
		}
		time.Sleep(time.Nanosecond)
		if enter() {
			t.Error("let in beside eight that are stuck")
		}
		if _, _, ok := g.enter(t.Context(), one(), true); !ok {
			t.Error("a release is kept out of a stuck target")
		}
		g.leave(one(), starts[0])
		g.leave(one(), starts[1])
		if !enter() {
			t.Error("kept out beside seven that are stuck")
		}
	})
}

func TestNothingIsKeptOfWhatIsOver(t *testing.T) {
	g := newGate()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			k := key{"default", action.TargetID(fmt.Sprint(i % 5))}
			for range 100 {
				if start, _, ok := g.enter(t.Context(), k, false); ok {
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
