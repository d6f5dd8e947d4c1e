package ledger

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

const (
	// FirstDue is when the sweeper looks at a delivery whose first message never came, or whose turn did not: Pub/Sub owns the first attempt.
	FirstDue = time.Hour
	// ClaimTime is how long a claimed delivery belongs to whoever claimed it: longer than the longest time-out.
	ClaimTime = 10 * time.Minute
)

// Why a delivery is dead or skipped.
const (
	ReasonAttempts = "attempts used up"
	ReasonGone     = "target answered 410 Gone"
	ReasonRemoved  = "target removed"
	ReasonExpired  = "expired"
	ReasonErased   = "event deleted"
	ReasonSkipped  = "the target before it was given up"
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

// Recipient is a target that an event is for.
type Recipient struct {
	Target action.TargetID
	// Interrupts says that the recipients after this one wait for its success.
	Interrupts bool
	// Held says why the target must not be called now; "" if it may.
	Held action.Hold
}

// Plan makes the deliveries of an event: pending, the first attempt of each owned by the queue's message, or waiting in its target's lane,
// or for the interrupting delivery before it.
func (r Rules) Plan(e Event, recipients []Recipient, now time.Time) []action.Delivery {
	deliveries := make([]action.Delivery, len(recipients))
	before := -1 // the last one that interrupts
	for i, to := range recipients {
		id := action.DeliveryOf(e.Key(), to.Target)
		d := action.Delivery{
			ID: id, Instance: e.Instance, Event: e.Key(), Target: to.Target, EventType: e.Type,
			State: action.Pending, Shard: r.shard(id), Created: now, Changed: now,
		}
		switch {
		case before >= 0:
			d.Follows, d.Waits = deliveries[before].ID, true
			deliveries[before].Unblocks = append(deliveries[before].Unblocks, id)
			d = schedule(d, now.Add(FirstDue))
		case to.Held != "":
			d = Hold(d, to.Held)
		default:
			d = schedule(d, now.Add(FirstDue))
		}
		if to.Interrupts {
			before = i
		}
		deliveries[i] = d
	}
	return deliveries
}

// shard spreads deliveries by their id, which is a hash.
func (r Rules) shard(id action.DeliveryID) int {
	sum := 0
	for _, c := range []byte(id) {
		sum = (sum*31 + int(c)) & 0xffffff
	}
	return sum % max(r.Shards, 1)
}

// Lane is the name of a shard's lane.
func Lane(shard int) string { return "s" + strconv.Itoa(shard) }

// TargetLane is the name of the lane in which deliveries wait that a target's valve holds.
func TargetLane(instance action.InstanceID, target action.TargetID) string {
	return "t" + string(instance) + "/" + string(target)
}

// TargetOfLane is the inverse of TargetLane; false for the lane of a shard.
func TargetOfLane(lane string) (action.InstanceID, action.TargetID, bool) {
	rest, found := strings.CutPrefix(lane, "t")
	instance, target, cut := strings.Cut(rest, "/")
	return action.InstanceID(instance), action.TargetID(target), found && cut
}

// schedule puts an unfinished delivery into its shard's lane.
func schedule(d action.Delivery, due time.Time) action.Delivery {
	d.Held, d.Lane, d.Due = "", Lane(d.Shard), due
	return d
}

// Hold puts an unfinished delivery into its target's lane, where the target's valve releases it, the oldest first: there, due is when the
// delivery was made.
func Hold(d action.Delivery, reason action.Hold) action.Delivery {
	d.Held, d.Lane, d.Due = reason, TargetLane(d.Instance, d.Target), d.Created
	return d
}

// Hurry puts a delivery that waits for its next attempt into its target's lane, because the target has come back. The attempt that it gets
// early is not one of its schedule: a target that comes and goes must not use that up.
func Hurry(d action.Delivery, reason action.Hold) action.Delivery {
	d.Before++
	return Hold(d, reason)
}

// Claim moves an unfinished delivery into the future, where nobody else looks while it is worked on. One that was held stays in its lane:
// what is due there later than now is what is under way.
func Claim(d action.Delivery, now time.Time) action.Delivery {
	d.Due = now.Add(ClaimTime)
	return d
}

// Report is what became of an attempt.
type Report struct {
	Attempt action.Attempt
	// RetryAfter is how long the target asked to be left alone.
	RetryAfter time.Duration
	// Schedule is the target's own; nil for that of the installation.
	Schedule Schedule
}

// After is the state machine: the delivery after an attempt. A final delivery stays as it is, whatever a late attempt says.
func (r Rules) After(d action.Delivery, report Report, now time.Time) action.Delivery {
	if d.State.Final() {
		return d
	}
	a := report.Attempt
	a.Number = d.Tried() + 1
	d.Attempts = append(d.Attempts[:len(d.Attempts):len(d.Attempts)], a)
	if extra := len(d.Attempts) - action.MaxAttempts; extra > 0 {
		d.Attempts = d.Attempts[extra:]
	}
	waits := r.Schedule
	if report.Schedule != nil {
		waits = report.Schedule
	}
	wait, more := waits.wait(a.Number - d.Before)
	switch {
	case a.Outcome == action.Success:
		return r.finish(d, action.Delivered, "", now)
	case a.Status == http.StatusGone:
		return r.finish(d, action.Dead, ReasonGone, now)
	case !more:
		return r.finish(d, action.Dead, ReasonAttempts, now)
	}
	d.State, d.Changed = action.Retrying, now
	due := now.Add(max(r.Jitter(wait), report.RetryAfter))
	if last := r.Last(d); due.After(last) {
		due = last // when it is given up
	}
	return schedule(d, due)
}

// hurry is how many times as long as a target's trouble a wait may be that its return ends: a target that comes and goes each few seconds
// would else use up within minutes the attempts of days.
const hurry = 8

// Scheduled says whether a retrying delivery waits for its schedule, and the return of a target that was in trouble since then may end its
// wait: not one that is long beside the trouble, nor one that the target asked for, nor that of a delivery that is claimed already.
func (r Rules) Scheduled(d action.Delivery, since, now time.Time) bool {
	if d.State != action.Retrying || len(d.Attempts) == 0 {
		return false
	}
	last := d.Attempts[len(d.Attempts)-1]
	ended := last.Start.Add(last.Took)
	wait, more := r.Schedule.wait(last.Number - d.Before)
	if !more || d.Due.Sub(ended) > wait+wait/8 {
		return false
	}
	return max(now.Sub(ended), now.Sub(since)) >= wait/hurry
}

// Last is when an unfinished delivery is given up: a day before the record of its event ends.
func (r Rules) Last(d action.Delivery) time.Time { return d.Created.Add(r.Retention - Margin) }

// Kill gives a delivery up without an attempt, for that reason.
func (r Rules) Kill(d action.Delivery, reason string, now time.Time) action.Delivery {
	if d.State.Final() {
		return d
	}
	return r.finish(d, action.Dead, reason, now)
}

// Free ends a delivery's waiting for the one before it: its first attempt may be asked for, or it is held.
func Free(d action.Delivery, held action.Hold, now time.Time) action.Delivery {
	if d.State.Final() || !d.Waits {
		return d
	}
	d.Waits, d.Changed = false, now
	if held != "" {
		return Hold(d, held)
	}
	return schedule(d, now.Add(FirstDue))
}

// Skip ends a delivery whose turn will not come.
func (r Rules) Skip(d action.Delivery, now time.Time) action.Delivery {
	if d.State.Final() {
		return d
	}
	return r.finish(d, action.Skipped, ReasonSkipped, now)
}

// Again puts a delivery back by hand. A final one begins its schedule anew, waiting for the one before it if it is to; an unfinished one
// is only hurried. It is claimed for whoever asks the queue for the attempt.
func Again(d action.Delivery, waits bool, now time.Time) action.Delivery {
	if d.State.Final() {
		d.State, d.Reason, d.Changed, d.Expires = action.Pending, "", now, time.Time{}
		d.Before = d.Tried()
	}
	d.Waits = waits
	if waits {
		return schedule(d, now.Add(FirstDue))
	}
	return schedule(d, now.Add(ClaimTime))
}

func (r Rules) finish(d action.Delivery, s action.State, reason string, now time.Time) action.Delivery {
	d.State, d.Reason, d.Changed = s, reason, now
	d.Waits, d.Held, d.Lane, d.Due = false, "", "", time.Time{}
	d.Expires = now.Add(r.Retention)
	return d
}
