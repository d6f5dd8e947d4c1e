package ledger

import (
	"context"
	"io"
	"log/slog"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Ledger keeps events and deliveries in Firestore.
type Ledger struct {
	// OnChange is told of the valves that this ledger changed, after the commit and also when it is not known what became of it; nil: nobody
	// is. Set it before the first write.
	OnChange func(...action.Change)

	client   *firestore.Client
	database string // projects/{p}/databases/{d}
	rules    Rules
	log      *slog.Logger
}

// New makes a ledger in a database, named projects/{p}/databases/{d}.
func New(client *firestore.Client, database string, rules Rules, log *slog.Logger) *Ledger {
	return &Ledger{client: client, database: database, rules: rules, log: log}
}

// Rules are those of the state machine.
func (l *Ledger) Rules() Rules { return l.rules }

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
	return l.commit(ctx, "record event", writes...)
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
	return l.commit(ctx, "save delivery", l.replace(seen, d))
}

// replace is the write that makes a delivery what it is to be, if it is still what was seen.
func (l *Ledger) replace(seen Version, d action.Delivery) *firestorepb.Write {
	return &firestorepb.Write{
		Operation:       &firestorepb.Write_Update{Update: &firestorepb.Document{Name: l.deliveryName(seen.Instance, seen.ID), Fields: encodeDelivery(d)}},
		UpdateMask:      deliveryMask,
		CurrentDocument: &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_UpdateTime{UpdateTime: seen.updated}},
	}
}

func (l *Ledger) commit(ctx context.Context, operation string, writes ...*firestorepb.Write) error {
	_, err := l.client.Commit(ctx, &firestorepb.CommitRequest{Database: l.database, Writes: writes})
	return mapError(operation, err)
}

// get reads documents in one call, those that exist by their names.
func (l *Ledger) get(ctx context.Context, operation string, names []string) (map[string]*firestorepb.Document, error) {
	found := make(map[string]*firestorepb.Document, len(names))
	if len(names) == 0 {
		return found, nil
	}
	stream, err := l.client.BatchGetDocuments(ctx, &firestorepb.BatchGetDocumentsRequest{Database: l.database, Documents: names})
	if err != nil {
		return nil, mapError(operation, err)
	}
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, mapError(operation, err)
		}
		if doc := answer.GetFound(); doc != nil {
			found[doc.GetName()] = doc
		}
	}
}

// Deliveries reads those of an instance that exist, in the order of their ids.
func (l *Ledger) Deliveries(ctx context.Context, instance action.InstanceID, ids []action.DeliveryID) ([]Version, error) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = l.deliveryName(instance, id)
	}
	found, err := l.get(ctx, "read deliveries", names)
	if err != nil {
		return nil, err
	}
	var deliveries []Version
	for _, name := range names {
		if found[name] == nil {
			continue
		}
		v, err := version(found[name])
		if err != nil {
			return nil, err
		}
		deliveries = append(deliveries, v)
	}
	return deliveries, nil
}

// Events reads those of an instance that exist, by their keys.
func (l *Ledger) Events(ctx context.Context, instance action.InstanceID, keys []action.EventKey) (map[action.EventKey]Event, error) {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = l.eventName(instance, key)
	}
	found, err := l.get(ctx, "read events", names)
	if err != nil {
		return nil, err
	}
	events := make(map[action.EventKey]Event, len(found))
	for name, doc := range found {
		e, err := decodeEvent(doc)
		if err != nil {
			return nil, err
		}
		events[action.EventKey(lastSegment(name))] = e
	}
	return events, nil
}
