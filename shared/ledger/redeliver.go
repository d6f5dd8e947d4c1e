package ledger

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Margin is how long before its event's record ends an unfinished delivery is given up.
const Margin = 24 * time.Hour

// handTries is how often something is read again that changed under a hand.
const handTries = 5

// errMoving says that the same few documents changed again and again.
var errMoving = errs.New(errs.Unavailable, "", "the delivery keeps changing; try again")

// Redeliver puts a delivery back, with those that were skipped after it, and returns it claimed for the caller, who asks the queue for the
// attempt; an unfinished one is hurried. NotFound: there is no such delivery. FailedPrecondition says in words why it cannot be put back.
func (l *Ledger) Redeliver(ctx context.Context, instance action.InstanceID, id action.DeliveryID, now time.Time) (action.Delivery, error) {
	for range handTries {
		seen, err := l.Delivery(ctx, instance, id)
		if err != nil {
			return action.Delivery{}, err
		}
		events, err := l.Events(ctx, instance, []action.EventKey{seen.Event})
		if err != nil {
			return action.Delivery{}, err
		}
		if err := l.mayReturn(ctx, seen.Delivery, events, now); err != nil {
			return action.Delivery{}, err
		}
		next := Again(seen.Delivery, false, now)
		writes, err := l.revive(ctx, seen, next, now)
		if err != nil {
			return action.Delivery{}, err
		}
		if err := l.commit(ctx, "redeliver", writes...); !errs.Is(err, errs.FailedPrecondition) {
			return next, err
		}
	}
	return action.Delivery{}, errMoving
}

// mayReturn says why a delivery cannot be put back, nil if it can.
func (l *Ledger) mayReturn(ctx context.Context, d action.Delivery, events map[action.EventKey]Event, now time.Time) error {
	event, found := events[d.Event]
	switch {
	case !found:
		return errs.Newf(errs.FailedPrecondition, "the event of delivery %s is not kept any more", d.ID)
	case event.Erased:
		return errs.Newf(errs.FailedPrecondition, "the event of delivery %s was deleted", d.ID)
	case !now.Before(event.Expires.Add(-Margin)):
		return errs.Newf(errs.FailedPrecondition, "the event of delivery %s is too old: its record ends within a day", d.ID)
	case d.Follows == "":
		return nil
	}
	before, err := l.Delivery(ctx, d.Instance, d.Follows)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err == nil && before.State != action.Delivered {
		return errs.Newf(errs.FailedPrecondition, "delivery %s waits for %s, which is %s: redeliver that one", d.ID, d.Follows, before.State)
	}
	return err
}

// revive makes the writes that put a delivery back, and those behind it that were skipped for it.
func (l *Ledger) revive(ctx context.Context, seen Version, next action.Delivery, now time.Time) ([]*firestorepb.Write, error) {
	writes := []*firestorepb.Write{l.replace(seen, next)}
	if seen.State != action.Dead && seen.State != action.Skipped {
		return writes, nil
	}
	after := seen.Unblocks
	for len(after) > 0 {
		skipped, err := l.Deliveries(ctx, seen.Instance, after)
		if err != nil {
			return nil, err
		}
		after = nil
		for _, s := range skipped {
			if s.State == action.Skipped {
				writes = append(writes, l.replace(s, Again(s.Delivery, true, now)))
				after = append(after, s.Unblocks...)
			}
		}
	}
	return writes, nil
}

// RedeliverAll puts deliveries of one instance back into their targets' lanes, where valves release them at their rates, and says how many;
// it leaves out those that cannot be put back, or changed meanwhile. At most 1,000.
func (l *Ledger) RedeliverAll(ctx context.Context, finished []Version, now time.Time) (int, error) {
	if len(finished) == 0 {
		return 0, nil
	}
	var keys []action.EventKey
	for _, v := range finished {
		keys = append(keys, v.Event)
	}
	slices.Sort(keys)
	events, err := l.Events(ctx, finished[0].Instance, slices.Compact(keys))
	if err != nil {
		return 0, err
	}
	moved := 0
	valves := map[action.TargetID]bool{}
	var alone []Change
	for _, v := range finished {
		if !v.State.Final() {
			continue
		}
		err := l.mayReturn(ctx, v.Delivery, events, now)
		if errs.Is(err, errs.FailedPrecondition) {
			continue
		}
		if err != nil {
			return moved, err
		}
		if !valves[v.Target] { // first the valve, so that nothing lies in a lane that nobody looks at
			valve := Draining(action.Valve{Instance: v.Instance, Target: v.Target}, action.HoldRedelivery, action.Limits{}, now)
			if _, err := l.AddValve(ctx, valve, now); err != nil {
				return moved, err
			}
			valves[v.Target] = true
		}
		next := Hold(Again(v.Delivery, false, now), action.HoldRedelivery)
		if len(v.Unblocks) == 0 {
			alone = append(alone, Change{v, next})
			continue
		}
		writes, err := l.revive(ctx, v, next, now)
		if err != nil {
			return moved, err
		}
		switch err := l.commit(ctx, "redeliver", writes...); {
		case err == nil:
			moved++
		case !errs.Is(err, errs.FailedPrecondition):
			return moved, err
		}
	}
	for part := range slices.Chunk(alone, maxWrites) {
		saved, err := l.SaveAll(ctx, part)
		moved += len(saved)
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// DeleteEvent removes what an event carried and what its targets answered, and leaves the outcomes; what is unfinished is given up.
// NotFound if there is no such event.
func (l *Ledger) DeleteEvent(ctx context.Context, instance action.InstanceID, key action.EventKey, now time.Time) error {
	event, err := l.Event(ctx, instance, key, now)
	if err != nil {
		return err
	}
	event.Body, event.Erased = nil, true
	if err := l.commit(ctx, "delete event", &firestorepb.Write{
		Operation:       &firestorepb.Write_Update{Update: &firestorepb.Document{Name: l.eventName(instance, key), Fields: encodeEvent(event)}},
		UpdateMask:      &firestorepb.DocumentMask{FieldPaths: []string{"payload", "erased"}},
		CurrentDocument: &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_Exists{Exists: true}},
	}); err != nil {
		return err
	}
	for _, id := range event.Deliveries() {
		if err := l.erase(ctx, instance, id, now); err != nil {
			return err
		}
	}
	return nil
}

// erase removes the answers from a delivery, and gives it up if it is unfinished.
func (l *Ledger) erase(ctx context.Context, instance action.InstanceID, id action.DeliveryID, now time.Time) error {
	for range handTries {
		seen, err := l.Delivery(ctx, instance, id)
		if errs.Is(err, errs.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		d := l.rules.Kill(seen.Delivery, ReasonErased, now)
		d.Attempts = slices.Clone(d.Attempts)
		for i := range d.Attempts {
			d.Attempts[i].Answer = ""
		}
		if err := l.Save(ctx, seen, d); !errs.Is(err, errs.FailedPrecondition) {
			return err
		}
	}
	return errMoving
}
