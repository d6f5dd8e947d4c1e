package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
)

const executions = "executions"

// executionDoc is an execution as stored. Its document's id is derived from ID, which may hold slashes.
type executionDoc struct {
	ID      string    `firestore:"id"`
	Targets []string  `firestore:"targets"`
	Created time.Time `firestore:"created"`
	Changed time.Time `firestore:"changed"`
}

func (s *Store) execution(instance action.InstanceID, id action.ExecutionID) *firestore.DocumentRef {
	return s.collection(instance, executions).Doc(action.Key(string(id)))
}

// SetExecution makes targets the list of a condition and says when it was set: now, or earlier if it is the same list already, or the
// zero time for an empty list that was never anything else. ErrExecutionTarget if one of the targets does not exist.
func (s *Store) SetExecution(ctx context.Context, instance action.InstanceID, c action.Condition, ids []action.TargetID) (time.Time, error) {
	var set time.Time
	ref := s.execution(instance, c.ID())
	changed := action.Change{Instance: instance, Kind: action.ChangeExecution, ID: string(c.ID())}
	err := s.change(ctx, "set execution", changed, func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
		set = time.Time{}
		if err := s.checkTargets(tx, instance, ids); err != nil {
			return nil, err
		}
		doc := executionDoc{ID: string(c.ID()), Targets: texts(ids)}
		snapshot, err := tx.Get(ref)
		switch {
		case missing(err) && len(ids) == 0:
			return nil, nil
		case missing(err):
		case err != nil:
			return nil, err
		default:
			var old executionDoc
			if err := snapshot.DataTo(&old); err != nil {
				return nil, err
			}
			if slices.Equal(old.Targets, doc.Targets) {
				set = old.Changed
				return nil, nil
			}
			doc.Created = old.Created
		}
		doc.Changed = now()
		if doc.Created.IsZero() {
			doc.Created = doc.Changed
		}
		set = doc.Changed
		// What a newer version may have put there stays.
		return new(action.ExecutionSet(ids)), tx.Set(ref, doc, firestore.Merge([]string{"id"}, []string{"targets"}, []string{"created"}, []string{"changed"}))
	})
	return set, err
}

func (s *Store) checkTargets(tx *firestore.Transaction, instance action.InstanceID, ids []action.TargetID) error {
	if len(ids) == 0 {
		return nil
	}
	if !allValid(ids) {
		return action.ErrExecutionTarget
	}
	snapshots, err := tx.GetAll(s.targetRefs(instance, ids))
	if err != nil {
		return err
	}
	for _, snapshot := range snapshots {
		if !snapshot.Exists() {
			return action.ErrExecutionTarget
		}
	}
	return nil
}

// ListExecutions reads the wanted part of the executions and how many match in all. Targets that are gone are left out, and so are
// executions that call nobody.
func (s *Store) ListExecutions(ctx context.Context, instance action.InstanceID, q action.ExecutionQuery) ([]action.Execution, int, error) {
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

func decodeExecution(snapshot *firestore.DocumentSnapshot) (action.Execution, error) {
	var doc executionDoc
	if err := snapshot.DataTo(&doc); err != nil {
		return action.Execution{}, fmt.Errorf("execution document %s: %w", snapshot.Ref.ID, err)
	}
	condition, err := action.ParseExecutionID(action.ExecutionID(doc.ID))
	if err != nil {
		return action.Execution{}, fmt.Errorf("execution document %s: %w", snapshot.Ref.ID, err)
	}
	e := action.Execution{Condition: condition, Created: doc.Created, Changed: doc.Changed}
	for _, t := range doc.Targets {
		e.Targets = append(e.Targets, action.TargetID(t))
	}
	return e, nil
}

func allValid(ids []action.TargetID) bool {
	return !slices.ContainsFunc(ids, func(id action.TargetID) bool { return !id.Valid() })
}

func texts(ids []action.TargetID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}
