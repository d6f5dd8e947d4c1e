package ledger

import (
	"cmp"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

const (
	// firstProbe and lastProbe are the waits between the tries of an open valve: each twice the one before it.
	firstProbe = 5 * time.Second
	lastProbe  = 5 * time.Minute
	// Pace is how often a valve that drains is looked at.
	Pace = time.Second
	// maxRate is what an unlimited target is drained with at most, in deliveries a second. Mostly, what is under way bounds it earlier.
	maxRate = 4000
	// idleTime is how long a lane must be empty before its valve goes: longer than any process may believe that it is still there.
	idleTime = 10 * time.Second
)

// Share is how many deliveries to one target may be under way at most.
const Share = 128

// Look is what a sweeper sees of a target's lane.
type Look struct {
	// Due says that something held may be released.
	Due bool
	// Underway is how much of what was released is not done yet.
	Underway int
	Limits   action.Limits
}

// Turn is what a valve does when a sweeper looks at it.
type Turn struct {
	Valve action.Valve
	// Release is how many deliveries may be released until the next look, and Window how many may be under way at once.
	Release, Window int
	// Close says that the target is in good standing again: the valve goes.
	Close bool
}

// Turned decides about a valve: an open one tries one delivery at a time, ever more rarely; a success makes it drain, at a rate that doubles
// each second while it goes well and halves when it does not; a lane that stays empty closes it.
func Turned(v action.Valve, l Look, now time.Time) Turn {
	good, bad := since(v.LastGood, v.Judged), since(v.LastBad, v.Judged)
	v.Judged = now
	switch v.State {
	case action.ValveOpen:
		return probe(v, l, good, now)
	case action.ValveDraining:
		return drain(v, l, good, bad, now)
	default: // paused by hand, or for what the target said: only a hand ends it
		v.Next = time.Time{}
		return Turn{Valve: v}
	}
}

// since says whether something happened after the last look; at the same microsecond counts, for what was released then may have been as fast.
func since(at, judged time.Time) bool { return !at.IsZero() && !at.Before(judged) }

func probe(v action.Valve, l Look, good bool, now time.Time) Turn {
	switch {
	case good, !l.Due && l.Underway == 0 && !now.Before(v.Next): // nothing is left to try with: the next delivery will tell
		v.State, v.Since, v.Rate, v.Wait, v.Idle = action.ValveDraining, now, 1, 0, time.Time{}
		return drain(v, l, false, false, now)
	case now.Before(v.Next):
		return Turn{Valve: v}
	case l.Underway > 0: // the last try is not over
		v.Next = now.Add(Pace)
		return Turn{Valve: v}
	}
	v.Wait = min(max(2*v.Wait, firstProbe), lastProbe)
	v.Next = now.Add(v.Wait)
	return Turn{Valve: v, Release: 1, Window: 1}
}

func drain(v action.Valve, l Look, good, bad bool, now time.Time) Turn {
	most := maxRate
	if l.Limits.Rate > 0 {
		most = l.Limits.Rate
	}
	switch {
	case bad && v.Rate <= 1:
		return Turn{Valve: Opened(v, action.HoldFailing, now)}
	case bad:
		v.Rate /= 2
	case good:
		v.Rate *= 2
	}
	v.Rate = min(max(v.Rate, 1), most)
	v.Next = now.Add(Pace)
	if l.Due || l.Underway > 0 {
		v.Idle = time.Time{}
		return Turn{Valve: v, Release: v.Rate, Window: Window(v.Rate, l.Limits)}
	}
	if v.Idle.IsZero() {
		v.Idle = now
	}
	return Turn{Valve: v, Close: now.Sub(v.Idle) >= idleTime}
}

// Window is how many deliveries may be under way at once to a target that is drained at a rate.
func Window(rate int, limits action.Limits) int {
	window := min(rate, Share)
	if limits.Concurrency > 0 {
		window = min(window, limits.Concurrency)
	}
	return window
}

// Opened is a valve whose breaker opens now.
func Opened(v action.Valve, reason action.Hold, now time.Time) action.Valve {
	v.State, v.Reason, v.Since, v.Rate = action.ValveOpen, reason, now, 0
	v.Wait, v.Next, v.Idle, v.Judged = firstProbe, now.Add(firstProbe), time.Time{}, now
	return v
}

// Draining is a valve that releases from now on, slowly at first. That of a target with limits releases at them, and that is its reason then,
// whatever else there is.
func Draining(v action.Valve, reason action.Hold, limits action.Limits, now time.Time) action.Valve {
	v.State, v.Reason, v.Since, v.Rate = action.ValveDraining, reason, now, 1
	if !limits.None() {
		v.Reason, v.Rate = action.HoldLimited, cmp.Or(limits.Rate, maxRate)
	}
	v.Wait, v.Next, v.Idle, v.Judged = 0, now, time.Time{}, now
	return v
}

// Paused is a valve that releases nothing until somebody resumes it.
func Paused(v action.Valve, reason action.Hold, now time.Time) action.Valve {
	v.State, v.Reason, v.Since, v.Rate = action.ValvePaused, reason, now, 0
	v.Wait, v.Next, v.Idle, v.Judged = 0, time.Time{}, time.Time{}, now
	return v
}
