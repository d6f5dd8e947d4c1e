// Package host runs functions: it adapts them to HTTP and to the queue, serves them on HTTP/1.1 and h2c, answers health checks and
// shuts down in order. Towards the queue it is the one place where an error becomes an ack or a nack.
package host

import (
	"context"
	"net/http"

	"golang.org/x/sync/semaphore"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/queue"
)

// EventFunc handles one push of the queue. Nil acknowledges the message; so does bad input, which trying again cannot
// mend. Any other error brings the message back.
type EventFunc func(ctx context.Context, m queue.Message) error

// Trigger says what calls a function.
type Trigger string

// The triggers.
const (
	HTTP  Trigger = "http"
	Event Trigger = "event"
)

// Function is one deployable. Exactly one of HTTP and Event is set, by Trigger.
type Function struct {
	Name    string
	Trigger Trigger
	// Paths are patterns of http.ServeMux; together those of all functions split one origin.
	Paths []string
	// Topics are those whose subscriptions push to Paths, in the same order; for Event only.
	Topics []string
	// Concurrency is how many events one process works on at once, the others wait; 0 is as many as the queue pushes.
	Concurrency int
	Needs       []env.Need
	// Pages: it serves pages for people, and browsers' calls from other origins have no business there.
	Pages bool
	HTTP  func(*env.Clients) (http.Handler, error)
	Event func(*env.Clients) (EventFunc, error)
}

// Handler makes the function ready to be served at its paths.
func (f Function) Handler(c *env.Clients) (http.Handler, error) {
	if f.Trigger == HTTP {
		handler, err := f.HTTP(c)
		if err != nil {
			return nil, err
		}
		handler = traced(c, handler)
		if !f.Pages {
			handler = withCORS(handler)
		}
		return handler, nil
	}
	event, err := f.event(c)
	if err != nil {
		return nil, err
	}
	return &pushHandler{event: event, guard: c.Push, log: c.Log}, nil
}

// event is what handles a push, no more of them at once than Concurrency says.
func (f Function) event(c *env.Clients) (EventFunc, error) {
	event, err := f.Event(c)
	if err != nil {
		return nil, err
	}
	event = traceMessages(c, f.Name, event)
	if f.Concurrency == 0 {
		return event, nil
	}
	return atMost(f.Concurrency, event), nil
}

func atMost(n int, event EventFunc) EventFunc {
	room := semaphore.NewWeighted(int64(n))
	return func(ctx context.Context, m queue.Message) error {
		if err := room.Acquire(ctx, 1); err != nil {
			return err
		}
		defer room.Release(1)
		return event(ctx, m)
	}
}
