package deliveries

import (
	"context"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/ledger"
)

// Explain says of each event with an id which executions it could match, which one was taken, and what became of it at each target.
func (o *Operations) Explain(ctx context.Context, caller auth.Caller, id action.EventID, source *string) ([]action.Explanation, error) {
	events, err := o.events(ctx, caller, id, source)
	if err != nil {
		return nil, err
	}
	explanations := make([]action.Explanation, len(events))
	for i, event := range events {
		if explanations[i], err = o.explain(ctx, event); err != nil {
			return nil, err
		}
	}
	return explanations, nil
}

func (o *Operations) explain(ctx context.Context, e ledger.Event) (action.Explanation, error) {
	x := action.Explanation{
		Instance: e.Instance, Source: e.Source, ID: e.ID, Type: e.Type, Created: e.Created, Expires: e.Expires,
		Execution: e.Execution, PayloadDeleted: e.Erased,
	}
	if e.Execution == "" && len(e.Targets) == 1 {
		x.AddressedTo = e.Targets[0]
	}
	var err error
	if x.Candidates, err = o.Configuration.Candidates(ctx, e.Instance, action.EventCandidates(e.Type)); err != nil {
		return x, err
	}
	targets, err := o.Configuration.DescribeTargets(ctx, e.Instance, e.Targets)
	if err != nil {
		return x, err
	}
	versions, err := o.Log.Deliveries(ctx, e.Instance, e.Deliveries())
	if err != nil {
		return x, err
	}
	byID := map[action.DeliveryID]action.Delivery{}
	for _, v := range versions {
		byID[v.ID] = v.Delivery
	}
	for i, id := range e.Deliveries() {
		t, exists := targets[e.Targets[i]]
		d, recorded := byID[id]
		if !recorded {
			d = action.Delivery{ID: id, Instance: e.Instance, Event: e.Key(), Target: e.Targets[i]}
		}
		x.Targets = append(x.Targets, action.Fate{Target: e.Targets[i], Name: t.Name, Exists: exists, Delivery: d})
	}
	return x, nil
}
