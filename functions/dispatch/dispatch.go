// Package dispatch is the function behind the events topic: it matches an event, records it with one delivery for each target, and asks
// for the first attempts.
package dispatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/routing"
	"github.com/callout-dev/callout/shared/telemetry"
)

// Routes finds whom an event is for.
type Routes interface {
	Event(ctx context.Context, instance action.InstanceID, eventType string) (routing.Route, error)
	Destination(ctx context.Context, instance action.InstanceID, id action.TargetID) (*routing.Destination, error)
}

// Dispatcher handles the events topic.
type Dispatcher struct {
	Routes Routes
	Ledger *ledger.Ledger
	Queue  *queue.Queue
	// KeepUnmatched is how long an event that matched nothing is kept; 0 means not at all.
	KeepUnmatched time.Duration
	Metrics       *telemetry.Metrics
	Log           *slog.Logger
}

// Handle takes one push. Whatever fails on our side brings it back, and coming again repeats nothing that was recorded.
func (d *Dispatcher) Handle(ctx context.Context, message queue.Message) error {
	occurrence, err := queue.DecodeEvent(message)
	if err != nil {
		return d.refuse(ctx, message, err)
	}
	to, err := queue.Addressee(message)
	if err != nil {
		return d.refuse(ctx, message, err)
	}
	event, deliveries, err := d.match(ctx, occurrence, to, message.ID)
	if err != nil {
		return err
	}
	ctx = logging.With(ctx, slog.String(logging.Event, string(event.ID)))
	if len(deliveries) == 0 && d.KeepUnmatched == 0 {
		d.Metrics.Dispatched(ctx, message.Published, telemetry.Unmatched)
		return nil
	}
	err = d.Ledger.Accept(ctx, event, deliveries, false)
	if errs.Is(err, errs.AlreadyExists) {
		return d.again(ctx, event, deliveries)
	}
	if err != nil {
		return err
	}
	d.Metrics.Dispatched(ctx, message.Published, outcome(event))
	d.Log.DebugContext(ctx, "event accepted", logging.Execution, event.Execution, "targets", len(event.Targets))
	return d.publish(ctx, event, deliveries)
}

// outcome is the word for metrics.
func outcome(e ledger.Event) string {
	if e.Execution == "" {
		return telemetry.Unmatched
	}
	return telemetry.Matched
}

// match finds whom the event is for, and makes what is to be recorded.
func (d *Dispatcher) match(ctx context.Context, o action.Occurrence, to action.TargetID, message string) (ledger.Event, []action.Delivery, error) {
	body, err := o.Body()
	if err != nil {
		return ledger.Event{}, nil, err
	}
	route, err := d.route(ctx, o, to)
	if err != nil {
		return ledger.Event{}, nil, err
	}
	now := time.Now().UTC()
	event := ledger.Event{
		Instance: o.Instance, Source: o.Source, ID: o.ID, Type: o.Type, Body: body, Message: message, Trace: telemetry.Traceparent(ctx),
		Execution: route.Execution, Created: now, Expires: now.Add(d.Ledger.Rules().Retention),
	}
	if len(route.Destinations) == 0 {
		event.Expires = now.Add(d.KeepUnmatched)
		return event, nil, nil
	}
	recipients := make([]ledger.Recipient, len(route.Destinations))
	for i, to := range route.Destinations {
		if err := d.Ledger.Limit(ctx, to.Valve, to.Target.Delivery.Limits, now); err != nil {
			return ledger.Event{}, nil, err
		}
		event.Targets = append(event.Targets, to.Target.ID)
		recipients[i] = ledger.Recipient{Target: to.Target.ID, Interrupts: to.Target.InterruptOnError, Held: to.Hold()}
	}
	return event, d.Ledger.Rules().Plan(event, recipients, now), nil
}

// route finds whom an event is for: the target that it is addressed to, or those of its execution.
func (d *Dispatcher) route(ctx context.Context, o action.Occurrence, to action.TargetID) (routing.Route, error) {
	if to == "" {
		return d.Routes.Event(ctx, o.Instance, o.Type)
	}
	route := routing.Route{Execution: o.Hook}
	destination, err := d.Routes.Destination(ctx, o.Instance, to)
	if errs.Is(err, errs.NotFound) {
		return route, nil
	}
	route.Destinations = []*routing.Destination{destination}
	return route, err
}

// again handles an event that is recorded already: the same message means that we stopped between recording and publishing, another
// one that the sender repeated itself, and an expired record that it is a new event.
func (d *Dispatcher) again(ctx context.Context, event ledger.Event, deliveries []action.Delivery) error {
	known, err := d.Ledger.Event(ctx, event.Instance, event.Key(), time.Now())
	if errs.Is(err, errs.NotFound) {
		if err := d.Ledger.Accept(ctx, event, deliveries, true); err != nil {
			return err
		}
		return d.publish(ctx, event, deliveries)
	}
	if err != nil {
		return err
	}
	if known.Message != event.Message {
		d.Log.InfoContext(ctx, "duplicate event", "message", event.Message, "first", known.Message)
		return nil
	}
	stored, err := d.Ledger.Deliveries(ctx, known.Instance, known.Deliveries())
	if err != nil {
		return err
	}
	var untried []action.Delivery
	for _, v := range stored {
		if v.State == action.Pending && v.Tried() == 0 {
			untried = append(untried, v.Delivery)
		}
	}
	return d.publish(ctx, known, untried)
}

// publish asks for the first attempt of each delivery that need not wait, and wakes the sweeper for those that their targets' valves hold.
func (d *Dispatcher) publish(ctx context.Context, event ledger.Event, deliveries []action.Delivery) error {
	var free []action.Delivery
	held := false
	for _, delivery := range deliveries {
		held = held || delivery.Held != ""
		if delivery.Held == "" && !delivery.Waits {
			free = append(free, delivery)
		}
	}
	messages, err := queue.EncodeDeliveries(queue.Delivery{EventID: event.ID, Body: event.Body}, free...)
	if err != nil {
		return err
	}
	if held {
		if err := d.Queue.Wake(ctx); err != nil { // the scheduler does it within the minute
			d.Log.WarnContext(ctx, "sweeper not woken", logging.Err, err)
		}
	}
	return d.Queue.Publish(ctx, queue.Deliveries, messages...)
}

// refuse copies a message that cannot be read to the dead letters, with the reason, and lets it go.
func (d *Dispatcher) refuse(ctx context.Context, m queue.Message, reason error) error {
	d.Log.ErrorContext(ctx, "event refused", "message", m.ID, logging.Err, reason)
	return d.Queue.Bury(ctx, queue.DeadLetter{Reason: reason.Error(), At: time.Now().UTC(), Data: m.Data, Attributes: m.Attributes})
}
