package command_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

// deliveryLog is api.Deliveries, kept in memory. Its tokens are offsets, and its pages are small.
type deliveryLog struct {
	mu       sync.Mutex
	all      []action.DeliveryView
	page     int // 0: as many as are asked for
	asked    []string
	settings action.TargetDelivery
	explain  []action.Explanation
	searches int
}

func (l *deliveryLog) add(d action.Delivery, event action.EventID, target string) action.DeliveryID {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.Event = action.KeyOfEvent("default", "", event)
	d.ID = action.DeliveryOf(d.Event, d.Target)
	if d.Created.IsZero() {
		d.Created = time.Now()
	}
	d.Changed = d.Created
	l.all = append(l.all, action.DeliveryView{Delivery: d, EventID: event, TargetName: target})
	return d.ID
}

func (l *deliveryLog) find(f action.DeliveryFilter, token string, size int) (found []action.DeliveryView, next string) {
	for _, d := range l.all {
		if f.Matches(d.Delivery) {
			found = append(found, d)
		}
	}
	slices.SortStableFunc(found, func(a, b action.DeliveryView) int { return b.Created.Compare(a.Created) })
	from, _ := strconv.Atoi(token)
	from = min(from, len(found))
	size = min(cmp.Or(l.page, size), size)
	if to := from + size; to < len(found) {
		return found[from:to], strconv.Itoa(to)
	}
	return found[from:], ""
}

func (l *deliveryLog) Search(_ context.Context, _ auth.Caller, q action.DeliveryQuery) (action.DeliveryPage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.searches++
	if err := q.Filter.Validate(); err != nil {
		return action.DeliveryPage{}, err
	}
	page := action.DeliveryPage{}
	page.Deliveries, page.Token = l.find(q.Filter, q.Token, q.Size)
	if q.Counts {
		page.Counts = map[action.State]int{}
		for _, d := range l.all {
			page.Counts[d.State]++
		}
	}
	return page, nil
}

func (l *deliveryLog) Get(_ context.Context, _ auth.Caller, id action.DeliveryID) (action.DeliveryView, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.all {
		if d.ID == id {
			return d, nil
		}
	}
	return action.DeliveryView{}, errs.Newf(errs.NotFound, "there is no such delivery")
}

func (l *deliveryLog) note(format string, args ...any) {
	l.asked = append(l.asked, fmt.Sprintf(format, args...))
}

func (l *deliveryLog) Redeliver(ctx context.Context, caller auth.Caller, id action.DeliveryID) (action.DeliveryView, error) {
	d, err := l.Get(ctx, caller, id)
	l.note("redeliver %s", id)
	d.State = action.Pending
	return d, err
}

func (l *deliveryLog) RedeliverAll(_ context.Context, _ auth.Caller, f action.DeliveryFilter, token string, dry bool) (action.Redelivery, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.States = []action.State{action.Dead}
	found, next := l.find(f, token, 1000)
	if dry {
		return action.Redelivery{Matched: len(found), Token: next}, nil
	}
	l.note("redeliver %d", len(found))
	return action.Redelivery{Matched: len(found), Moved: len(found) - 1, Token: next}, nil
}

func (l *deliveryLog) Explain(_ context.Context, _ auth.Caller, id action.EventID, source *string) ([]action.Explanation, error) {
	var found []action.Explanation
	for _, x := range l.explain {
		if x.ID == id && (source == nil || x.Source == *source) {
			found = append(found, x)
		}
	}
	if len(found) == 0 {
		return nil, errs.Newf(errs.NotFound, "no event %q is on record", id)
	}
	return found, nil
}

func (l *deliveryLog) DeleteEvent(context.Context, auth.Caller, action.EventID, *string) error {
	return errs.Newf(errs.Unimplemented, "not asked for by this client")
}

func (l *deliveryLog) Test(_ context.Context, _ auth.Caller, id action.TargetID) (action.TestEvent, error) {
	l.note("test %s", id)
	return action.TestEvent{Event: "e1", Delivery: "d1"}, nil
}

func (l *deliveryLog) Settings(context.Context, auth.Caller, action.TargetID) (action.TargetDelivery, error) {
	return l.settings, nil
}

func (l *deliveryLog) Update(_ context.Context, _ auth.Caller, id action.TargetID, c action.DeliveryChange) (action.TargetDelivery, error) {
	if err := c.Validate(); err != nil {
		return action.TargetDelivery{}, err
	}
	l.note("update %s", id)
	l.settings.Settings, _ = c.Apply(l.settings.Settings)
	if c.Paused != nil && *c.Paused {
		l.settings.Valve = action.Valve{Target: id, State: action.ValvePaused, Reason: action.HoldPaused, Since: time.Now()}
	} else if c.Paused != nil {
		l.settings.Valve = action.Valve{}
	}
	return l.settings, nil
}

func (l *deliveryLog) Pause(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TargetDelivery, error) {
	return l.Update(ctx, caller, id, action.DeliveryChange{Paused: new(true)})
}

func (l *deliveryLog) Resume(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TargetDelivery, error) {
	return l.Update(ctx, caller, id, action.DeliveryChange{Paused: new(false)})
}
