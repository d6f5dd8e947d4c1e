package deliveries

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/queue"
)

// testSource is the source of events that test a target.
const testSource = "urn:callout:test"

// Test publishes an event that one target receives, whatever the executions say. It is delivered, retried and listed like any other.
func (o *Operations) Test(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TestEvent, error) {
	if _, err := o.Configuration.DescribeTarget(ctx, caller.Instance, id); err != nil {
		return action.TestEvent{}, err
	}
	payload, err := json.Marshal(map[string]string{"target": string(id), "note": "sent to test this target"})
	if err != nil {
		return action.TestEvent{}, fmt.Errorf("test event: %w", err)
	}
	event := action.Occurrence{
		Instance: caller.Instance, Source: testSource, ID: action.NewEventID(), Type: action.TestEventType,
		AggregateID: string(id), AggregateType: "target", UserID: caller.Subject, Payload: payload,
	}.Complete(time.Now().UTC())
	message, err := queue.EncodeEvent(event)
	if err != nil {
		return action.TestEvent{}, err
	}
	if err := o.Queue.Publish(ctx, queue.Events, queue.Addressed(message, id)); err != nil {
		return action.TestEvent{}, err
	}
	return action.TestEvent{Event: event.ID, Source: event.Source, Delivery: action.DeliveryOf(event.Key(), id)}, nil
}

// Pause holds all deliveries to a target.
func (o *Operations) Pause(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TargetDelivery, error) {
	return o.Update(ctx, caller, id, action.DeliveryChange{Paused: new(true)})
}

// Resume releases what is held. What the target paused for is forgotten with it.
func (o *Operations) Resume(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TargetDelivery, error) {
	return o.Update(ctx, caller, id, action.DeliveryChange{Paused: new(false)})
}

// Settings shows how events are delivered to a target.
func (o *Operations) Settings(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TargetDelivery, error) {
	t, err := o.Configuration.DescribeTarget(ctx, caller.Instance, id)
	if err != nil {
		return action.TargetDelivery{}, err
	}
	return o.settings(ctx, caller, id, t.Delivery)
}

func (o *Operations) settings(ctx context.Context, caller auth.Caller, id action.TargetID, s action.DeliverySettings) (action.TargetDelivery, error) {
	result := action.TargetDelivery{Settings: s, Schedule: s.Schedule}
	if len(s.Schedule) == 0 {
		result.Schedule = o.Rules.Schedule
	}
	valves, err := o.Valves.Valves(ctx, caller.Instance, []action.TargetID{id})
	if err != nil {
		return action.TargetDelivery{}, err
	}
	for _, v := range valves {
		if v.Target != id || !v.Shut() {
			continue
		}
		result.Valve = v
		if result.Held, err = o.Log.CountHeld(ctx, caller.Instance, id); err != nil {
			return action.TargetDelivery{}, err
		}
	}
	return result, nil
}

// Update changes what is said. It may be repeated: the settings are written first, then the target is paused or resumed.
func (o *Operations) Update(ctx context.Context, caller auth.Caller, id action.TargetID, c action.DeliveryChange) (action.TargetDelivery, error) {
	if err := c.Validate(); err != nil {
		return action.TargetDelivery{}, err
	}
	if c.Schedule != nil {
		if err := o.fits(*c.Schedule); err != nil {
			return action.TargetDelivery{}, err
		}
	}
	t, err := o.Configuration.DescribeTarget(ctx, caller.Instance, id)
	if err != nil {
		return action.TargetDelivery{}, err
	}
	settings, differs := c.Apply(t.Delivery)
	if differs {
		if err := o.Configuration.SetDelivery(ctx, caller.Instance, id, settings); err != nil {
			return action.TargetDelivery{}, err
		}
	}
	if c.Paused != nil {
		if err := o.pause(ctx, caller.Instance, id, *c.Paused); err != nil {
			return action.TargetDelivery{}, err
		}
	}
	if differs || c.Paused != nil {
		o.wake(ctx)
	}
	return o.settings(ctx, caller, id, settings)
}

// pause holds everything for a target, or lets it go.
func (o *Operations) pause(ctx context.Context, instance action.InstanceID, id action.TargetID, paused bool) error {
	if paused {
		return o.Valves.Pause(ctx, instance, id, action.HoldPaused, time.Now().UTC())
	}
	return o.Valves.Resume(ctx, instance, id, time.Now().UTC())
}

// fits checks that a schedule ends before its event does.
func (o *Operations) fits(waits []time.Duration) error {
	longest, most := ledger.Schedule(waits).Longest(), o.Rules.Retention-ledger.Margin
	if longest > most {
		return errs.Newf(errs.InvalidArgument, "schedule takes up to %s, which must fit into CALLOUT_RETENTION less a day, %s", action.WaitText(longest), action.WaitText(most))
	}
	return nil
}
