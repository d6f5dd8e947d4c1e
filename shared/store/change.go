package store

import (
	"context"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// changes is the feed: each commit that changes something adds a document, so that other processes learn of it.
const changes = "changes"

// changeDoc is a change as stored. Its own name is random, its time the server's: the order of the feed is that of the commits.
type changeDoc struct {
	Kind string    `firestore:"kind"`
	ID   string    `firestore:"id"`
	At   time.Time `firestore:"at,serverTimestamp"`
	// Expire is absent for as long as the change's event is unpublished.
	Expire time.Time `firestore:"expireAt,omitempty"`
	// What the event says; a change that is nobody's business outside has none.
	Event   string    `firestore:"event,omitempty"`
	Payload []byte    `firestore:"payload,omitempty"`
	User    string    `firestore:"user,omitempty"`
	Created time.Time `firestore:"created,omitempty"`
	// Due is set until the event is published: then it is for whoever sweeps.
	Due time.Time `firestore:"due,omitempty"`
}

// change runs fn in a transaction and, where it wrote, adds c to the feed in the same commit, with the event that fn gave. OnChange is told
// after it, also when it is not known what became of the commit; the event is published where the commit is known to be there. Fn gives nil
// where it wrote nothing that anybody need learn of, and an event without a type where the change is nobody's business outside. A try that
// meets what an earlier one of the same call made is Unavailable: it is not for the caller to be told that somebody else has it.
func (s *Store) change(ctx context.Context, operation string, c action.Change,
	fn func(*firestore.Transaction) (event *action.ConfigEvent, err error)) error {
	feed := s.collection(c.Instance, changes).NewDoc() // the same in every try, and so is the event's id
	var doc changeDoc
	wrote := false
	err := s.transact(ctx, operation, func(_ context.Context, tx *firestore.Transaction) error {
		event, err := fn(tx)
		if wrote = err == nil && event != nil; !wrote {
			return err
		}
		if doc, err = s.changeDoc(c, *event); err != nil {
			return err
		}
		return tx.Create(feed, doc)
	})
	if errs.Is(err, errs.AlreadyExists) && s.exists(ctx, feed) {
		err = errUnavailable.Because(fmt.Errorf("%s: a commit held that was told to be aborted: %w", operation, err))
	}
	if s.OnChange != nil && (wrote || err != nil) {
		s.OnChange(c)
	}
	if wrote && err == nil {
		s.publishNow(ctx, doc.outgoing(feed.Path, c, feed.ID))
	}
	return err
}

// exists says whether a document is known to be there.
func (s *Store) exists(ctx context.Context, ref *firestore.DocumentRef) bool {
	_, err := ref.Get(ctx)
	return err == nil
}

// Changes reads what changed in any instance after since, the oldest first and at most action.MaxChanges, and when that was so by the
// server's clock: every commit up to asOf is among what was read, or older than since, or beyond the limit.
func (s *Store) Changes(ctx context.Context, since time.Time) (found []action.Change, asOf time.Time, err error) {
	const operation = "read changes"
	stream, err := s.raw.RunQuery(ctx, &firestorepb.RunQueryRequest{
		Parent:    s.documents,
		QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: changesQuery(since)},
	})
	if err != nil {
		return nil, time.Time{}, mapError(operation, err)
	}
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, time.Time{}, mapError(operation, err)
		}
		if t := answer.GetReadTime(); t != nil {
			asOf = t.AsTime()
		}
		if doc := answer.GetDocument(); doc != nil {
			found = append(found, decodeChange(doc))
		}
	}
	if asOf.IsZero() {
		return nil, time.Time{}, errs.Newf(errs.Internal, "%s: the answer has no time", operation)
	}
	return found, asOf, nil
}

func changesQuery(since time.Time) *firestorepb.StructuredQuery {
	at := &firestorepb.StructuredQuery_FieldReference{FieldPath: "at"}
	return &firestorepb.StructuredQuery{
		From: []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: changes, AllDescendants: true}},
		Where: &firestorepb.StructuredQuery_Filter{FilterType: &firestorepb.StructuredQuery_Filter_FieldFilter{
			FieldFilter: &firestorepb.StructuredQuery_FieldFilter{
				Field: at, Op: firestorepb.StructuredQuery_FieldFilter_GREATER_THAN,
				Value: &firestorepb.Value{ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(since)}},
			},
		}},
		OrderBy: []*firestorepb.StructuredQuery_Order{{Field: at, Direction: firestorepb.StructuredQuery_ASCENDING}},
		Limit:   wrapperspb.Int32(action.MaxChanges),
	}
}

// decodeChange reads a change. One that does not say what it is of has an empty ID, and so stands for everything.
func decodeChange(doc *firestorepb.Document) action.Change {
	fields := doc.GetFields()
	instance, key := placeOf(doc.GetName())
	return action.Change{
		Instance: instance, Key: key, Kind: action.ChangeKind(fields["kind"].GetStringValue()), ID: fields["id"].GetStringValue(),
		At: fields["at"].GetTimestampValue().AsTime(),
	}
}
