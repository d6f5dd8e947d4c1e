package api

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// maxStates bounds the list in a filter: there are five, and naming one twice is no fault.
const maxStates = 20

func deliveryFilter(m *calloutv1.DeliveryFilter) (action.DeliveryFilter, error) {
	f := action.DeliveryFilter{Target: action.TargetID(m.GetTarget()), EventType: m.GetEventType(), Text: m.GetText()}
	if m == nil {
		return f, nil
	}
	f.Held = m.Held
	if len(m.GetStates()) > maxStates {
		return f, errs.Newf(errs.InvalidArgument, "filter.states: there may be %d at most", maxStates)
	}
	for _, s := range m.GetStates() {
		f.States = append(f.States, action.State(s))
	}
	var err error
	if f.From, err = moment("filter.createdFrom", m.GetCreatedFrom()); err != nil {
		return f, err
	}
	f.To, err = moment("filter.createdTo", m.GetCreatedTo())
	return f, err
}

// moment reads a time of a request; absent is the zero time.
func moment(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, errs.Newf(errs.InvalidArgument, "%s is not a valid time", field)
	}
	return t.AsTime(), nil
}

// deliverySummary is a delivery in a list: of its attempts the last one, without the answer.
func deliverySummary(d action.DeliveryView) *calloutv1.Delivery {
	m := deliveryMessage(d)
	if n := len(m.Attempts); n > 0 {
		m.Attempts = m.Attempts[n-1:]
		m.Attempts[0].Answer = ""
	}
	return m
}

func deliveryMessage(d action.DeliveryView) *calloutv1.Delivery {
	m := &calloutv1.Delivery{
		Id: string(d.ID), EventKey: string(d.Event), EventId: string(d.EventID), Source: d.Source, EventType: d.EventType,
		TargetId: string(d.Target), TargetName: d.TargetName, State: string(d.State), Reason: d.Reason, Held: string(d.Held),
		AttemptCount: int32(d.Tried()), Created: timestamp(d.Created), Changed: timestamp(d.Changed), Due: timestamp(d.Due),
		Expires: timestamp(d.Expires), Follows: string(d.Follows), Waits: d.Waits, Payload: string(d.Payload),
	}
	for _, a := range d.Attempts {
		m.Attempts = append(m.Attempts, &calloutv1.Attempt{
			Number: int32(a.Number), Start: timestamp(a.Start), DurationMs: float64(a.Took.Microseconds()) / 1000, Status: int32(a.Status),
			Outcome: string(a.Outcome), Error: string(a.Error), Answer: a.Answer,
		})
	}
	for _, id := range d.Unblocks {
		m.Unblocks = append(m.Unblocks, string(id))
	}
	return m
}
