package api

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	actionv2beta "github.com/callout-dev/callout/shared/gen/zitadel/action/v2beta"
)

// betaFace serves zitadel.action.v2beta with the face of v2: their messages have the same field numbers, so each is written and read again
// as the other. What differs, the face is made with (actions-v2.md section 1.5).
type betaFace struct{ face actionFace }

// translated calls a method of v2 for v2beta: request becomes in, and the answer becomes out. What one of them does not know, like the
// payload type of a target, does not pass.
func translated[In, Out, BetaOut proto.Message](ctx context.Context, request proto.Message, method func(context.Context, In) (Out, error),
	in In, out BetaOut) (BetaOut, error) {
	var none BetaOut
	if err := convert(request, in); err != nil {
		return none, err
	}
	answer, err := method(ctx, in)
	if err != nil {
		return none, err
	}
	return out, convert(answer, out)
}

func convert(from, to proto.Message) error {
	from.ProtoReflect().SetUnknown(nil) // to may know them, with another meaning than the sender's
	wire, err := proto.Marshal(from)
	if err == nil {
		err = proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(wire, to)
	}
	if err != nil {
		return fmt.Errorf("convert %T to %T: %w", from, to, err)
	}
	return nil
}

func (f *betaFace) CreateTarget(ctx context.Context, r *actionv2beta.CreateTargetRequest) (*actionv2beta.CreateTargetResponse, error) {
	return translated(ctx, r, f.face.CreateTarget, &actionv2.CreateTargetRequest{}, &actionv2beta.CreateTargetResponse{})
}

func (f *betaFace) UpdateTarget(ctx context.Context, r *actionv2beta.UpdateTargetRequest) (*actionv2beta.UpdateTargetResponse, error) {
	return translated(ctx, r, f.face.UpdateTarget, &actionv2.UpdateTargetRequest{}, &actionv2beta.UpdateTargetResponse{})
}

func (f *betaFace) DeleteTarget(ctx context.Context, r *actionv2beta.DeleteTargetRequest) (*actionv2beta.DeleteTargetResponse, error) {
	return translated(ctx, r, f.face.DeleteTarget, &actionv2.DeleteTargetRequest{}, &actionv2beta.DeleteTargetResponse{})
}

func (f *betaFace) GetTarget(ctx context.Context, r *actionv2beta.GetTargetRequest) (*actionv2beta.GetTargetResponse, error) {
	return translated(ctx, r, f.face.GetTarget, &actionv2.GetTargetRequest{}, &actionv2beta.GetTargetResponse{})
}

func (f *betaFace) ListTargets(ctx context.Context, r *actionv2beta.ListTargetsRequest) (*actionv2beta.ListTargetsResponse, error) {
	return translated(ctx, r, f.face.ListTargets, &actionv2.ListTargetsRequest{}, &actionv2beta.ListTargetsResponse{})
}

func (f *betaFace) SetExecution(ctx context.Context, r *actionv2beta.SetExecutionRequest) (*actionv2beta.SetExecutionResponse, error) {
	return translated(ctx, r, f.face.SetExecution, &actionv2.SetExecutionRequest{}, &actionv2beta.SetExecutionResponse{})
}

func (f *betaFace) ListExecutions(ctx context.Context, r *actionv2beta.ListExecutionsRequest) (*actionv2beta.ListExecutionsResponse, error) {
	return translated(ctx, r, f.face.ListExecutions, &actionv2.ListExecutionsRequest{}, &actionv2beta.ListExecutionsResponse{})
}

func (f *betaFace) ListExecutionFunctions(ctx context.Context, r *actionv2beta.ListExecutionFunctionsRequest) (*actionv2beta.ListExecutionFunctionsResponse, error) {
	return translated(ctx, r, f.face.ListExecutionFunctions, &actionv2.ListExecutionFunctionsRequest{}, &actionv2beta.ListExecutionFunctionsResponse{})
}

func (f *betaFace) ListExecutionMethods(ctx context.Context, r *actionv2beta.ListExecutionMethodsRequest) (*actionv2beta.ListExecutionMethodsResponse, error) {
	return translated(ctx, r, f.face.ListExecutionMethods, &actionv2.ListExecutionMethodsRequest{}, &actionv2beta.ListExecutionMethodsResponse{})
}

func (f *betaFace) ListExecutionServices(ctx context.Context, r *actionv2beta.ListExecutionServicesRequest) (*actionv2beta.ListExecutionServicesResponse, error) {
	return translated(ctx, r, f.face.ListExecutionServices, &actionv2.ListExecutionServicesRequest{}, &actionv2beta.ListExecutionServicesResponse{})
}
