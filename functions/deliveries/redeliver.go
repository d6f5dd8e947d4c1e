package deliveries

import (
	"context"
	"slices"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/queue"
)

// Redeliver tries one delivery again now. Where its target holds, it waits in the target's lane; where it follows another delivery, it
// waits for that one.
func (o *Operations) Redeliver(ctx context.Context, caller auth.Caller, id action.DeliveryID) (action.DeliveryView, error) {
	if !id.Valid() {
		return action.DeliveryView{}, errMissing
	}
	now := time.Now().UTC()
	d, err := o.Changer.Redeliver(ctx, caller.Instance, id, now)
	if errs.Is(err, errs.NotFound) {
		return action.DeliveryView{}, errMissing
	}
	if err != nil {
		return action.DeliveryView{}, err
	}
	switch {
	case d.Held != "":
		o.wake(ctx)
	case !d.Waits:
		messages, err := queue.EncodeDeliveries(queue.Delivery{Release: true}, d)
		if err != nil {
			return action.DeliveryView{}, err
		}
		if err := o.Queue.Publish(ctx, queue.DeliveriesSlow, messages...); err != nil {
			return action.DeliveryView{}, err
		}
	}
	return o.view(ctx, d, now)
}

// RedeliverAll puts the next up to 1,000 dead deliveries back that a filter finds; with dry, it only says how many there are. Progress is
// the caller's loop.
func (o *Operations) RedeliverAll(ctx context.Context, caller auth.Caller, f action.DeliveryFilter, token string, dry bool) (action.Redelivery, error) {
	f = exact(f)
	if len(f.States) == 0 {
		f.States = []action.State{action.Dead}
	}
	if slices.ContainsFunc(f.States, func(s action.State) bool { return s != action.Dead }) {
		return action.Redelivery{}, errs.Newf(errs.InvalidArgument,
			"filter.states may be dead only: a delivery in another state is redelivered by its id")
	}
	if dry && token == "" && f.Indexed() {
		if err := f.Validate(); err != nil {
			return action.Redelivery{}, err
		}
		counts, err := o.Log.Count(ctx, caller.Instance, f, o.Rules.Shards)
		return action.Redelivery{Matched: counts[action.Dead]}, err
	}
	found, next, err := o.page(ctx, caller, f, token, action.MaxDeliveries)
	result := action.Redelivery{Matched: len(found), Token: next}
	if err != nil || dry || len(found) == 0 {
		return result, err
	}
	if result.Moved, err = o.Changer.RedeliverAll(ctx, found, time.Now().UTC()); err != nil {
		return action.Redelivery{}, err
	}
	o.wake(ctx)
	return result, nil
}
