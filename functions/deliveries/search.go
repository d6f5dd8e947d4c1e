package deliveries

import (
	"context"
	"slices"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
)

var errMissing = errs.Newf(errs.NotFound, "there is no such delivery")

// Search gives a page of deliveries, the newest first, and where to go on.
func (o *Operations) Search(ctx context.Context, caller auth.Caller, q action.DeliveryQuery) (action.DeliveryPage, error) {
	q.Filter = exact(q.Filter)
	if q.Size < 1 || q.Size > action.MaxDeliveries {
		return action.DeliveryPage{}, errs.Newf(errs.InvalidArgument, "pageSize must be 1 to %d", action.MaxDeliveries)
	}
	if q.Counts && !q.Filter.Indexed() {
		return action.DeliveryPage{}, errs.Newf(errs.InvalidArgument, "counts: filter.eventType, filter.held and filter.text cannot be counted by")
	}
	found, token, err := o.page(ctx, caller, q.Filter, q.Token, q.Size)
	if err != nil {
		return action.DeliveryPage{}, err
	}
	page := action.DeliveryPage{Token: token}
	if q.Counts {
		f := q.Filter
		f.States = nil
		if page.Counts, err = o.Log.Count(ctx, caller.Instance, f, o.Rules.Shards); err != nil {
			return action.DeliveryPage{}, err
		}
	}
	var called []action.TargetID
	for _, v := range found {
		called = append(called, v.Target)
	}
	slices.Sort(called)
	targets, err := o.Configuration.DescribeTargets(ctx, caller.Instance, slices.Compact(called))
	if err != nil {
		return action.DeliveryPage{}, err
	}
	for _, v := range found {
		page.Deliveries = append(page.Deliveries, action.DeliveryView{Delivery: v.Delivery, TargetName: targets[v.Target].Name})
	}
	return page, nil
}

// page searches from a token on and makes the next one.
func (o *Operations) page(ctx context.Context, caller auth.Caller, f action.DeliveryFilter, token string, size int) ([]ledger.Version, string, error) {
	if err := f.Validate(); err != nil {
		return nil, "", err
	}
	after, err := decodeToken(caller.Instance, f, token)
	if err != nil {
		return nil, "", err
	}
	found, err := o.Log.Search(ctx, ledger.Search{
		Instance: caller.Instance, Filter: f, After: after, Limit: size, Shards: o.Rules.Shards, Now: time.Now(),
	})
	if err != nil || !found.More {
		return found.Deliveries, "", err
	}
	return found.Deliveries, encodeToken(caller.Instance, f, found.Last), nil
}

// exact brings bounds to the microseconds that the ledger keeps, so that they mean the same in an index and in a comparison: a time just
// after a microsecond excludes it.
func exact(f action.DeliveryFilter) action.DeliveryFilter {
	f.From, f.To = ceil(f.From), ceil(f.To)
	return f
}

func ceil(t time.Time) time.Time {
	down := t.UTC().Truncate(time.Microsecond)
	if t.IsZero() || down.Equal(t) {
		return down
	}
	return down.Add(time.Microsecond)
}

// Get shows one delivery with every attempt, and what its event and its target are called.
func (o *Operations) Get(ctx context.Context, caller auth.Caller, id action.DeliveryID) (action.DeliveryView, error) {
	if !id.Valid() {
		return action.DeliveryView{}, errMissing
	}
	now := time.Now()
	v, err := o.Log.Delivery(ctx, caller.Instance, id)
	if errs.Is(err, errs.NotFound) || err == nil && !v.Expires.IsZero() && !now.Before(v.Expires) {
		return action.DeliveryView{}, errMissing
	}
	if err != nil {
		return action.DeliveryView{}, err
	}
	return o.view(ctx, v.Delivery, now)
}

// view adds what a delivery's event and target are called.
func (o *Operations) view(ctx context.Context, d action.Delivery, now time.Time) (action.DeliveryView, error) {
	view := action.DeliveryView{Delivery: d}
	event, err := o.Log.Event(ctx, d.Instance, d.Event, now)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return action.DeliveryView{}, err
	}
	view.EventID, view.Source, view.Payload = event.ID, event.Source, event.Body
	targets, err := o.Configuration.DescribeTargets(ctx, d.Instance, []action.TargetID{d.Target})
	if err != nil {
		return action.DeliveryView{}, err
	}
	view.TargetName = targets[d.Target].Name
	return view, nil
}
