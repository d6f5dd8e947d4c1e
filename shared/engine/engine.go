// Package engine runs what stands before a request, before a response and inside a function: it finds the execution, calls its targets one
// after the other, and applies what they answer (actions-v2.md sections 5 and 6; callout.md section 4). The function invoke uses it for hosts
// that ask over HTTP, and embedded hosts within their own process.
//
// What is sent is spliced, not encoded anew: what no target changes keeps every byte, and so every digit of a number. A target's answer takes
// the place of the message that it may change, and of nothing around it.
//
// Who decides what a failure means is the target: with interruptOnError it ends the call with an error, else the call goes on, and the
// result and the log say what failed.
package engine

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/routing"
	"github.com/callout-dev/callout/shared/telemetry"
)

// Routes finds whom a hook calls.
type Routes interface {
	Method(ctx context.Context, instance action.InstanceID, kind action.Kind, fullMethod string) (routing.Route, error)
	Function(ctx context.Context, instance action.InstanceID, name string) (routing.Route, error)
}

// Caller calls a target once.
type Caller interface {
	Call(ctx context.Context, r call.Request) call.Result
}

// Engine runs hooks. It may be used by many at once.
type Engine struct {
	Routes Routes
	Caller Caller
	// Queue takes what is for a target that nobody waits for, and returns when it is durable.
	Queue func(ctx context.Context, to action.TargetID, event action.Occurrence) error
	// Headers are those of a request's headers that targets see.
	Headers Headers
	// Metrics may be nil.
	Metrics *telemetry.Metrics
	Log     *slog.Logger
}

// Outcome says how the call of one target ended.
type Outcome string

// The outcomes (callout.md section 4).
const (
	Success  Outcome = "success"
	Rejected Outcome = "rejected" // the target answered with an error that is meant for the caller
	Failed   Outcome = "failed"
	Timeout  Outcome = "timeout"
	Queued   Outcome = "queued" // nobody waits for it
)

// Called is what became of the call of one target.
type Called struct {
	Target  action.TargetID
	Outcome Outcome
	// Status is the answer's, 0 where there was none.
	Status int
	Took   time.Duration
}

// Result is what a hook came to.
type Result struct {
	// Execution is the one that ran, "" where none matched.
	Execution action.ExecutionID
	// Message is the request or the response as the last target left it: the very bytes that came in where none changed it.
	Message json.RawMessage
	// Answer is what the targets of a function asked for.
	Answer Answer
	// Calls are in the order of the calls.
	Calls []Called
}

// queueTime bounds what a caller waits for the queue, which goes on when the caller is gone.
const queueTime = 5 * time.Second

// Run runs a hook. The context's deadline is the whole chain's: what a target does not do in time it has failed to do. The error is what an
// interrupting target's failure means to the caller, InvalidArgument for a malformed hook, or Unavailable where routes cannot be read; it
// comes with the calls that were made.
func (e *Engine) Run(ctx context.Context, h Hook) (Result, error) {
	start := time.Now()
	result, err := e.run(ctx, h)
	e.Metrics.Hook(ctx, h.Kind, ending(result, err), time.Since(start))
	return result, err
}

func (e *Engine) run(ctx context.Context, h Hook) (Result, error) {
	if err := h.validate(); err != nil {
		return Result{}, err
	}
	route, err := e.route(ctx, h)
	if err != nil {
		return Result{}, err
	}
	c := chain{engine: e, hook: h, result: Result{Execution: route.Execution, Message: h.message()}}
	if len(route.Destinations) > 0 {
		c.frame = h.frame(e.Headers.pick(h.Headers))
	}
	for _, to := range route.Destinations {
		if err := c.step(ctx, to); err != nil {
			return c.result, err
		}
	}
	return c.result, nil
}

func (e *Engine) route(ctx context.Context, h Hook) (routing.Route, error) {
	if h.Kind == action.Function {
		return e.Routes.Function(ctx, h.Instance, h.Function)
	}
	return e.Routes.Method(ctx, h.Instance, h.Kind, h.FullMethod)
}

// canceled is what a caller that has gone is told.
var canceled = errs.New(errs.Canceled, "", "the caller has gone")
