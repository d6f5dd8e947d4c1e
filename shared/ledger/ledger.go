package ledger

import (
	"context"
	"io"
	"log/slog"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// Ledger keeps events and deliveries in Firestore.
type Ledger struct {
	client   *firestore.Client
	database string // projects/{p}/databases/{d}
	log      *slog.Logger
}

// New makes a ledger in a database, named projects/{p}/databases/{d}.
func New(client *firestore.Client, database string, log *slog.Logger) *Ledger {
	return &Ledger{client: client, database: database, log: log}
}

// Version is a delivery and when it last changed: Save wants to know, so that nobody overwrites what they have not seen.
type Version struct {
	action.Delivery
	updated *timestamppb.Timestamp
}

func (l *Ledger) name(instance action.InstanceID, collection, id string) string {
	return l.database + "/documents/instances/" + string(instance) + "/" + collection + "/" + id
}

func (l *Ledger) eventName(instance action.InstanceID, key action.EventKey) string {
	return l.name(instance, "events", string(key))
}

func (l *Ledger) deliveryName(instance action.InstanceID, id action.DeliveryID) string {
	return l.name(instance, "deliveries", string(id))
}

// Accept records an event and its deliveries in one commit, only if the event is not there yet: AlreadyExists otherwise, and nothing is
// written. Replace overwrites what is there: for an event whose record has expired but was not removed yet.
func (l *Ledger) Accept(ctx context.Context, e Event, deliveries []action.Delivery, replace bool) error {
	write := func(name string, fields map[string]*firestorepb.Value) *firestorepb.Write {
		w := &firestorepb.Write{Operation: &firestorepb.Write_Update{Update: &firestorepb.Document{Name: name, Fields: fields}}}
		if !replace {
			w.CurrentDocument = &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_Exists{Exists: false}}
		}
		return w
	}
	writes := []*firestorepb.Write{write(l.eventName(e.Instance, e.Key()), encodeEvent(e))}
	for _, d := range deliveries {
		writes = append(writes, write(l.deliveryName(d.Instance, d.ID), encodeDelivery(d)))
	}
	_, err := l.client.Commit(ctx, &firestorepb.CommitRequest{Database: l.database, Writes: writes})
	return mapError("record event", err)
}

// Event reads an event; NotFound if there is none, or if it has expired.
func (l *Ledger) Event(ctx context.Context, instance action.InstanceID, key action.EventKey, now time.Time) (Event, error) {
	doc, err := l.client.GetDocument(ctx, &firestorepb.GetDocumentRequest{Name: l.eventName(instance, key)})
	if err != nil {
		return Event{}, mapError("read event", err)
	}
	e, err := decodeEvent(doc)
	if err == nil && !e.Expires.IsZero() && !now.Before(e.Expires) {
		return Event{}, errs.Newf(errs.NotFound, "event %s has expired", key)
	}
	return e, err
}

// Delivery reads a delivery; NotFound if there is none.
func (l *Ledger) Delivery(ctx context.Context, instance action.InstanceID, id action.DeliveryID) (Version, error) {
	doc, err := l.client.GetDocument(ctx, &firestorepb.GetDocumentRequest{Name: l.deliveryName(instance, id)})
	if err != nil {
		return Version{}, mapError("read delivery", err)
	}
	return version(doc)
}

func version(doc *firestorepb.Document) (Version, error) {
	d, err := decodeDelivery(doc)
	return Version{Delivery: d, updated: doc.GetUpdateTime()}, err
}

// Save replaces the delivery that was read as seen: FailedPrecondition if it has changed or gone since.
func (l *Ledger) Save(ctx context.Context, seen Version, d action.Delivery) error {
	_, err := l.client.Commit(ctx, &firestorepb.CommitRequest{Database: l.database, Writes: []*firestorepb.Write{{
		Operation: &firestorepb.Write_Update{Update: &firestorepb.Document{
			Name: l.deliveryName(seen.Instance, seen.ID), Fields: encodeDelivery(d),
		}},
		CurrentDocument: &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_UpdateTime{UpdateTime: seen.updated}},
	}}})
	return mapError("save delivery", err)
}

// Claim moves a due delivery ClaimTime into the future; FailedPrecondition if somebody else was faster.
func (l *Ledger) Claim(ctx context.Context, seen Version, now time.Time) error {
	d := seen.Delivery
	d.Due = now.Add(ClaimTime)
	return l.Save(ctx, seen, d)
}

// Due lists deliveries of a lane, over all instances, that are due until the given time, the longest due first. A document that this
// version cannot read is logged and left out: it must not keep the others waiting.
func (l *Ledger) Due(ctx context.Context, lane string, until time.Time, limit int) ([]Version, error) {
	stream, err := l.client.RunQuery(ctx, &firestorepb.RunQueryRequest{
		Parent:    l.database + "/documents",
		QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: dueQuery(lane, until, limit)},
	})
	if err != nil {
		return nil, mapError("query due deliveries", err)
	}
	var due []Version
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return due, nil
		}
		if err != nil {
			return nil, mapError("query due deliveries", err)
		}
		if answer.GetDocument() == nil {
			continue
		}
		v, err := version(answer.GetDocument())
		if err != nil {
			l.log.ErrorContext(ctx, "delivery left out of the sweep", logging.Err, err)
			continue
		}
		due = append(due, v)
	}
}

func dueQuery(lane string, until time.Time, limit int) *firestorepb.StructuredQuery {
	field := func(name string) *firestorepb.StructuredQuery_FieldReference {
		return &firestorepb.StructuredQuery_FieldReference{FieldPath: name}
	}
	filter := func(name string, op firestorepb.StructuredQuery_FieldFilter_Operator, v *firestorepb.Value) *firestorepb.StructuredQuery_Filter {
		return &firestorepb.StructuredQuery_Filter{FilterType: &firestorepb.StructuredQuery_Filter_FieldFilter{
			FieldFilter: &firestorepb.StructuredQuery_FieldFilter{Field: field(name), Op: op, Value: v},
		}}
	}
	times := newFields()
	times.setTime("until", until)
	return &firestorepb.StructuredQuery{
		From: []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: "deliveries", AllDescendants: true}},
		Where: &firestorepb.StructuredQuery_Filter{FilterType: &firestorepb.StructuredQuery_Filter_CompositeFilter{
			CompositeFilter: &firestorepb.StructuredQuery_CompositeFilter{
				Op: firestorepb.StructuredQuery_CompositeFilter_AND,
				Filters: []*firestorepb.StructuredQuery_Filter{
					filter("lane", firestorepb.StructuredQuery_FieldFilter_EQUAL, text(lane)),
					filter("due", firestorepb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL, times.values["until"]),
				},
			},
		}},
		OrderBy: []*firestorepb.StructuredQuery_Order{{Field: field("due"), Direction: firestorepb.StructuredQuery_ASCENDING}},
		Limit:   wrapperspb.Int32(int32(limit)),
	}
}
