package store

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/logging"
)

const (
	// publishTime bounds what a caller waits for the event of a change that is made: it is not lost if the queue takes it later.
	publishTime = 2 * time.Second
	// outboxTime is when a sweep publishes an event that whoever made the change has not.
	outboxTime = publishTime + 3*time.Second
	// outboxBatch is how many events are published and marked at once.
	outboxBatch = 100
)

// changeDoc makes the document of a change, with what it says outside. With an event it has a time at which it is due and none at which it
// expires, and the other way round when that is published.
func (s *Store) changeDoc(c action.Change, event action.ConfigEvent) (changeDoc, error) {
	at := now()
	doc := changeDoc{Kind: string(c.Kind), ID: c.ID}
	if event.Type == "" {
		doc.Expire = at.Add(action.ChangeKept)
		return doc, nil
	}
	payload, err := event.JSON()
	if err != nil {
		return doc, fmt.Errorf("encode %s: %w", event.Type, err)
	}
	doc.Event, doc.Payload, doc.User, doc.Created, doc.Due = event.Type, payload, s.user, at, at.Add(outboxTime)
	return doc, nil
}

// outgoing is an event in the outbox.
type outgoing struct {
	name  string // of the change's document, "" where it says nothing outside
	event action.Occurrence
	due   time.Time
}

func (d changeDoc) outgoing(name string, c action.Change, key string) outgoing {
	if d.Event == "" {
		return outgoing{}
	}
	c.Key = key
	event := action.Occurrence{Type: d.Event, UserID: d.User, CreatedAt: d.Created, Payload: d.Payload}
	return outgoing{name: name, event: event.OfChange(c), due: d.Due}
}

// publishNow publishes the event of a change that was made just now. If that fails, a sweep does it.
func (s *Store) publishNow(ctx context.Context, out outgoing) {
	if s.Publish == nil || out.name == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTime)
	defer cancel()
	if err := s.publish(ctx, out); err != nil {
		s.log().WarnContext(ctx, "the event of a change is left to a sweep", logging.Event, out.event.ID, logging.Err, err)
	}
}

func (s *Store) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// publish publishes events and marks them in one commit. What stops between the two is published again, with the same id.
func (s *Store) publish(ctx context.Context, out ...outgoing) error {
	events := make([]action.Occurrence, len(out))
	writes := make([]*firestorepb.Write, len(out))
	expire := &firestorepb.Value{ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(now().Add(action.ChangeKept))}}
	for i, o := range out {
		events[i] = o.event
		writes[i] = &firestorepb.Write{
			Operation: &firestorepb.Write_Update{Update: &firestorepb.Document{
				Name: o.name, Fields: map[string]*firestorepb.Value{"expireAt": expire},
			}},
			UpdateMask:      &firestorepb.DocumentMask{FieldPaths: []string{"due", "expireAt"}},
			CurrentDocument: &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_Exists{Exists: true}},
		}
	}
	if err := s.Publish(ctx, events...); err != nil {
		return err
	}
	_, err := s.raw.Commit(ctx, &firestorepb.CommitRequest{Database: strings.TrimSuffix(s.documents, "/documents"), Writes: writes})
	return mapError("mark published events", err)
}

// PublishDue publishes the events of changes that are due, in any instance, and says whether more come due until then.
func (s *Store) PublishDue(ctx context.Context, until time.Time) (more bool, err error) {
	for {
		found, err := s.unpublished(ctx, until)
		if err != nil {
			return false, err
		}
		n := 0
		for n < len(found) && !found[n].due.After(now()) {
			n++
		}
		if n == 0 || s.Publish == nil {
			return len(found) > 0, nil
		}
		if err := s.publish(ctx, found[:n]...); err != nil {
			return false, err
		}
		s.log().InfoContext(ctx, "events of changes published late", "count", n)
		if n < outboxBatch {
			return n < len(found), nil
		}
	}
}

// unpublished reads what is due before a time, the earliest first.
func (s *Store) unpublished(ctx context.Context, until time.Time) ([]outgoing, error) {
	const operation = "read unpublished events"
	stream, err := s.raw.RunQuery(ctx, &firestorepb.RunQueryRequest{
		Parent:    s.documents,
		QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: outboxQuery(until)},
	})
	if err != nil {
		return nil, mapError(operation, err)
	}
	var found []outgoing
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, mapError(operation, err)
		}
		if doc := answer.GetDocument(); doc != nil {
			found = append(found, decodeOutgoing(doc))
		}
	}
}

func outboxQuery(until time.Time) *firestorepb.StructuredQuery {
	due := &firestorepb.StructuredQuery_FieldReference{FieldPath: "due"}
	return &firestorepb.StructuredQuery{
		From: []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: changes, AllDescendants: true}},
		Where: &firestorepb.StructuredQuery_Filter{FilterType: &firestorepb.StructuredQuery_Filter_FieldFilter{
			FieldFilter: &firestorepb.StructuredQuery_FieldFilter{
				Field: due, Op: firestorepb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL,
				Value: &firestorepb.Value{ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(until)}},
			},
		}},
		OrderBy: []*firestorepb.StructuredQuery_Order{{Field: due, Direction: firestorepb.StructuredQuery_ASCENDING}},
		Limit:   wrapperspb.Int32(outboxBatch),
	}
}

func decodeOutgoing(doc *firestorepb.Document) outgoing {
	fields := doc.GetFields()
	event := action.Occurrence{
		Type: fields["event"].GetStringValue(), UserID: fields["user"].GetStringValue(), Payload: fields["payload"].GetBytesValue(),
		CreatedAt: fields["created"].GetTimestampValue().AsTime(),
	}
	return outgoing{name: doc.GetName(), event: event.OfChange(decodeChange(doc)), due: fields["due"].GetTimestampValue().AsTime()}
}
