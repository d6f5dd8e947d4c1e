package ledger

import (
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

const (
	// maxSources is how many events of one id, each of another source, are looked at.
	maxSources = 100
	// batchGet is how many documents are asked for at once.
	batchGet = 300
)

// EventsByID finds the events of an id, whatever their sources, by source; none where there are none. It needs the index on the field id.
func (l *Ledger) EventsByID(ctx context.Context, instance action.InstanceID, id action.EventID, now time.Time) ([]Event, error) {
	stream, err := l.client.RunQuery(ctx, &firestorepb.RunQueryRequest{
		Parent: l.database + "/documents/instances/" + string(instance),
		QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: &firestorepb.StructuredQuery{
			From:  []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: "events"}},
			Where: compare("id", firestorepb.StructuredQuery_FieldFilter_EQUAL, text(string(id))),
			Limit: wrapperspb.Int32(maxSources),
		}},
	})
	if err != nil {
		return nil, mapError("find events", err)
	}
	var events []Event
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.Source, b.Source) })
			return events, nil
		}
		if err != nil {
			return nil, mapError("find events", err)
		}
		if answer.GetDocument() == nil {
			continue
		}
		e, err := decodeEvent(answer.GetDocument())
		if err != nil {
			return nil, err
		}
		if e.Expires.IsZero() || now.Before(e.Expires) {
			events = append(events, e)
		}
	}
}

func (l *Ledger) eventIfThere(ctx context.Context, instance action.InstanceID, key action.EventKey, now time.Time) (Event, bool, error) {
	e, err := l.Event(ctx, instance, key, now)
	if errs.Is(err, errs.NotFound) {
		return Event{}, false, nil
	}
	return e, err == nil, err
}

// Deliveries reads deliveries by their ids, in no order; those that are not there are left out.
func (l *Ledger) Deliveries(ctx context.Context, instance action.InstanceID, ids []action.DeliveryID) ([]Version, error) {
	var found []Version
	for some := range slices.Chunk(ids, batchGet) {
		var names []string
		for _, id := range some {
			names = append(names, l.deliveryName(instance, id))
		}
		stream, err := l.client.BatchGetDocuments(ctx, &firestorepb.BatchGetDocumentsRequest{Database: l.database, Documents: names})
		if err != nil {
			return nil, mapError("read deliveries", err)
		}
		for {
			answer, err := stream.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, mapError("read deliveries", err)
			}
			if answer.GetFound() == nil {
				continue
			}
			v, err := version(answer.GetFound())
			if err != nil {
				return nil, err
			}
			v.Held = heldOf(answer.GetFound())
			found = append(found, v)
		}
	}
	return found, nil
}
