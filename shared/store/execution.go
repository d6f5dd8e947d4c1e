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
	ID      string   `firestore:"id"`
	Targets []string `firestore:"targets"`
	datesDoc
	// Ended has the dates while the execution calls nobody: lists are ordered by a date, and so pass over what has none of its own.
	Ended *datesDoc `firestore:"ended,omitempty"`
}

type datesDoc struct {
	Created time.Time `firestore:"created,omitempty"`
	Changed time.Time `firestore:"changed,omitempty"`
}

// dates are those of the execution, whether it calls anybody or not.
func (d executionDoc) dates() datesDoc {
	if d.Ended != nil {
		return *d.Ended
	}
	return d.datesDoc
}

// setExecution writes a list and its dates, and nothing else: what a newer version may have put there stays.
func setExecution(tx *firestore.Transaction, ref *firestore.DocumentRef, id action.ExecutionID, targets []string, dates datesDoc) error {
	fields := map[string]any{"id": string(id), "targets": targets}
	if len(targets) > 0 {
		fields["created"], fields["changed"], fields["ended"] = dates.Created, dates.Changed, firestore.Delete
	} else {
		fields["created"], fields["changed"] = firestore.Delete, firestore.Delete
		fields["ended"] = map[string]any{"created": dates.Created, "changed": dates.Changed}
	}
	return tx.Set(ref, fields, firestore.MergeAll)
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
		wanted, dates := texts(ids), datesDoc{Changed: now()}
		snapshot, err := tx.Get(ref)
		switch {
		case missing(err) && len(ids) == 0:
			return nil, nil
		case missing(err):
			dates.Created = dates.Changed
		case err != nil:
			return nil, err
		default:
			var old executionDoc
			if err := snapshot.DataTo(&old); err != nil {
				return nil, err
			}
			if slices.Equal(old.Targets, wanted) {
				set = old.dates().Changed
				return nil, nil
			}
			dates.Created = old.dates().Created
		}
		set = dates.Changed
		return new(action.ExecutionSet(ids)), setExecution(tx, ref, c.ID(), wanted, dates)
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

func decodeExecution(snapshot *firestore.DocumentSnapshot) (action.Execution, error) {
	var doc executionDoc
	if err := snapshot.DataTo(&doc); err != nil {
		return action.Execution{}, fmt.Errorf("execution document %s: %w", snapshot.Ref.ID, err)
	}
	condition, err := action.ParseExecutionID(action.ExecutionID(doc.ID))
	if err != nil {
		return action.Execution{}, fmt.Errorf("execution document %s: %w", snapshot.Ref.ID, err)
	}
	dates := doc.dates()
	e := action.Execution{Condition: condition, Created: dates.Created, Changed: dates.Changed}
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
