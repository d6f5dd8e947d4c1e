// Package dispatch is the function behind the events topic: it matches an event, records it with one delivery for each target, and asks
// for the first attempts.
package dispatch

import (
	"context"
	"log/slog"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/store"
)

// Dispatcher handles the events topic.
type Dispatcher struct {
	Store  *store.Store
	Ledger *ledger.Ledger
	Queue  *queue.Queue
	Rules  ledger.Rules
	// KeepUnmatched is how long an event that matched nothing is kept; 0 means not at all.
	KeepUnmatched time.Duration
	Log           *slog.Logger
}

// Handle takes one push. Whatever fails on our side brings it back, and coming again repeats nothing that was recorded.
func (d *Dispatcher) Handle(ctx context.Context, e cloudevents.Event) error {
	message, err := queue.DecodePush(e.Data())
	if err != nil {
		return errs.Newf(errs.InvalidArgument, "events push").Because(err)
	}
	occurrence, err := queue.DecodeEvent(message)
	if err != nil {
		return d.refuse(ctx, message, err)
	}
	event, deliveries, err := d.match(ctx, occurrence, message.ID)
	if err != nil {
		return err
	}
	ctx = logging.With(ctx, slog.String(logging.Event, string(event.ID)))
	if len(deliveries) == 0 && d.KeepUnmatched == 0 {
		return nil
	}
	err = d.Ledger.Accept(ctx, event, deliveries, false)
	if errs.Is(err, errs.AlreadyExists) {
		return d.again(ctx, event, deliveries)
	}
	if err != nil {
		return err
	}
	d.Log.DebugContext(ctx, "event accepted", logging.Execution, event.Execution, "targets", len(event.Targets))
	return d.publish(ctx, event, deliveries)
}

// match finds whom the event is for, and makes what is to be recorded.
func (d *Dispatcher) match(ctx context.Context, o action.Occurrence, message string) (ledger.Event, []action.Delivery, error) {
	body, err := o.Body()
	if err != nil {
		return ledger.Event{}, nil, err
	}
	execution, targets, err := d.Store.FindExecution(ctx, o.Instance, action.EventCandidates(o.Type))
	if err != nil {
		return ledger.Event{}, nil, err
	}
	now := time.Now().UTC()
	event := ledger.Event{
		Instance: o.Instance, Source: o.Source, ID: o.ID, Type: o.Type, Body: body, Message: message,
		Execution: execution, Targets: targets, Created: now, Expires: now.Add(d.Rules.Retention),
	}
	if len(targets) == 0 {
		event.Expires = now.Add(d.KeepUnmatched)
	}
	var deliveries []action.Delivery
	for _, target := range targets {
		deliveries = append(deliveries, d.Rules.Start(event, target, now))
	}
	return event, deliveries, nil
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
	var waiting []action.Delivery
	for _, id := range known.Deliveries() {
		v, err := d.Ledger.Delivery(ctx, known.Instance, id)
		if errs.Is(err, errs.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if v.State == action.Pending && v.Tried() == 0 {
			waiting = append(waiting, v.Delivery)
		}
	}
	return d.publish(ctx, known, waiting)
}

// publish asks for the first attempt of each delivery.
func (d *Dispatcher) publish(ctx context.Context, event ledger.Event, deliveries []action.Delivery) error {
	messages := make([]queue.Message, len(deliveries))
	for i, delivery := range deliveries {
		var err error
		messages[i], err = queue.EncodeDelivery(queue.Delivery{
			Instance: event.Instance, ID: delivery.ID, Tried: delivery.Tried(), EventID: event.ID, Body: event.Body,
		})
		if err != nil {
			return err
		}
	}
	return d.Queue.Publish(ctx, queue.Deliveries, messages...)
}

// refuse copies a message that cannot be read to the dead letters, with the reason, and lets it go.
func (d *Dispatcher) refuse(ctx context.Context, m queue.Message, reason error) error {
	d.Log.ErrorContext(ctx, "event refused", "message", m.ID, logging.Err, reason)
	letter, err := queue.EncodeDeadLetter(queue.DeadLetter{Reason: reason.Error(), At: time.Now().UTC(), Data: m.Data, Attributes: m.Attributes})
	if err != nil {
		return err
	}
	return d.Queue.Publish(ctx, queue.DeadLetters, letter)
}
