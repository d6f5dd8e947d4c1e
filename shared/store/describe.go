package store

import (
	"context"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
)

// withoutSecrets opens nothing: what is read through it has empty keys.
type withoutSecrets struct{ Sealer }

func (withoutSecrets) Open(string, string) (string, error) { return "", nil }

// DescribeTargets reads those of the targets that exist, without their secrets: for who shows targets and has no seal key.
func (s *Store) DescribeTargets(ctx context.Context, instance action.InstanceID, ids []action.TargetID) (map[action.TargetID]action.Target, error) {
	found := map[action.TargetID]action.Target{}
	var refs []*firestore.DocumentRef
	for _, id := range ids {
		if id.Valid() {
			refs = append(refs, s.target(instance, id))
		}
	}
	if len(refs) == 0 {
		return found, nil
	}
	snapshots, err := s.client.GetAll(ctx, refs)
	if err != nil {
		return nil, mapError("read targets", err)
	}
	blind := Store{client: s.client, sealer: withoutSecrets{}}
	for _, snapshot := range snapshots {
		if !snapshot.Exists() {
			continue
		}
		t, err := blind.decodeTarget(instance, snapshot)
		if err != nil {
			return nil, err
		}
		t.SigningKeys = nil
		found[t.ID] = t
	}
	return found, nil
}

// DescribeTarget reads one target without its secrets; NotFound if there is none.
func (s *Store) DescribeTarget(ctx context.Context, instance action.InstanceID, id action.TargetID) (action.Target, error) {
	found, err := s.DescribeTargets(ctx, instance, []action.TargetID{id})
	if err != nil {
		return action.Target{}, err
	}
	t, ok := found[id]
	if !ok {
		return action.Target{}, errReadMissing
	}
	return t, nil
}

// Candidates reads executions by their ids, in that order: whether each is set, and which of its targets exist.
func (s *Store) Candidates(ctx context.Context, instance action.InstanceID, ids []action.ExecutionID) ([]action.Candidate, error) {
	refs := make([]*firestore.DocumentRef, len(ids))
	for i, id := range ids {
		refs[i] = s.execution(instance, id)
	}
	snapshots, err := s.client.GetAll(ctx, refs)
	if err != nil {
		return nil, mapError("read executions", err)
	}
	candidates := make([]action.Candidate, len(ids))
	var called []action.TargetID
	for i, snapshot := range snapshots {
		candidates[i].ID = ids[i]
		if !snapshot.Exists() {
			continue
		}
		e, err := decodeExecution(snapshot)
		if err != nil {
			return nil, err
		}
		candidates[i].Set, candidates[i].Targets, candidates[i].Changed = len(e.Targets) > 0, e.Targets, e.Changed
		called = append(called, e.Targets...)
	}
	exists, err := s.existing(ctx, instance, called)
	if err != nil {
		return nil, err
	}
	for i := range candidates {
		var live []action.TargetID
		for _, t := range candidates[i].Targets {
			if exists[t] {
				live = append(live, t)
			}
		}
		candidates[i].Targets = live
	}
	return candidates, nil
}
