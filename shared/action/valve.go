package action

import "time"

// ValveState says what happens to the deliveries of a target that has a valve. A target in good standing has none.
type ValveState string

// The states of a valve.
const (
	ValveOpen     ValveState = "open"     // the breaker is open: everything is held, one delivery at a time is tried
	ValveDraining ValveState = "draining" // what is held is released at the valve's rate
	ValvePaused   ValveState = "paused"   // everything is held
	ValveRemoved  ValveState = "removed"  // the target is gone: what is held is given up
)

// Hold says why the deliveries of a target wait; a delivery that waits carries the word in Held.
type Hold string

// The reasons.
const (
	HoldFailing    Hold = "failing"    // too many attempts failed
	HoldSlow       Hold = "slow"       // too many attempts were under way, or stuck
	HoldGone       Hold = "gone"       // the target answered 410
	HoldPaused     Hold = "paused"     // by hand
	HoldLimited    Hold = "limited"    // the target has a rate or a concurrency of its own
	HoldRedelivery Hold = "redelivery" // many deliveries were put back at once
	HoldRemoved    Hold = "removed"    // the target is gone
)

// Valve stands between Callout and a target in trouble, or with a limit of its own: what it holds lies in the target's lane.
type Valve struct {
	Instance InstanceID
	Target   TargetID
	State    ValveState
	Reason   Hold
	// Since is when the state was entered.
	Since time.Time
	// Rate is how many deliveries may be released in a second, and be under way at once, while it drains.
	Rate int
	// Wait is how long it was between the last two tries of an open valve.
	Wait time.Duration
	// Next is when a sweeper looks again; zero: never by itself.
	Next time.Time
	// Judged is when a sweeper last looked.
	Judged time.Time
	// Idle is since when nothing has been held; zero while something is.
	Idle time.Time
	// LastGood and LastBad are when an attempt last succeeded and failed, to the second.
	LastGood, LastBad time.Time
}

// Shut says whether a first attempt must not be made now: it goes to the target's lane.
func (v Valve) Shut() bool { return v.State != "" }

// Limits are a target's own; zero means none.
type Limits struct {
	// Rate is deliveries a second, Concurrency how many may be under way at once.
	Rate, Concurrency int
}

// None says whether nothing is limited.
func (l Limits) None() bool { return l == Limits{} }

// DeliverySettings are a target's own rules for the delivery of events (callout.md section 7).
type DeliverySettings struct {
	// Schedule holds the waits after each failed attempt; empty: the installation's.
	Schedule []time.Duration
	Limits   Limits
}
