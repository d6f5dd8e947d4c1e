package store

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
)

// deliveryDoc is what a target says about the delivery of events, as stored.
type deliveryDoc struct {
	ScheduleNanos []int64 `firestore:"scheduleNanos,omitempty"`
	Rate          int     `firestore:"rate,omitempty"`
	Concurrency   int     `firestore:"concurrency,omitempty"`
}

func encodeSettings(d action.DeliverySettings) *deliveryDoc {
	if len(d.Schedule) == 0 && d.Limits.None() {
		return nil
	}
	doc := &deliveryDoc{Rate: d.Limits.Rate, Concurrency: d.Limits.Concurrency}
	for _, wait := range d.Schedule {
		doc.ScheduleNanos = append(doc.ScheduleNanos, int64(wait))
	}
	return doc
}

func decodeSettings(doc *deliveryDoc) action.DeliverySettings {
	if doc == nil {
		return action.DeliverySettings{}
	}
	d := action.DeliverySettings{Limits: action.Limits{Rate: doc.Rate, Concurrency: doc.Concurrency}}
	for _, wait := range doc.ScheduleNanos {
		d.Schedule = append(d.Schedule, time.Duration(wait))
	}
	return d
}

// SetDelivery replaces a target's own rules for the delivery of events; NotFound if there is no such target. The target's time of change
// stays: it is that of what the Action API shows.
func (s *Store) SetDelivery(ctx context.Context, instance action.InstanceID, id action.TargetID, settings action.DeliverySettings) error {
	if !id.Valid() {
		return errUpdateMissing
	}
	return s.change(ctx, "set delivery settings", targetChange(instance, id), func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		snapshot, err := tx.Get(s.target(instance, id))
		if missing(err) {
			return nil, errUpdateMissing
		}
		if err != nil {
			return nil, err
		}
		var doc targetDoc
		if err := snapshot.DataTo(&doc); err != nil {
			return nil, err
		}
		if old := decodeSettings(doc.Delivery); old.Limits == settings.Limits && slices.Equal(old.Schedule, settings.Schedule) {
			return nil, nil
		}
		var value any = firestore.Delete
		if doc := encodeSettings(settings); doc != nil {
			value = doc
		}
		return new(action.ConfigEvent{}), tx.Update(snapshot.Ref, []firestore.Update{{Path: "delivery", Value: value}})
	})
}
