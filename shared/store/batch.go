package store

import (
	"context"
	"fmt"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
)

// Executions reads those of the executions that exist, in one read, the targets that are gone still in their lists. One whose document
// cannot be read is among the unreadable.
func (s *Store) Executions(ctx context.Context, instance action.InstanceID, ids []action.ExecutionID) (found []action.Execution,
	unreadable map[action.ExecutionID]error, err error) {
	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		refs[i] = s.execution(instance, id)
	}
	snapshots, err := s.client.GetAll(ctx, refs)
	if err != nil {
		return nil, nil, mapError("read executions", err)
	}
	for i, snapshot := range snapshots {
		if !snapshot.Exists() {
			continue
		}
		e, err := decodeExecution(snapshot)
		if err == nil && e.Condition.ID() != ids[i] {
			err = fmt.Errorf("execution document %s is of %q", snapshot.Ref.ID, e.Condition.ID())
		}
		if err != nil {
			unreadable = note(unreadable, ids[i], err)
			continue
		}
		found = append(found, e)
	}
	return found, unreadable, nil
}

// Targets reads those of the targets that exist, in one read, their keys opened. One that exists but cannot be read whole is there too,
// with what could be read of it, and among the unreadable with the reason.
func (s *Store) Targets(ctx context.Context, instance action.InstanceID, ids []action.TargetID) (found []action.Target,
	unreadable map[action.TargetID]error, err error) {
	snapshots, err := s.client.GetAll(ctx, s.targetRefs(instance, ids))
	if err != nil {
		return nil, nil, mapError("read targets", err)
	}
	for _, snapshot := range snapshots {
		if !snapshot.Exists() {
			continue
		}
		t, err := s.decodeTarget(instance, snapshot)
		if err != nil {
			unreadable = note(unreadable, t.ID, err)
		}
		found = append(found, t)
	}
	return found, unreadable, nil
}

// note adds to a map that is only made where there is something for it.
func note[ID comparable](m map[ID]error, id ID, err error) map[ID]error {
	if m == nil {
		m = map[ID]error{}
	}
	m[id] = err
	return m
}
