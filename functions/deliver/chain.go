package deliver

import (
	"context"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
)

// held tells, for those that follow a delivery, whether their targets may be called now, and has the sweeper look at what is held: it looks
// for longer than the commit takes that is to come. A target that cannot be looked up, or not be limited, may be called: deliver finds out.
func (d *Deliverer) held(ctx context.Context, instance action.InstanceID) ledger.Held {
	return func(target action.TargetID) action.Hold {
		now := time.Now().UTC()
		to, err := d.Routes.Destination(ctx, instance, target)
		if err == nil {
			err = d.Ledger.Limit(ctx, to.Valve, to.Target.Delivery.Limits, now)
		}
		if err != nil || to.Hold() == "" {
			return ""
		}
		d.wake(ctx, now)
		return to.Hold()
	}
}

// first asks for the first attempts of deliveries that waited for another one.
func (d *Deliverer) first(ctx context.Context, freed []action.Delivery, event action.EventID, body []byte) error {
	messages, err := queue.EncodeDeliveries(queue.Delivery{EventID: event, Body: body}, freed...)
	if err != nil {
		return err
	}
	return d.Queue.Publish(ctx, queue.Deliveries, messages...)
}

// free asks again for the first attempts of those that follow a delivered one: whoever recorded it may have stopped before that.
func (d *Deliverer) free(ctx context.Context, delivered action.Delivery) error {
	ready, err := d.Ledger.Ready(ctx, delivered)
	if err != nil || len(ready) == 0 {
		return err
	}
	return d.first(ctx, ready, "", nil)
}

// wait looks after a delivery that has waited long for the one before it: freed, skipped, or left waiting.
func (d *Deliverer) wait(ctx context.Context, seen ledger.Version) error {
	now := time.Now().UTC()
	before, err := d.Ledger.Delivery(ctx, seen.Instance, seen.Follows)
	switch {
	case errs.Is(err, errs.NotFound): // its record has ended; how, nobody knows any more
		return d.giveUp(ctx, seen, ledger.ReasonSkipped)
	case err != nil:
		return err
	case before.State == action.Delivered:
		freed := ledger.Free(seen.Delivery, d.held(ctx, seen.Instance)(seen.Target), now)
		if err := d.Ledger.Save(ctx, seen, freed); err != nil || freed.Held != "" {
			return err
		}
		return d.first(ctx, []action.Delivery{freed}, "", nil)
	case before.State.Final():
		d.Log.WarnContext(ctx, "delivery skipped", logging.Target, seen.Target)
		_, err := d.Ledger.Settle(ctx, seen, d.Ledger.Rules().Skip(seen.Delivery, now), d.held(ctx, seen.Instance), now)
		return err
	}
	waiting := seen.Delivery
	waiting.Due = now.Add(ledger.FirstDue)
	return d.Ledger.Save(ctx, seen, waiting)
}
