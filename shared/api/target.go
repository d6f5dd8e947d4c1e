package api

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

// Targets are the operations of function targets.
type Targets interface {
	// Create makes a target with an id and a signing key of its own.
	Create(ctx context.Context, caller auth.Caller, t action.Target) (action.Target, error)
	// Update changes a target; rotated says whether its signing key is a new one.
	Update(ctx context.Context, caller auth.Caller, id action.TargetID, c action.TargetChange) (t action.Target, rotated bool, err error)
	// Delete says when the target was removed: the zero time if there never was one.
	Delete(ctx context.Context, caller auth.Caller, id action.TargetID) (time.Time, error)
	Get(ctx context.Context, caller auth.Caller, id action.TargetID) (action.Target, error)
	// List gives a page and how many targets match in all.
	List(ctx context.Context, caller auth.Caller, q action.TargetQuery) ([]action.Target, int, error)
	PublicKeys
}

// ServeTargets serves the targets' part of the ActionService over all protocols.
func (b Border) ServeTargets(operations Targets) (http.Handler, error) {
	return b.action(&targetFace{operations: operations, maxEndpoint: maxEndpoint}, &targetFace{operations: operations, maxEndpoint: maxBetaEndpoint})
}

type targetFace struct {
	actionv2.UnimplementedActionServiceServer
	operations  Targets
	maxEndpoint int // in characters
}

func (f *targetFace) CreateTarget(ctx context.Context, r *actionv2.CreateTargetRequest) (*actionv2.CreateTargetResponse, error) {
	caller, err := auth.Require(ctx, auth.TargetWrite)
	if err != nil {
		return nil, err
	}
	t, err := newTarget(r, f.maxEndpoint)
	if err != nil {
		return nil, err
	}
	t, err = f.operations.Create(ctx, caller, t)
	if err != nil {
		return nil, err
	}
	return &actionv2.CreateTargetResponse{Id: string(t.ID), CreationDate: timestamppb.New(t.Created), SigningKey: string(t.SigningKey())}, nil
}

func (f *targetFace) UpdateTarget(ctx context.Context, r *actionv2.UpdateTargetRequest) (*actionv2.UpdateTargetResponse, error) {
	caller, err := auth.Require(ctx, auth.TargetWrite)
	if err != nil {
		return nil, err
	}
	change, err := targetChange(r, f.maxEndpoint)
	if err != nil {
		return nil, err
	}
	t, rotated, err := f.operations.Update(ctx, caller, action.TargetID(r.GetId()), change)
	if err != nil {
		return nil, err
	}
	response := &actionv2.UpdateTargetResponse{ChangeDate: timestamppb.New(t.Changed)}
	if rotated {
		key := string(t.SigningKey())
		response.SigningKey = &key
	}
	return response, nil
}

func (f *targetFace) DeleteTarget(ctx context.Context, r *actionv2.DeleteTargetRequest) (*actionv2.DeleteTargetResponse, error) {
	caller, err := auth.Require(ctx, auth.TargetDelete)
	if err != nil {
		return nil, err
	}
	if r.GetId() == "" {
		return nil, errDeleteNoID
	}
	if err := checkLength("DeleteTargetRequest", "Id", r.GetId(), 1, maxID); err != nil {
		return nil, err
	}
	removed, err := f.operations.Delete(ctx, caller, action.TargetID(r.GetId()))
	if err != nil {
		return nil, err
	}
	return &actionv2.DeleteTargetResponse{DeletionDate: timestamp(removed)}, nil
}

func (f *targetFace) GetTarget(ctx context.Context, r *actionv2.GetTargetRequest) (*actionv2.GetTargetResponse, error) {
	caller, err := auth.Require(ctx, auth.TargetRead)
	if err != nil {
		return nil, err
	}
	if err := checkLength("GetTargetRequest", "Id", r.GetId(), 1, maxID); err != nil {
		return nil, err
	}
	t, err := f.operations.Get(ctx, caller, action.TargetID(r.GetId()))
	if err != nil {
		return nil, err
	}
	return &actionv2.GetTargetResponse{Target: targetMessage(t)}, nil
}

func (f *targetFace) ListTargets(ctx context.Context, r *actionv2.ListTargetsRequest) (*actionv2.ListTargetsResponse, error) {
	caller, err := auth.Require(ctx, auth.TargetRead)
	if err != nil {
		return nil, err
	}
	q, err := targetQuery(r)
	if err != nil {
		return nil, err
	}
	page, total, err := f.operations.List(ctx, caller, q)
	if err != nil {
		return nil, err
	}
	response := &actionv2.ListTargetsResponse{
		Pagination: &filterv2.PaginationResponse{TotalResult: uint64(total), AppliedLimit: uint64(q.Page.Limit)},
	}
	for _, t := range page {
		response.Targets = append(response.Targets, targetMessage(t))
	}
	return response, nil
}
