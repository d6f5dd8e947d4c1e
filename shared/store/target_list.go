package store

import (
	"context"
	"fmt"
	"math"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"

	"github.com/callout-dev/callout/shared/action"
)

// sortFields are those that an index sorts by, whole: names and endpoints may be longer than what an index keeps of a text.
var sortFields = map[action.Sort]string{
	action.SortCreated: "created", action.SortChanged: "changed", action.SortID: firestore.DocumentID, action.SortType: "type",
	action.SortTimeout: "timeoutNanos", action.SortInterrupt: "interruptOnError",
}

// ListTargets reads the wanted part of the targets and how many match in all. Without filters, and but for names and endpoints, that is one
// query for the page, whose price does not grow with the number of targets, and a count after a change. Else it is a scan.
func (s *Store) ListTargets(ctx context.Context, instance action.InstanceID, q action.TargetQuery) ([]action.Target, int, error) {
	field := sortFields[q.Sort]
	if field == "" || len(q.Names) > 0 || len(q.IDs) > 0 {
		return s.scanTargets(ctx, instance, q)
	}
	all := s.collection(instance, targets).Query
	var found []action.Target
	var total int
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		total, err = s.total(ctx, instance, targets, all)
		return err
	})
	group.Go(func() error {
		err := each(ctx, paged(all, field, q.Page), func(snapshot *firestore.DocumentSnapshot) error {
			t, err := s.decodeTarget(instance, snapshot)
			found = append(found, t)
			return err
		})
		return mapError("list targets", err)
	})
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	return found, total, nil
}

// paged is the wanted part of what a query finds, in the order of a field.
func paged(all firestore.Query, field string, p action.Page) firestore.Query {
	direction := firestore.Desc
	if p.Ascending {
		direction = firestore.Asc
	}
	page := all.OrderBy(field, direction)
	if field != firestore.DocumentID {
		page = page.OrderBy(firestore.DocumentID, direction)
	}
	return page.Offset(int(min(p.Offset, math.MaxInt32))).Limit(int(p.Limit))
}

// scanTargets reads all targets, and opens the secrets of those on the page.
func (s *Store) scanTargets(ctx context.Context, instance action.InstanceID, q action.TargetQuery) ([]action.Target, int, error) {
	var all []action.Target
	snapshots := map[action.TargetID]*firestore.DocumentSnapshot{}
	blind := Store{client: s.client, sealer: withoutSecrets{}}
	err := each(ctx, s.collection(instance, targets).Query, func(snapshot *firestore.DocumentSnapshot) error {
		t, err := blind.decodeTarget(instance, snapshot)
		all, snapshots[t.ID] = append(all, t), snapshot
		return err
	})
	if err != nil {
		return nil, 0, mapError("list targets", err)
	}
	page, total := q.Select(all)
	for i, t := range page {
		if page[i], err = s.decodeTarget(instance, snapshots[t.ID]); err != nil {
			return nil, 0, err
		}
	}
	return page, total, nil
}

// each does something with every document of a query.
func each(ctx context.Context, q firestore.Query, do func(*firestore.DocumentSnapshot) error) error {
	documents := q.Documents(ctx)
	defer documents.Stop()
	for {
		snapshot, err := documents.Next()
		if err == iterator.Done {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(snapshot); err != nil {
			return err
		}
	}
}

func count(ctx context.Context, q firestore.Query) (int, error) {
	const alias = "n"
	result, err := q.NewAggregationQuery().WithCount(alias).Get(ctx)
	if err != nil {
		return 0, mapError("count", err)
	}
	n, ok := result[alias].(*firestorepb.Value)
	if !ok {
		return 0, fmt.Errorf("count: the answer has no number: %v", result)
	}
	return int(n.GetIntegerValue()), nil
}
