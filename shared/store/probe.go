package store

import (
	"context"
	"fmt"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Index is an order that the database must keep documents in.
type Index struct {
	Collection string
	// Everywhere: of all collections of that name, whatever they lie below.
	Everywhere bool
	Fields     []IndexField
}

// IndexField is one of the fields, in their order.
type IndexField struct {
	Path       string
	Descending bool
}

// Ping reads what the database answers soonest: whether it is there, and whether we may read it.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.client.Collection(instances).Doc(string(action.DefaultInstance)).Get(ctx)
	if missing(err) { // instances have no documents of their own
		return nil
	}
	return mapError("read", err)
}

// Probe asks for documents in an index's order, which only the index can answer. The error is FailedPrecondition where it is not there.
func (s *Store) Probe(ctx context.Context, x Index) error {
	q := s.collection(action.DefaultInstance, x.Collection).Query
	if x.Everywhere {
		q = s.client.CollectionGroup(x.Collection).Query
	}
	for _, f := range x.Fields {
		direction := firestore.Asc
		if f.Descending {
			direction = firestore.Desc
		}
		q = q.OrderBy(f.Path, direction)
	}
	_, err := q.Select().Limit(1).Documents(ctx).GetAll()
	if status.Code(err) == codes.FailedPrecondition {
		return errs.New(errs.FailedPrecondition, "", "the index is not there, or not ready").Because(fmt.Errorf("probe %s: %w", x.Collection, err))
	}
	return mapError("probe", err)
}
