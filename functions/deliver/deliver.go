// Package deliver is the function behind the deliveries topics: it makes one attempt of a delivery and records it. What a target
// answers never becomes a nack; only what is wrong on our side brings a message back.
package deliver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/store"
)

const (
	// recordTime bounds the recording of an attempt, which goes on when the push is gone.
	recordTime = 30 * time.Second
	// recordTries is how often an attempt is recorded on a delivery that changed meanwhile.
	recordTries = 4
	// tickWithin: a retry that is due sooner than this wakes the sweeper, which the scheduler wakes each minute anyway.
	tickWithin = time.Minute
)

// Deliverer handles the deliveries topics.
type Deliverer struct {
	Store     *store.Store
	Ledger    *ledger.Ledger
	Queue     *queue.Queue
	Caller    call.Caller
	Rules     ledger.Rules
	LogBodies env.LogBodies
	Log       *slog.Logger

	mu       sync.Mutex
	lastTick time.Time
}

// job is one attempt to be made.
type job struct {
	seen   ledger.Version
	target action.Target
	event  action.EventID
	body   []byte
}

// Handle takes one push.
func (d *Deliverer) Handle(ctx context.Context, e cloudevents.Event) error {
	push, err := queue.DecodePush(e.Data())
	if err != nil {
		return errs.Newf(errs.InvalidArgument, "deliveries push").Because(err)
	}
	message, err := queue.DecodeDelivery(push)
	if err != nil {
		return errs.Newf(errs.InvalidArgument, "deliveries message").Because(err)
	}
	ctx = logging.With(ctx, slog.String(logging.Delivery, string(message.ID)))
	seen, err := d.Ledger.Delivery(ctx, message.Instance, message.ID)
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil || seen.State.Final() || seen.Tried() != message.Tried {
		return err
	}
	target, err := d.Store.Target(ctx, message.Instance, seen.Target)
	switch {
	case errs.Is(err, errs.NotFound):
		return d.giveUp(ctx, seen, ReasonTargetRemoved)
	case errs.Is(err, errs.Internal) && ctx.Err() == nil:
		return d.unreadable(ctx, seen, err)
	case err != nil:
		return err
	}
	if time.Until(seen.Due) < target.Timeout { // somebody else is about to work on it, or does
		return nil
	}
	j, err := d.job(ctx, seen, target, message)
	if err != nil {
		return err
	}
	return d.attempt(ctx, j)
}

func (d *Deliverer) job(ctx context.Context, seen ledger.Version, target action.Target, message queue.Delivery) (job, error) {
	if len(message.Body) > 0 {
		return job{seen, target, message.EventID, message.Body}, nil
	}
	event, err := d.Ledger.Event(ctx, message.Instance, seen.Event, time.Time{})
	return job{seen, target, event.ID, event.Body}, err
}

// attempt calls the target and records what happened, once for each call.
func (d *Deliverer) attempt(ctx context.Context, j job) error {
	result := d.Caller.Call(ctx, call.Request{
		Target: j.target, Body: j.body, WebhookID: j.event.WebhookID(), Delivery: j.seen.ID, Attempt: j.seen.Tried() + 1, Keep: action.MaxAnswer,
	})
	if errors.Is(result.Cause, context.Canceled) {
		return result.Cause // we are being stopped: nothing is known of the target
	}
	a := action.Attempt{
		Number: j.seen.Tried() + 1, Start: result.Start.UTC().Truncate(time.Microsecond), Took: result.Took,
		Status: result.Status, Outcome: result.Outcome, Error: result.Error,
	}
	if d.LogBodies.Keep(a.Outcome) {
		a.Answer = string(result.Answer)
	}
	recorded, err := d.record(ctx, j, a, result.RetryAfter)
	d.log(ctx, j, a, recorded.State, result.Cause, err)
	if err != nil {
		return err
	}
	return d.wake(ctx, recorded.Due)
}

func (d *Deliverer) log(ctx context.Context, j job, a action.Attempt, state action.State, cause, err error) {
	level := slog.LevelInfo
	if state == action.Dead || err != nil {
		level = slog.LevelError
	}
	attrs := []slog.Attr{
		slog.String(logging.Event, string(j.event)), slog.String(logging.Target, string(j.target.ID)), slog.Int(logging.Attempt, a.Number),
		slog.String(logging.Outcome, string(a.Outcome)), slog.Int("status", a.Status), slog.String("state", string(state)),
		slog.Duration(logging.Took, a.Took),
	}
	if cause != nil {
		attrs = append(attrs, slog.String("cause", errs.Brief(cause.Error())))
	}
	if err != nil {
		attrs = append(attrs, slog.String(logging.Err, err.Error()))
	}
	d.Log.LogAttrs(ctx, level, "delivery attempted", attrs...)
}

// wake asks for a sweep when something is due before the scheduler would ask, at most once a second.
func (d *Deliverer) wake(ctx context.Context, due time.Time) error {
	now := time.Now()
	if due.IsZero() || due.Sub(now) > tickWithin || !d.takeTick(now) {
		return nil
	}
	if err := d.Queue.Publish(ctx, queue.Ticks, queue.Message{Data: []byte("{}")}); err != nil {
		// The attempt is recorded, and the scheduler wakes the sweeper anyway: no reason to call the target again.
		d.Log.WarnContext(ctx, "sweeper not woken", logging.Err, err)
	}
	return nil
}

func (d *Deliverer) takeTick(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.lastTick) < time.Second {
		return false
	}
	d.lastTick = now
	return true
}
