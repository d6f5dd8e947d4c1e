package engine

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/routing"
)

// chain is a hook on its way from target to target.
type chain struct {
	engine *Engine
	hook   Hook
	frame  frame
	result Result
}

// What an interrupting failure is to the caller (actions-v2.md section 5.4). What the network says goes to the log alone.
var (
	errNoKeys   = errs.New(errs.Internal, "EXEC-thiiCh5b", "An internal error occurred")
	errStatus   = errs.New(errs.FailedPrecondition, "EXEC-dra6yamk98", "Execution failed")
	errNoAnswer = errs.New(errs.Unknown, "EXEC-n0answ3r01", "Execution failed: no answer from the target")
	errTimeout  = errs.New(errs.Unknown, "EXEC-t1me0ut001", "Execution failed: no answer from the target in time")
	errTooLarge = errs.New(errs.Unknown, "EXEC-t00large01", "Execution failed: the target's answer is too large")
	errMessage  = errs.New(errs.Unknown, "EXEC-m3ssage001", "Execution failed: the target's answer cannot be the message")
	errAnswer   = errs.New(errs.FailedPrecondition, "ACTION-4m9s2", "Response is not valid JSON")
	errType     = errs.New(errs.Internal, "EXEC-auqnansr2m", "An internal error occurred")
)

// step calls one target. The error ends the chain.
func (c *chain) step(ctx context.Context, to *routing.Destination) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return canceled
	}
	start := time.Now()
	called, err := c.call(ctx, to)
	if called.Took == 0 {
		called.Took = time.Since(start)
	}
	called.Target = to.Target.ID
	c.result.Calls = append(c.result.Calls, called)
	c.log(ctx, to.Target, called, err)
	if err != nil && to.Target.InterruptOnError && to.Target.Type != action.Async {
		if errors.Is(ctx.Err(), context.Canceled) {
			return canceled
		}
		return err
	}
	return nil
}

func (c *chain) call(ctx context.Context, to *routing.Destination) (Called, error) {
	switch {
	case to.Err != nil:
		return Called{Outcome: Failed}, errNoKeys.Because(to.Err)
	case ctx.Err() != nil:
		return Called{Outcome: Timeout}, errTimeout.Because(ctx.Err())
	}
	switch to.Target.Type {
	case action.Async:
		return c.enqueue(ctx, to.Target)
	case action.Webhook, action.Call:
		return c.exchange(ctx, to.Target)
	default:
		return Called{Outcome: Failed}, errType
	}
}

// body is what the next target receives: with all that the ones before it have changed.
func (c *chain) body() ([]byte, error) {
	if c.hook.Kind != action.Function {
		return c.frame.around(c.result.Message), nil
	}
	answer, err := json.Marshal(c.result.Answer)
	return c.frame.around(answer), err
}

// exchange calls a target that is waited for, and applies its answer.
func (c *chain) exchange(ctx context.Context, t action.Target) (Called, error) {
	body, err := c.body()
	if err != nil {
		return Called{Outcome: Failed}, err
	}
	r := c.engine.Caller.Call(ctx, call.Request{
		Instance: c.hook.Instance, Target: t, Body: body, WebhookID: string(action.NewEventID()), Keep: MaxMessage,
	})
	called := Called{Outcome: Success, Status: r.Status, Took: r.Took}
	switch {
	case r.Outcome == action.Timeout:
		called.Outcome = Timeout
		return called, errTimeout.Because(r.Cause)
	case r.Outcome != action.Success:
		called.Outcome = Failed
		return called, failure(r)
	}
	if err := forwarded(r.Answer, r.Cut); err != nil {
		called.Outcome = Rejected
		return called, err
	}
	if t.Type != action.Call {
		return called, nil
	}
	if r.Cut {
		called.Outcome = Failed
		return called, errTooLarge
	}
	if err := c.apply(r.Answer); err != nil {
		called.Outcome = Failed
		return called, err
	}
	return called, nil
}

// failure is what a call that failed means.
func failure(r call.Result) error {
	if known, ok := errs.As(r.Cause); ok { // the body could not be made
		return known
	}
	if r.Status != 0 {
		return errStatus.Because(r.Cause)
	}
	return errNoAnswer.Because(r.Cause)
}

// enqueue leaves a call to the queue: an event that is for one target.
func (c *chain) enqueue(ctx context.Context, t action.Target) (Called, error) {
	body, err := c.body()
	if err != nil {
		return Called{Outcome: Failed}, err
	}
	event := action.Occurrence{
		Instance: c.hook.Instance, ID: action.NewEventID(), Hook: c.result.Execution, Type: action.HookType(c.result.Execution), UserID: c.hook.UserID,
		Payload: body,
	}.Complete(time.Now().UTC())
	if err := event.Validate(); err != nil {
		return Called{Outcome: Failed}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queueTime)
	defer cancel()
	if err := c.engine.Queue(ctx, t.ID, event); err != nil {
		return Called{Outcome: Failed}, err
	}
	return Called{Outcome: Queued}, nil
}

func (c *chain) log(ctx context.Context, t action.Target, called Called, err error) {
	level, text := slog.LevelDebug, "target called"
	if err != nil {
		level, text = slog.LevelWarn, "target failed; the call goes on"
		if t.InterruptOnError && t.Type != action.Async {
			text = "target failed; the call is stopped"
		}
	}
	attributes := []slog.Attr{
		slog.String(logging.Execution, string(c.result.Execution)), slog.String(logging.Target, string(t.ID)),
		slog.String(logging.Outcome, string(called.Outcome)), slog.Int("status", called.Status), slog.Duration(logging.Took, called.Took),
	}
	if err != nil {
		attributes = append(attributes, slog.Any(logging.Err, err))
	}
	c.engine.Log.LogAttrs(ctx, level, text, attributes...)
}
