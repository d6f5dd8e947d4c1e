package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

func failing() action.Valve {
	return ledger.Opened(action.Valve{Instance: "default", Target: "t1"}, action.HoldFailing, now)
}

func slow(limits action.Limits) action.Valve {
	return ledger.Draining(action.Valve{Instance: "default", Target: "t1"}, action.HoldSlow, limits, now)
}

func TestTurned(t *testing.T) {
	const s = time.Second
	type result struct {
		State           action.ValveState
		Rate            int
		Next            time.Duration // from the look; -1: never
		Release, Window int
		Close           bool
	}
	held := ledger.Look{Due: true}
	at := func(v action.Valve, change func(*action.Valve)) action.Valve {
		change(&v)
		return v
	}
	rate := func(n int) action.Valve { return at(slow(action.Limits{}), func(v *action.Valve) { v.Rate = n }) }
	good := func(v action.Valve) action.Valve { v.LastGood = now.Add(s); return v }
	bad := func(v action.Valve) action.Valve { v.LastBad = now.Add(s); return v }
	tests := []struct {
		name  string
		valve action.Valve
		look  ledger.Look
		after time.Duration
		want  result
	}{
		{"open, too early to try", failing(), held, s, result{action.ValveOpen, 0, 4 * s, 0, 0, false}},
		{"open, tries one", failing(), held, 5 * s, result{action.ValveOpen, 0, 10 * s, 1, 1, false}},
		{"open, the waits double", at(failing(), func(v *action.Valve) { v.Wait = 80 * s }), held, 5 * s, result{action.ValveOpen, 0, 160 * s, 1, 1, false}},
		{"open, the waits end at five minutes", at(failing(), func(v *action.Valve) { v.Wait = 4 * time.Minute }), held, 5 * s, result{action.ValveOpen, 0, 300 * s, 1, 1, false}},
		{"open, the last try is under way", failing(), ledger.Look{Due: true, Underway: 1}, 5 * s, result{action.ValveOpen, 0, s, 0, 0, false}},
		{"open, nothing to try with", failing(), ledger.Look{}, 5 * s, result{action.ValveDraining, 1, s, 0, 0, false}},
		{"open, a try succeeded", good(failing()), held, 2 * s, result{action.ValveDraining, 1, s, 1, 1, false}},
		{"open, a try succeeded at once", at(failing(), func(v *action.Valve) { v.LastGood = now }), held, time.Second, result{action.ValveDraining, 1, s, 1, 1, false}},
		{"open, a try failed", bad(failing()), held, 2 * s, result{action.ValveOpen, 0, 3 * s, 0, 0, false}},
		{"draining well", good(rate(8)), held, 2 * s, result{action.ValveDraining, 16, s, 16, 16, false}},
		{"draining, nobody knows how", rate(8), held, 2 * s, result{action.ValveDraining, 8, s, 8, 8, false}},
		{"draining badly", bad(rate(8)), held, 2 * s, result{action.ValveDraining, 4, s, 4, 4, false}},
		{"draining well and badly", bad(good(rate(8))), held, 2 * s, result{action.ValveDraining, 4, s, 4, 4, false}},
		{"draining one by one, and badly", bad(rate(1)), held, 2 * s, result{action.ValveOpen, 0, 5 * s, 0, 0, false}},
		{"draining fast: the share bounds what is under way", good(rate(400)), held, 2 * s, result{action.ValveDraining, 800, s, 800, ledger.Share, false}},
		{"draining as fast as it goes", good(rate(3000)), held, 2 * s, result{action.ValveDraining, 4000, s, 4000, ledger.Share, false}},
		{"draining at the target's own rate", good(rate(8)), ledger.Look{Due: true, Limits: action.Limits{Rate: 10}}, 2 * s, result{action.ValveDraining, 10, s, 10, 10, false}},
		{"draining at the target's own concurrency", good(rate(8)), ledger.Look{Due: true, Limits: action.Limits{Concurrency: 3}}, 2 * s, result{action.ValveDraining, 16, s, 16, 3, false}},
		{"an empty lane", rate(8), ledger.Look{}, 2 * s, result{action.ValveDraining, 8, s, 0, 0, false}},
		{"a lane that stays empty", at(rate(8), func(v *action.Valve) { v.Idle = now }), ledger.Look{}, 10 * s, result{action.ValveDraining, 8, s, 0, 0, true}},
		{"not empty while something is under way", at(rate(8), func(v *action.Valve) { v.Idle = now }), ledger.Look{Underway: 1}, 10 * s, result{action.ValveDraining, 8, s, 8, 8, false}},
		{"paused", ledger.Paused(failing(), action.HoldPaused, now), held, time.Hour, result{action.ValvePaused, 0, -1, 0, 0, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			look := now.Add(tt.after)
			turn := ledger.Turned(tt.valve, tt.look, look)
			got := result{turn.Valve.State, turn.Valve.Rate, turn.Valve.Next.Sub(look), turn.Release, turn.Window, turn.Close}
			if turn.Valve.Next.IsZero() {
				got.Next = -1
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !turn.Valve.Judged.Equal(look) {
				t.Errorf("judged %v", turn.Valve.Judged)
			}
		})
	}
}

// TestOutageAndDrain plays an hour's outage with 1,000 deliveries held: tries are few, and afterwards all go in one drain.
func TestOutageAndDrain(t *testing.T) {
	v, at, held, tries := failing(), now, 1000, 0
	for at.Sub(now) < time.Hour {
		at = at.Add(time.Second)
		turn := ledger.Turned(v, ledger.Look{Due: true}, at)
		v = turn.Valve
		if tries += turn.Release; turn.Release > 0 {
			v.LastBad = at.Add(time.Millisecond)
		}
	}
	if v.State != action.ValveOpen || tries < 10 || tries > 20 {
		t.Fatalf("%s after %d tries", v.State, tries)
	}
	seconds := 0
	for closed := false; !closed; seconds++ {
		at = at.Add(time.Second)
		turn := ledger.Turned(v, ledger.Look{Due: held > 0}, at)
		v, closed = turn.Valve, turn.Close
		if n := min(turn.Release, held); n > 0 {
			held -= n
			v.LastGood = at.Add(time.Millisecond)
		}
		if seconds > 400 {
			t.Fatalf("%d still held after %d seconds", held, seconds)
		}
	}
	if held > 0 {
		t.Errorf("closed with %d held", held)
	}
}

// TestLimitsAreKeptFromTheStart: a target with limits of its own need not prove itself first, whatever its valve is for.
func TestLimitsAreKeptFromTheStart(t *testing.T) {
	limits := action.Limits{Rate: 50}
	for _, reason := range []action.Hold{action.HoldLimited, action.HoldSlow} {
		v := ledger.Draining(action.Valve{}, reason, limits, now)
		if turn := ledger.Turned(v, ledger.Look{Due: true, Limits: limits}, now); turn.Release != 50 || v.Reason != action.HoldLimited {
			t.Errorf("for %s: releases %d, being %s", reason, turn.Release, v.Reason)
		}
	}
	limits = action.Limits{Concurrency: 2}
	v := ledger.Draining(action.Valve{}, action.HoldLimited, limits, now)
	if turn := ledger.Turned(v, ledger.Look{Due: true, Limits: limits}, now); turn.Window != 2 {
		t.Errorf("%d under way at once instead of two", turn.Window)
	}
}
