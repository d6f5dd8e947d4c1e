package routing

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// loadTime bounds one load, whoever waits for it.
const loadTime = 10 * time.Second

// flight is one load under way, for all who ask the same meanwhile.
type flight struct {
	question question
	done     chan struct{}
	answer   *answer
	err      error

	// The router's lock guards the rest. Keep says that the answer may be kept: there was a look before the load began, so that a later
	// change will be learnt, and none has come since of anything that it reads. Facts are what it reads, or takes as known.
	keep  bool
	facts []*fact
}

// concerns says whether the flight has to do with a thing. If that has changed, the answer is for those who wait, and for nobody else.
func (f *flight) concerns(id factID) bool {
	return slices.ContainsFunc(f.facts, func(g *fact) bool { return g.id == id })
}

// load answers from the database what is not known.
func (r *Router) load(ctx context.Context, q question) (*answer, error) {
	r.mu.Lock()
	f := r.flights[q]
	if f == nil {
		if a, known := r.cache.get(q); known && a.holds(r.generation.Load()) { // somebody was faster
			r.mu.Unlock()
			return a, nil
		}
		f = &flight{question: q.owned(), keep: r.seen.Load() != nil, done: make(chan struct{})}
		r.flights[f.question] = f
		go r.fly(context.WithoutCancel(ctx), f)
	}
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

func ended(ctx context.Context) error {
	kind := errs.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		kind = errs.DeadlineExceeded
	}
	return errs.New(kind, "", "read a route").Because(context.Cause(ctx))
}

func (r *Router) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, loadTime)
	defer cancel()
	defer close(f.done)
	f.answer, f.err = r.resolve(ctx, f)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flights[f.question] == f {
		delete(r.flights, f.question)
	}
	if f.err == nil && f.keep && r.cache.add(f.answer) {
		r.generation.Add(1)
	}
}

// resolve finds the answer.
func (r *Router) resolve(ctx context.Context, f *flight) (*answer, error) {
	if q := f.question; !q.instance.Valid() {
		return nil, errs.Newf(errs.InvalidArgument, "%q cannot be an instance", string(q.instance))
	}
	if f.question.subject == ofTarget {
		return r.resolveTarget(ctx, f)
	}
	a := &answer{question: f.question}
	for rest := f.question.candidates(); len(rest) > 0; {
		facts, err := r.executions(ctx, f, rest)
		if err != nil {
			return nil, err
		}
		for _, e := range facts {
			if found, err := r.resolveExecution(ctx, f, a, e); found || err != nil {
				return a, err
			}
		}
		rest = rest[len(facts):]
	}
	return a, nil
}

// resolveExecution adds to an answer what one candidate says, and whether that is all.
func (r *Router) resolveExecution(ctx context.Context, f *flight, a *answer, e *fact) (found bool, err error) {
	a.facts = append(a.facts, e)
	if e.err != nil {
		a.err = errUnreadable("execution", e.id.name, e.err)
		return true, nil
	}
	if len(e.targets) == 0 {
		return false, nil
	}
	targets, err := r.targets(ctx, f, e.targets)
	if err != nil {
		return false, err
	}
	a.facts = append(a.facts, targets...)
	for _, t := range targets {
		if t.destination != nil {
			a.route.Destinations = append(a.route.Destinations, t.destination)
		}
	}
	if len(a.route.Destinations) == 0 {
		return false, nil
	}
	a.route.Execution = action.ExecutionID(e.id.name)
	return true, nil
}

func (r *Router) resolveTarget(ctx context.Context, f *flight) (*answer, error) {
	id := action.TargetID(f.question.name)
	facts, err := r.targets(ctx, f, []action.TargetID{id})
	if err != nil {
		return nil, err
	}
	a := &answer{question: f.question, facts: facts}
	if len(facts) == 0 || facts[0].destination == nil {
		a.err = errMissing(string(id))
		return a, nil
	}
	a.route.Destinations = []*Destination{facts[0].destination}
	return a, nil
}

// pick gives the facts of some things: those that are known, and new ones that the caller must fill, which are the second result too.
// Of executions, it stops before the first that is not known if there is one before it. From now on, until the flight ends, a change of
// any of them keeps its answer from being kept.
func (r *Router) pick(f *flight, kind factKind, names []string) (facts, unknown []*fact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		id := factID{f.question.instance, kind, name}
		known := r.cache.facts[id]
		if known == nil && kind == execution && len(facts) > 0 && len(unknown) == 0 {
			break
		}
		if known == nil {
			known = &fact{id: id}
			unknown = append(unknown, known)
		}
		facts = append(facts, known)
	}
	f.facts = append(f.facts, facts...)
	return facts, unknown
}

// executions gives the facts of the first candidates, one at the least: as far as they are known, for they may decide, or else of all,
// those that are not known from one read.
func (r *Router) executions(ctx context.Context, f *flight, candidates []action.ExecutionID) ([]*fact, error) {
	names := make([]string, len(candidates))
	for i, id := range candidates {
		names[i] = string(id)
	}
	facts, unknown := r.pick(f, execution, names)
	if len(unknown) == 0 {
		return facts, nil
	}
	var ids []action.ExecutionID
	byID := map[action.ExecutionID]*fact{}
	for _, u := range unknown {
		id := action.ExecutionID(u.id.name)
		ids = append(ids, id)
		byID[id] = u
	}
	found, unreadable, err := r.config.Executions(ctx, f.question.instance, ids)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if u := byID[e.Condition.ID()]; u != nil {
			u.targets = e.Targets
		}
	}
	for id, err := range unreadable {
		if u := byID[id]; u != nil {
			u.err = err
		}
	}
	return facts, nil
}

// targets gives the facts of targets, those that are not known from one read of targets and one of valves at the same time. An id that
// no target can have is left out.
func (r *Router) targets(ctx context.Context, f *flight, wanted []action.TargetID) ([]*fact, error) {
	var names []string
	for _, id := range wanted {
		if id.Valid() && !slices.Contains(names, string(id)) {
			names = append(names, string(id))
		}
	}
	facts, unknown := r.pick(f, target, names)
	if len(unknown) == 0 {
		return facts, nil
	}
	var ids []action.TargetID
	byID := map[action.TargetID]*fact{}
	for _, u := range unknown {
		id := action.TargetID(u.id.name)
		ids = append(ids, id)
		byID[id] = u
	}
	var found []action.Target
	var unreadable map[action.TargetID]error
	var valves []action.Valve
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		found, unreadable, err = r.config.Targets(ctx, f.question.instance, ids)
		return err
	})
	group.Go(func() (err error) {
		valves, err = r.valves.Valves(ctx, f.question.instance, ids)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, t := range found {
		if u := byID[t.ID]; u != nil {
			u.destination = &Destination{Target: t, Valve: action.Valve{Instance: f.question.instance, Target: t.ID}, Err: unreadable[t.ID]}
		}
	}
	for _, v := range valves {
		if u := byID[v.Target]; u != nil && u.destination != nil {
			u.destination.Valve = v
		}
	}
	return facts, nil
}
