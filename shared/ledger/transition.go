package ledger

import (
	"net/http"
	"strconv"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

const (
	// FirstDue is when the sweeper looks at a delivery whose first message never came: Pub/Sub owns the first attempt.
	FirstDue = time.Hour
	// ClaimTime is how long a claimed delivery belongs to whoever claimed it: longer than the longest time-out.
	ClaimTime = 10 * time.Minute
)

// Rules is what the state machine needs to know besides the delivery.
type Rules struct {
	Schedule Schedule
	// Retention is how long a finished delivery is kept.
	Retention time.Duration
	// Shards is over how many lanes deliveries are spread, at least 1.
	Shards int
	// Jitter moves a wait; the function Jitter but in tests.
	Jitter func(time.Duration) time.Duration
}

// Start makes the delivery of an event to a target: pending, its first attempt owned by the queue's message.
func (r Rules) Start(e Event, target action.TargetID, now time.Time) action.Delivery {
	id := action.DeliveryOf(e.Key(), target)
	return action.Delivery{
		ID: id, Instance: e.Instance, Event: e.Key(), Target: target, EventType: e.Type,
		State: action.Pending, Lane: r.lane(id), Due: now.Add(FirstDue), Created: now, Changed: now,
	}
}

// lane spreads deliveries over the shards by their id, which is a hash.
func (r Rules) lane(id action.DeliveryID) string {
	sum := 0
	for _, c := range []byte(id) {
		sum = (sum*31 + int(c)) & 0xffffff
	}
	return Lane(sum % max(r.Shards, 1))
}

// Lane is the name of a shard's lane.
func Lane(shard int) string { return "s" + strconv.Itoa(shard) }

// After is the state machine: the delivery after an attempt. A final delivery stays as it is, whatever a late attempt says; retryAfter
// is how long the target asked to be left alone.
func (r Rules) After(d action.Delivery, a action.Attempt, retryAfter time.Duration, now time.Time) action.Delivery {
	if d.State.Final() {
		return d
	}
	a.Number = d.Tried() + 1
	d.Attempts = append(d.Attempts[:len(d.Attempts):len(d.Attempts)], a)
	if extra := len(d.Attempts) - action.MaxAttempts; extra > 0 {
		d.Attempts = d.Attempts[extra:]
	}
	wait, more := r.Schedule.wait(a.Number)
	switch {
	case a.Outcome == action.Success:
		return r.finish(d, action.Delivered, now)
	case !more, a.Status == http.StatusGone:
		return r.finish(d, action.Dead, now)
	}
	d.State, d.Changed = action.Retrying, now
	d.Lane, d.Due = r.lane(d.ID), now.Add(max(r.Jitter(wait), retryAfter))
	return d
}

// Kill gives a delivery up without an attempt, for that reason.
func (r Rules) Kill(d action.Delivery, reason string, now time.Time) action.Delivery {
	if d.State.Final() {
		return d
	}
	d.Reason = reason
	return r.finish(d, action.Dead, now)
}

func (r Rules) finish(d action.Delivery, s action.State, now time.Time) action.Delivery {
	d.State, d.Changed = s, now
	d.Lane, d.Due = "", time.Time{}
	d.Expires = now.Add(r.Retention)
	return d
}
