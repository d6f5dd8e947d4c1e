package api

import (
	"github.com/callout-dev/callout/shared/action"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

func explanationMessage(x action.Explanation) *calloutv1.EventExplanation {
	m := &calloutv1.EventExplanation{
		Id: string(x.ID), Source: x.Source, Key: string(x.Key()), EventType: x.Type, Created: timestamp(x.Created), Expires: timestamp(x.Expires),
		Execution: string(x.Execution), AddressedTo: string(x.AddressedTo), Summary: x.Summary(), PayloadDeleted: x.PayloadDeleted,
	}
	for i, c := range x.Candidates {
		candidate := &calloutv1.CandidateExplanation{
			Execution: string(c.ID), Exists: c.Live(), Taken: x.Taken(i), Why: x.Why(i),
		}
		for _, t := range c.Targets {
			candidate.Targets = append(candidate.Targets, string(t))
		}
		m.Candidates = append(m.Candidates, candidate)
	}
	for _, t := range x.Targets {
		m.Targets = append(m.Targets, &calloutv1.TargetExplanation{
			TargetId: string(t.Target), TargetName: t.Name, Exists: t.Exists, DeliveryId: string(t.Delivery.ID), State: string(t.Delivery.State),
			AttemptCount: int32(t.Delivery.Tried()), Held: string(t.Delivery.Held), Due: timestamp(t.Delivery.Due), Why: t.Why(),
		})
	}
	return m
}
