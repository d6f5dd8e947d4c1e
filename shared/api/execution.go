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

// Executions are the operations of function executions.
type Executions interface {
	// Set makes the list of a condition and says when it was set: the zero time for an empty list that was never anything else.
	Set(ctx context.Context, caller auth.Caller, c action.Condition, targets []action.TargetID) (time.Time, error)
	// List gives a page and how many executions match in all.
	List(ctx context.Context, caller auth.Caller, q action.ExecutionQuery) ([]action.Execution, int, error)
	// Names are those that may be conditions.
	Names(ctx context.Context, caller auth.Caller) (action.Names, error)
}

// ServeExecutions serves the executions' part of the ActionService over all protocols.
func (b Border) ServeExecutions(operations Executions) (http.Handler, error) {
	face := &executionFace{operations: operations}
	return b.action(face, face)
}

type executionFace struct {
	actionv2.UnimplementedActionServiceServer
	operations Executions
}

func (f *executionFace) SetExecution(ctx context.Context, r *actionv2.SetExecutionRequest) (*actionv2.SetExecutionResponse, error) {
	caller, err := auth.Require(ctx, auth.ExecutionWrite)
	if err != nil {
		return nil, err
	}
	c, err := Condition(r.GetCondition())
	if err != nil {
		return nil, err
	}
	set, err := f.operations.Set(ctx, caller, c, targetIDs(r.GetTargets()))
	if err != nil {
		return nil, err
	}
	return &actionv2.SetExecutionResponse{SetDate: timestamppb.New(set)}, nil
}

func (f *executionFace) ListExecutions(ctx context.Context, r *actionv2.ListExecutionsRequest) (*actionv2.ListExecutionsResponse, error) {
	caller, err := auth.Require(ctx, auth.ExecutionRead)
	if err != nil {
		return nil, err
	}
	q, err := executionQuery(r)
	if err != nil {
		return nil, err
	}
	page, total, err := f.operations.List(ctx, caller, q)
	if err != nil {
		return nil, err
	}
	response := &actionv2.ListExecutionsResponse{
		Pagination: &filterv2.PaginationResponse{TotalResult: uint64(total), AppliedLimit: uint64(q.Page.Limit)},
	}
	for _, e := range page {
		m := &actionv2.Execution{
			Condition: ConditionMessage(e.Condition), CreationDate: timestamppb.New(e.Created), ChangeDate: timestamppb.New(e.Changed),
		}
		for _, id := range e.Targets {
			m.Targets = append(m.Targets, string(id))
		}
		response.Executions = append(response.Executions, m)
	}
	return response, nil
}

func (f *executionFace) ListExecutionFunctions(ctx context.Context, _ *actionv2.ListExecutionFunctionsRequest) (*actionv2.ListExecutionFunctionsResponse, error) {
	names, err := f.names(ctx)
	return &actionv2.ListExecutionFunctionsResponse{Functions: names.Functions}, err
}

func (f *executionFace) ListExecutionMethods(ctx context.Context, _ *actionv2.ListExecutionMethodsRequest) (*actionv2.ListExecutionMethodsResponse, error) {
	names, err := f.names(ctx)
	return &actionv2.ListExecutionMethodsResponse{Methods: names.Methods}, err
}

func (f *executionFace) ListExecutionServices(ctx context.Context, _ *actionv2.ListExecutionServicesRequest) (*actionv2.ListExecutionServicesResponse, error) {
	names, err := f.names(ctx)
	return &actionv2.ListExecutionServicesResponse{Services: names.Services}, err
}

// names wants no permission, only a caller who is known (actions-v2.md section 1.1).
func (f *executionFace) names(ctx context.Context) (action.Names, error) {
	caller, err := auth.Authenticated(ctx)
	if err != nil {
		return action.Names{}, err
	}
	return f.operations.Names(ctx, caller)
}
