package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

func (f *deliveryFace) TestTarget(ctx context.Context, r *calloutv1.TestTargetRequest) (*calloutv1.TestTargetResponse, error) {
	caller, err := auth.Require(ctx, auth.DeliveryWrite)
	if err != nil {
		return nil, err
	}
	test, err := f.operations.Test(ctx, caller, action.TargetID(r.GetId()))
	if err != nil {
		return nil, err
	}
	return &calloutv1.TestTargetResponse{EventId: string(test.Event), Source: test.Source, DeliveryId: string(test.Delivery)}, nil
}

func (f *deliveryFace) PauseTarget(ctx context.Context, r *calloutv1.PauseTargetRequest) (*calloutv1.TargetDelivery, error) {
	caller, err := auth.Require(ctx, auth.DeliveryWrite)
	if err != nil {
		return nil, err
	}
	return targetDelivery(f.operations.Pause(ctx, caller, action.TargetID(r.GetId())))
}

func (f *deliveryFace) ResumeTarget(ctx context.Context, r *calloutv1.ResumeTargetRequest) (*calloutv1.TargetDelivery, error) {
	caller, err := auth.Require(ctx, auth.DeliveryWrite)
	if err != nil {
		return nil, err
	}
	return targetDelivery(f.operations.Resume(ctx, caller, action.TargetID(r.GetId())))
}

func (f *deliveryFace) GetTargetDelivery(ctx context.Context, r *calloutv1.GetTargetDeliveryRequest) (*calloutv1.TargetDelivery, error) {
	caller, err := auth.Require(ctx, auth.DeliveryRead)
	if err != nil {
		return nil, err
	}
	return targetDelivery(f.operations.Settings(ctx, caller, action.TargetID(r.GetId())))
}

func (f *deliveryFace) UpdateTargetDelivery(ctx context.Context, r *calloutv1.UpdateTargetDeliveryRequest) (*calloutv1.TargetDelivery, error) {
	caller, err := auth.Require(ctx, auth.DeliveryWrite)
	if err != nil {
		return nil, err
	}
	change, err := deliveryChange(r)
	if err != nil {
		return nil, err
	}
	return targetDelivery(f.operations.Update(ctx, caller, action.TargetID(r.GetId()), change))
}

// The words for whether a target is paused.
const (
	stateActive = "active"
	statePaused = "paused"
)

func deliveryChange(r *calloutv1.UpdateTargetDeliveryRequest) (action.DeliveryChange, error) {
	c := action.DeliveryChange{Rate: number(r.RatePerSecond), Concurrency: number(r.Concurrency)}
	if r.Schedule != nil {
		waits, err := schedule(r.GetSchedule())
		if err != nil {
			return c, err
		}
		c.Schedule = &waits
	}
	if r.State != nil {
		if r.GetState() != stateActive && r.GetState() != statePaused {
			return c, errs.Newf(errs.InvalidArgument, "state must be %s or %s", stateActive, statePaused)
		}
		c.Paused = new(r.GetState() == statePaused)
	}
	return c, nil
}

func number(n *int32) *int {
	if n == nil {
		return nil
	}
	return new(int(*n))
}

// schedule reads the waits; how many and how long they may be is the domain's to say.
func schedule(list *structpb.ListValue) ([]time.Duration, error) {
	if len(list.GetValues()) > action.MaxWaits {
		return nil, errs.Newf(errs.InvalidArgument, "schedule: there may be %d waits at most", action.MaxWaits)
	}
	waits := []time.Duration{}
	for i, v := range list.GetValues() {
		text, ok := v.GetKind().(*structpb.Value_StringValue)
		if !ok {
			return nil, errs.Newf(errs.InvalidArgument, `schedule[%d] must be a text like "30s"`, i)
		}
		wait, err := time.ParseDuration(text.StringValue)
		if err != nil {
			return nil, errs.Newf(errs.InvalidArgument, `schedule[%d] must be a duration like "30s", "2m" or "24h"`, i)
		}
		waits = append(waits, wait)
	}
	return waits, nil
}

// targetDelivery makes the message of an operation's answer.
func targetDelivery(t action.TargetDelivery, err error) (*calloutv1.TargetDelivery, error) {
	if err != nil {
		return nil, err
	}
	m := &calloutv1.TargetDelivery{
		Schedule: waitTexts(t.Settings.Schedule), RatePerSecond: int32(t.Settings.Limits.Rate), Concurrency: int32(t.Settings.Limits.Concurrency),
		State: stateActive, EffectiveSchedule: waitTexts(t.Schedule),
	}
	if t.Paused() {
		m.State = statePaused
	}
	if v := t.Valve; v.Shut() {
		m.Valve = &calloutv1.Valve{
			State: string(v.State), Reason: string(v.Reason), Since: timestamp(v.Since), Rate: int32(v.Rate), Held: uint32(t.Held), Next: timestamp(v.Next),
		}
	}
	return m, nil
}

func waitTexts(waits []time.Duration) (texts []string) {
	for _, w := range waits {
		texts = append(texts, action.WaitText(w))
	}
	return texts
}
