package store

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/logging"
)

const (
	// leaving marks the removal of a target that is still in the lists of executions.
	leaving = "leaving"
	// leaveTime bounds what who removes a target waits for that.
	leaveTime = 2 * time.Second
	// leaveBatch is how many executions one transaction takes a target out of.
	leaveBatch = 100
)

// leaveNow takes a target that was removed just now out of the executions that call it. If that fails, or takes long, a sweep does it.
func (s *Store) leaveNow(ctx context.Context, instance action.InstanceID, id action.TargetID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if err := s.leave(ctx, s.collection(instance, removals).Doc(string(id))); err != nil {
		s.log().WarnContext(ctx, "the executions of a removed target are left to a sweep", logging.Target, id, logging.Err, err)
	}
}

// FinishRemovals takes the targets that were removed, in any instance, out of the executions that call them.
func (s *Store) FinishRemovals(ctx context.Context) error {
	for {
		found, err := s.client.CollectionGroup(removals).Where(leaving, "==", true).Limit(leaveBatch).Documents(ctx).GetAll()
		if err != nil {
			return mapError("read removals", err)
		}
		for _, snapshot := range found {
			if err := s.leave(ctx, snapshot.Ref); err != nil {
				return err
			}
		}
		if len(found) < leaveBatch {
			return nil
		}
	}
}

// leave takes the target of a removal out of all executions. No new one can come to call it, as it is gone. What is taken out is a change
// like any other: who has counted the executions before it counts them again.
func (s *Store) leave(ctx context.Context, removal *firestore.DocumentRef) error {
	instance := action.InstanceID(removal.Parent.Parent.ID)
	callers := s.collection(instance, executions).Where("targets", "array-contains", removal.ID).Limit(leaveBatch)
	for {
		left := 0
		changed := targetChange(instance, action.TargetID(removal.ID))
		err := s.change(ctx, "take a removed target out of executions", changed, func(tx *firestore.Transaction) (*action.ConfigEvent, error) {
			found, err := tx.Documents(callers).GetAll()
			if err != nil {
				return nil, err
			}
			left = len(found)
			for _, snapshot := range found {
				var doc executionDoc
				if err := snapshot.DataTo(&doc); err != nil {
					return nil, err
				}
				others := slices.DeleteFunc(doc.Targets, func(id string) bool { return id == removal.ID })
				if err := setExecution(tx, snapshot.Ref, action.ExecutionID(doc.ID), others, doc.dates()); err != nil {
					return nil, err
				}
			}
			if left < leaveBatch {
				err = tx.Update(removal, []firestore.Update{{Path: leaving, Value: firestore.Delete}})
			}
			if left == 0 || err != nil {
				return nil, err
			}
			return new(action.ConfigEvent{}), nil
		})
		if err != nil || left < leaveBatch {
			return err
		}
	}
}

// anyLeaving says whether there are targets that are gone and yet called by executions.
func (s *Store) anyLeaving(ctx context.Context, instance action.InstanceID) (bool, error) {
	found, err := s.collection(instance, removals).Where(leaving, "==", true).Select().Limit(1).Documents(ctx).GetAll()
	return len(found) > 0, mapError("read removals", err)
}
