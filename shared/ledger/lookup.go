package ledger

import (
	"cmp"
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// maxSources is how many events of one id, each of another source, are looked at.
const maxSources = 100

// EventsByID finds the events of an id, whatever their sources, by source; none where there are none. It needs the index on the field id.
func (l *Ledger) EventsByID(ctx context.Context, instance action.InstanceID, id action.EventID, now time.Time) ([]Event, error) {
	var events []Event
	var unreadable error
	query := &firestorepb.StructuredQuery{
		From:  []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: "events"}},
		Where: where("id", firestorepb.StructuredQuery_FieldFilter_EQUAL, text(string(id))),
		Limit: wrapperspb.Int32(maxSources),
	}
	err := l.queryIn(ctx, "find events", l.database+"/documents/instances/"+string(instance), query, func(doc *firestorepb.Document) {
		e, err := decodeEvent(doc)
		if err != nil {
			unreadable = err
		} else if e.Expires.IsZero() || now.Before(e.Expires) {
			events = append(events, e)
		}
	})
	slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.Source, b.Source) })
	return events, cmp.Or(err, unreadable)
}

func (l *Ledger) eventIfThere(ctx context.Context, instance action.InstanceID, key action.EventKey, now time.Time) (Event, bool, error) {
	e, err := l.Event(ctx, instance, key, now)
	if errs.Is(err, errs.NotFound) {
		return Event{}, false, nil
	}
	return e, err == nil, err
}
