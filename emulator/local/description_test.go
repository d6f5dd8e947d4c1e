package local_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	health "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

var served = []string{"callout.v1.DeliveryService", "callout.v1.EventService", "grpc.health.v1.Health",
	"zitadel.action.v2.ActionService", "zitadel.action.v2beta.ActionService"}

// TestReflection: gRPC's own client, without a token, lists the services and gets their definitions.
func TestReflection(t *testing.T) {
	i := start(t, nil)
	stream, err := reflectionv1.NewServerReflectionClient(i.grpcConn(t)).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	var names []string
	list := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
	for _, s := range ask(list).GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	slices.Sort(names)
	for _, name := range served {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not among %q", name, names)
		}
	}
	for _, name := range names {
		files := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name}}).
			GetFileDescriptorResponse().GetFileDescriptorProto()
		var all []string
		for _, raw := range files {
			var file descriptorpb.FileDescriptorProto
			if err := proto.Unmarshal(raw, &file); err != nil {
				t.Fatal(err)
			}
			for _, s := range file.GetService() {
				all = append(all, file.GetPackage()+"."+s.GetName())
			}
		}
		if !slices.Contains(all, name) {
			t.Errorf("the files of %s are of %q", name, all)
		}
	}
	unknown := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: "a.B"}})
	if code := codes.Code(unknown.GetErrorResponse().GetErrorCode()); code != codes.NotFound {
		t.Errorf("an unknown symbol: %v", unknown)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

func TestReflectionV1Alpha(t *testing.T) {
	i := start(t, nil)
	stream, err := reflectionv1alpha.NewServerReflectionClient(i.grpcConn(t)).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 clients still speak it
	list := &reflectionv1alpha.ServerReflectionRequest{MessageRequest: &reflectionv1alpha.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(list); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	//lint:ignore SA1019 clients still speak it
	if err != nil || len(answer.GetListServicesResponse().GetService()) < len(served) {
		t.Errorf("%v, %v", answer, err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

// TestHealth: gRPC's own client, without a token, is told that each service is served.
func TestHealth(t *testing.T) {
	i := start(t, nil)
	conn := i.grpcConn(t)
	client := health.NewHealthClient(conn)
	for _, name := range append([]string{""}, served...) {
		answer, err := client.Check(t.Context(), &health.HealthCheckRequest{Service: name})
		if err != nil || answer.GetStatus() != health.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", name, answer, err)
		}
	}
	if _, err := client.Check(t.Context(), &health.HealthCheckRequest{Service: "a.B"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: %v", err)
	}
	if all, err := client.List(t.Context(), &health.HealthListRequest{}); err != nil || len(all.GetStatuses()) < len(served)+1 {
		t.Errorf("list: %v, %v", all, err)
	}
	for name, want := range map[string]health.HealthCheckResponse_ServingStatus{
		"": health.HealthCheckResponse_SERVING, actionv2.ActionService_ServiceDesc.ServiceName: health.HealthCheckResponse_SERVING,
		"a.B": health.HealthCheckResponse_SERVICE_UNKNOWN,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		stream, err := client.Watch(ctx, &health.HealthCheckRequest{Service: name})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if diff := cmp.Diff(want, answer.GetStatus()); diff != "" || err != nil {
			t.Errorf("watch %q: %v\n%s", name, err, diff)
		}
		cancel()
	}
	if err := conn.Invoke(t.Context(), "/grpc.health.v1.Health/Heal", &health.HealthCheckRequest{}, &health.HealthCheckResponse{}, grpc.EmptyCallOption{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown method: %v", err)
	}
}
