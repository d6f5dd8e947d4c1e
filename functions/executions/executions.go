// Package executions is the function that keeps executions: when to call which targets.
package executions

import (
	"context"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/catalogue"
	"github.com/callout-dev/callout/shared/store"
)

// Operations are those of api.Executions and api.Catalog.
type Operations struct {
	Store      *store.Store
	Catalogues *catalogue.Keeper
}

// Set makes the list of a condition and says when it was set: the zero time for an empty list that was never anything else.
func (o *Operations) Set(ctx context.Context, caller auth.Caller, c action.Condition, targets []action.TargetID) (time.Time, error) {
	names, err := o.Catalogues.Of(ctx, caller.Instance)
	if err != nil {
		return time.Time{}, err
	}
	if err := names.Check(c); err != nil {
		return time.Time{}, err
	}
	if err := action.ValidateTargets(targets); err != nil {
		return time.Time{}, err
	}
	return o.Store.By(caller.Subject).SetExecution(ctx, caller.Instance, c, targets)
}

// List gives a page and how many executions match in all.
func (o *Operations) List(ctx context.Context, caller auth.Caller, q action.ExecutionQuery) ([]action.Execution, int, error) {
	return o.Store.ListExecutions(ctx, caller.Instance, q)
}

// Names are those that may be conditions.
func (o *Operations) Names(ctx context.Context, caller auth.Caller) (action.Names, error) {
	known, err := o.Catalogues.Of(ctx, caller.Instance)
	if err != nil {
		return action.Names{}, err
	}
	return known.Names(), nil
}
