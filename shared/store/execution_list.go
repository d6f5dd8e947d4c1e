package store

import (
	"context"
	"slices"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/shared/action"
)

// ListExecutions reads the wanted part of the executions and how many match in all. Targets that are gone are left out, and so are
// executions that call nobody. Without filters, by date, that is one query for the page: its price does not grow with the number of
// executions, except for a count after a change. Else, and for the moments in which a target that many executions call is being removed, it
// is a scan.
func (s *Store) ListExecutions(ctx context.Context, instance action.InstanceID, q action.ExecutionQuery) ([]action.Execution, int, error) {
	field := executionSorts[q.Sort]
	if field == "" || len(q.IDs) > 0 || len(q.Kinds) > 0 || len(q.Targets) > 0 {
		return s.scanExecutions(ctx, instance, q)
	}
	all := s.collection(instance, executions).Query
	var someLeave bool
	var total int
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		someLeave, err = s.anyLeaving(groupCtx, instance)
		return err
	})
	group.Go(func() (err error) {
		total, err = s.total(groupCtx, instance, executions, all.OrderBy(field, firestore.Asc))
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	if someLeave {
		return s.scanExecutions(ctx, instance, q)
	}
	var found []action.Execution
	err := each(ctx, paged(all, field, q.Page), func(snapshot *firestore.DocumentSnapshot) error { // after the look at those that leave
		e, err := decodeExecution(snapshot)
		found = append(found, e)
		return err
	})
	return found, total, mapError("list executions", err)
}

// executionSorts are the fields that an index sorts by, whole: ids may be longer than what an index keeps of a text.
var executionSorts = map[action.Sort]string{action.SortCreated: "created", action.SortChanged: "changed"}

// scanExecutions reads all executions, and which of their targets there are.
func (s *Store) scanExecutions(ctx context.Context, instance action.InstanceID, q action.ExecutionQuery) ([]action.Execution, int, error) {
	var all []action.Execution
	var called []action.TargetID
	err := each(ctx, s.collection(instance, executions).Query, func(snapshot *firestore.DocumentSnapshot) error {
		e, err := decodeExecution(snapshot)
		if err == nil && q.Matches(e) {
			all, called = append(all, e), append(called, e.Targets...)
		}
		return err
	})
	if err != nil {
		return nil, 0, mapError("list executions", err)
	}
	slices.Sort(called)
	exists, err := s.existing(ctx, instance, slices.Compact(called))
	if err != nil {
		return nil, 0, err
	}
	var live []action.Execution
	for _, e := range all {
		e.Targets = slices.DeleteFunc(e.Targets, func(id action.TargetID) bool { return !exists[id] })
		if len(e.Targets) > 0 {
			live = append(live, e)
		}
	}
	page, total := q.Select(live)
	return page, total, nil
}
