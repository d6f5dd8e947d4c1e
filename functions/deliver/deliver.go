// Package deliver is the function behind the deliveries topics: it makes one attempt of a delivery and records it. What a target
// answers never becomes a nack; only what is wrong on our side brings a message back.
package deliver

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/routing"
	"github.com/callout-dev/callout/shared/telemetry"
)

const (
	// recordTime bounds the recording of an attempt, which goes on when the push is gone.
	recordTime = 30 * time.Second
	// recordTries is how often an attempt is recorded on a delivery that changed meanwhile.
	recordTries = 4
)

// Routes finds targets, with their valves.
type Routes interface {
	Destination(ctx context.Context, instance action.InstanceID, id action.TargetID) (*routing.Destination, error)
}

// Deliverer handles the deliveries topics.
type Deliverer struct {
	Routes    Routes
	Ledger    *ledger.Ledger
	Queue     *queue.Queue
	Caller    call.Caller
	LogBodies env.LogBodies
	Metrics   *telemetry.Metrics
	Log       *slog.Logger

	gate *gate
	desk desk
}

// job is one attempt to be made.
type job struct {
	seen   ledger.Version
	target action.Target
	event  action.EventID
	body   []byte
	trace  string // of the event, where it came without the message
	valve  action.Valve
}

// Handle takes one push.
func (d *Deliverer) Handle(ctx context.Context, m queue.Message) error {
	message, err := queue.DecodeDelivery(m)
	if err != nil {
		return errs.Newf(errs.InvalidArgument, "deliveries message").Because(err)
	}
	ctx = logging.With(ctx, slog.String(logging.Delivery, string(message.ID)))
	if err := d.desk.take(ctx); err != nil {
		return err
	}
	defer d.desk.leave()
	seen, err := d.Ledger.Delivery(ctx, message.Instance, message.ID)
	switch {
	case errs.Is(err, errs.NotFound):
		return nil
	case err != nil:
		return err
	case seen.State.Final():
		return d.free(ctx, seen.Delivery)
	case seen.Tried() != message.Tried:
		return nil // a stale copy
	case seen.Waits:
		return d.wait(ctx, seen)
	}
	to, err := d.Routes.Destination(ctx, message.Instance, seen.Target)
	switch {
	case errs.Is(err, errs.NotFound):
		return d.giveUp(ctx, seen, ledger.ReasonRemoved)
	case err != nil:
		return err
	case to.Err != nil:
		return d.unreadable(ctx, seen, to.Err)
	}
	if time.Until(seen.Due) < to.Target.Timeout { // somebody else is about to work on it, or does
		return nil
	}
	// A pause stops even what was released before it, or asked for by hand.
	if hold := to.Hold(); hold != "" && (!message.Release || to.Valve.State == action.ValvePaused) {
		if err := d.Ledger.Limit(ctx, to.Valve, to.Target.Delivery.Limits, time.Now().UTC()); err != nil {
			return err
		}
		return d.hold(ctx, seen, hold)
	}
	return d.admit(ctx, seen, to, message)
}

// admit makes the attempt, or holds the delivery if its target has its share of calls already.
func (d *Deliverer) admit(ctx context.Context, seen ledger.Version, to *routing.Destination, message queue.Delivery) error {
	j, err := d.job(ctx, seen, to, message)
	if errs.Is(err, errs.NotFound) {
		return d.giveUp(ctx, seen, ledger.ReasonExpired)
	}
	if err != nil {
		return err
	}
	k := key{seen.Instance, seen.Target}
	d.desk.leave()
	start, rate, ok := d.gate.enter(ctx, k, message.Release)
	var result call.Result
	if ok {
		result = d.call(ctx, j)
		d.gate.leave(k, start)
	}
	if err := d.desk.take(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if ok {
		return d.conclude(ctx, j, result)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := time.Now().UTC()
	if message.Release { // the valve lets too many go
		d.stamp(ctx, to.Valve, now)
	}
	valve := ledger.Draining(to.Valve, action.HoldSlow, to.Target.Delivery.Limits, now)
	valve.Rate = max(valve.Rate, rate) // what it does already need not be proved again
	if !to.Valve.Shut() {
		if err := d.shut(ctx, valve); err != nil {
			return err
		}
	}
	return d.hold(ctx, seen, valve.Reason)
}

func (d *Deliverer) job(ctx context.Context, seen ledger.Version, to *routing.Destination, message queue.Delivery) (job, error) {
	j := job{seen: seen, target: to.Target, valve: to.Valve, event: message.EventID, body: message.Body}
	if len(message.Body) > 0 {
		return j, nil
	}
	event, err := d.Ledger.Event(ctx, message.Instance, seen.Event, time.Time{})
	j.event, j.body, j.trace = event.ID, event.Body, event.Trace
	return j, err
}

func (d *Deliverer) call(ctx context.Context, j job) call.Result {
	ctx, span := telemetry.Resume(ctx, "retry", j.trace)
	defer span.End()
	return d.Caller.Call(ctx, call.Request{
		Instance: j.seen.Instance, Target: j.target, Body: j.body, WebhookID: j.event.WebhookID(),
		Delivery: j.seen.ID, Attempt: j.seen.Tried() + 1, Keep: action.MaxAnswer,
	})
}

// conclude records what happened, once for each call.
func (d *Deliverer) conclude(ctx context.Context, j job, result call.Result) error {
	if errors.Is(result.Cause, context.Canceled) {
		return result.Cause // we are being stopped: nothing is known of the target
	}
	if result.Error == action.ErrorPayload && errs.Is(result.Cause, errs.Unavailable) {
		return result.Cause // the database does not tell our keys: no failure of the target, and no attempt
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
	d.count(ctx, j, a, recorded, err)
	if err != nil {
		return err
	}
	d.watch(ctx, j, a)
	d.wake(ctx, recorded.Due)
	return nil
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

// count notes an attempt, and the end of its delivery.
func (d *Deliverer) count(ctx context.Context, j job, a action.Attempt, recorded action.Delivery, err error) {
	d.Metrics.Attempt(ctx, j.target.Type, a)
	if err == nil && recorded.State.Final() {
		d.Metrics.Ended(ctx, j.target.Type, recorded)
	}
}

// wake asks for a sweep when something is due before the scheduler would ask.
func (d *Deliverer) wake(ctx context.Context, due time.Time) {
	if due.IsZero() || time.Until(due) > queue.WakeWithin {
		return
	}
	if err := d.Queue.Wake(ctx); err != nil {
		// What is due is recorded, and the scheduler wakes the sweeper anyway: no reason to call the target again.
		d.Log.WarnContext(ctx, "sweeper not woken", logging.Err, err)
	}
}
