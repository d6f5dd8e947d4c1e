package routing

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Config reads the configuration.
type Config interface {
	// Executions reads those of the executions that exist, in one read. The unreadable exist too, and cannot be used.
	Executions(ctx context.Context, instance action.InstanceID, ids []action.ExecutionID) (found []action.Execution, unreadable map[action.ExecutionID]error, err error)
	// Targets reads those of the targets that exist, in one read. The unreadable are among the found, with what could be read of them.
	Targets(ctx context.Context, instance action.InstanceID, ids []action.TargetID) (found []action.Target, unreadable map[action.TargetID]error, err error)
	// Changes reads what changed in any instance after since, at most action.MaxChanges of it, and when that was so by the server's clock.
	Changes(ctx context.Context, since time.Time) (changes []action.Change, asOf time.Time, err error)
}

// Valves reads the valves of those of the targets that have one, in one read.
type Valves interface {
	Valves(ctx context.Context, instance action.InstanceID, ids []action.TargetID) ([]action.Valve, error)
}

// Destination is a target and how it stands. It is shared: nobody changes it.
type Destination struct {
	Target action.Target
	// Valve is not shut where the target is in good standing.
	Valve action.Valve
	// Err says why the target cannot be called although it exists; Target then holds what could be read of it, its ID at the least.
	Err error
}

// Hold says why the target must not be called now, "" if it may: its valve is shut, or it has a limit of its own, which only a valve keeps.
func (d *Destination) Hold() action.Hold {
	switch {
	case d.Valve.Shut():
		return d.Valve.Reason
	case !d.Target.Delivery.Limits.None():
		return action.HoldLimited
	}
	return ""
}

// Route is what a condition calls. It is shared: nobody changes it.
type Route struct {
	// Execution is the one that matched, "" where none did.
	Execution action.ExecutionID
	// Destinations are its targets that exist, in order; none where nothing matched.
	Destinations []*Destination
}

// Router answers from memory, and from the database what it does not know. It may be used by many at once.
type Router struct {
	config Config
	valves Valves
	log    *slog.Logger

	generation atomic.Uint64        // moves whenever a fact is gone
	seen       atomic.Pointer[seen] // the last good look; nil before the first
	stale      atomic.Uint64        // how often the known was used because nothing newer was to be had

	mu      sync.Mutex
	cache   *cache
	flights map[question]*flight // the loads that may still be joined
	looking looking
}

// DefaultSize is how many bytes of answers and facts a router keeps, as far as it can tell: 100,000 executions of one target each, and
// the misses around them, take about half.
const DefaultSize = 256 << 20

// New makes a router.
func New(config Config, valves Valves, log *slog.Logger) *Router {
	return &Router{config: config, valves: valves, log: log, cache: newCache(DefaultSize), flights: map[question]*flight{}}
}

// Event finds the execution of an event: the event's own, its groups from the longest on, that of all events (callout.md section 10: on
// "." boundaries only). The first that has an existing target is the one.
func (r *Router) Event(ctx context.Context, instance action.InstanceID, eventType string) (Route, error) {
	return r.route(ctx, question{instance, ofEvent, eventType})
}

// Method finds the execution of a request or a response: that of the method, of its service, of all. Kind is action.Request or
// action.Response; fullMethod is /package.Service/Method, and anything else matches that of all alone.
func (r *Router) Method(ctx context.Context, instance action.InstanceID, kind action.Kind, fullMethod string) (Route, error) {
	q := question{instance, ofRequest, fullMethod}
	switch kind {
	case action.Request:
	case action.Response:
		q.subject = ofResponse
	default:
		return Route{}, errs.Newf(errs.Internal, "route a method: kind %q", kind)
	}
	if !isMethod(fullMethod) {
		q.name = ""
	}
	return r.route(ctx, q)
}

// Function finds the execution of a function.
func (r *Router) Function(ctx context.Context, instance action.InstanceID, name string) (Route, error) {
	return r.route(ctx, question{instance, ofFunction, name})
}

func (r *Router) route(ctx context.Context, q question) (Route, error) {
	a, err := r.ask(ctx, q)
	if err != nil {
		return Route{}, err
	}
	return a.route, a.err
}

// Destination finds a target: NotFound if there is none. One that cannot be called has an Err of its own.
func (r *Router) Destination(ctx context.Context, instance action.InstanceID, id action.TargetID) (*Destination, error) {
	a, err := r.ask(ctx, question{instance, ofTarget, string(id)})
	if err != nil {
		return nil, err
	}
	if a.err != nil {
		return nil, a.err
	}
	return a.route.Destinations[0], nil
}

// ask answers from memory if it may, without allocating anything.
func (r *Router) ask(ctx context.Context, q question) (*answer, error) {
	r.refresh(ctx)
	r.mu.Lock()
	a, known := r.cache.get(q)
	r.mu.Unlock()
	if known && a.holds(r.generation.Load()) {
		return a, nil
	}
	return r.load(ctx, q)
}

// Forget drops what has changed. Who wrote a change calls it when the commit has ended, well or not.
func (r *Router) Forget(changes ...action.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		r.forget(c)
	}
}

// forget needs the lock. A kind that this version does not know is of nothing that it keeps.
func (r *Router) forget(c action.Change) {
	if c.Kind == "" || c.ID == "" {
		r.forgetAll()
		return
	}
	id := factID{instance: c.Instance, name: c.ID}
	switch c.Kind {
	case action.ChangeExecution:
		id.kind = execution
	case action.ChangeTarget, action.ChangeValve:
		id.kind = target
	default:
		return
	}
	r.cache.forget(id)
	for q, f := range r.flights {
		if f.concerns(id) {
			f.keep = false
			delete(r.flights, q)
		}
	}
	r.generation.Add(1)
}

// forgetAll needs the lock.
func (r *Router) forgetAll() {
	r.cache.forgetAll()
	for _, f := range r.flights {
		f.keep = false
	}
	clear(r.flights)
	r.generation.Add(1)
}

func errMissing(id string) error { return errs.Newf(errs.NotFound, "there is no target %s", id) }

func errUnreadable(what, id string, cause error) error {
	return errs.New(errs.Internal, "", fmt.Sprintf("%s %s cannot be read", what, id)).Because(cause)
}
