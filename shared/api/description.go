package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/callout-dev/callout/shared/gen/openapi"
)

// Described serves what the API says of itself beside next: /openapi.json, gRPC reflection (v1 and v1alpha) and gRPC health. None of it
// asks for a token: what they tell is public, and probes, browsers and `grpcurl list` send none. Stopping ends the watches of the health
// service; nil never does.
func Described(next http.Handler, stopping <-chan struct{}) http.Handler {
	names := serviceNames()
	reflector := grpcreflect.NewStaticReflector(names...)
	h := &healthFace{services: map[string]bool{"": true}, stopping: stopping}
	for _, name := range names {
		h.services[name] = true
	}
	mux := http.NewServeMux()
	mux.Handle(grpcreflect.NewHandlerV1(reflector))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))
	mux.Handle(health.Health_Check_FullMethodName, connect.NewUnaryHandlerSimple(health.Health_Check_FullMethodName, h.check))
	mux.Handle(health.Health_List_FullMethodName, connect.NewUnaryHandlerSimple(health.Health_List_FullMethodName, h.list))
	mux.Handle(health.Health_Watch_FullMethodName, connect.NewServerStreamHandlerSimple(health.Health_Watch_FullMethodName, h.watch))
	mux.Handle("/"+health.Health_ServiceDesc.ServiceName+"/", onlyMethods(health.Health_ServiceDesc, http.NotFoundHandler()))
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openapi.Document) // who does not read on has gone
	})
	mux.HandleFunc("/openapi.json", func(w http.ResponseWriter, _ *http.Request) { writeRoutingError(w, http.StatusMethodNotAllowed) })
	mux.Handle("/", next)
	return mux
}

// serviceNames are those of all services that are served: those of Callout's definitions, and the health service.
func serviceNames() []string {
	names := []string{health.Health_ServiceDesc.ServiceName}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if ours := strings.HasPrefix(file.Path(), "callout/") || strings.HasPrefix(file.Path(), "zitadel/"); ours {
			for i := range file.Services().Len() {
				names = append(names, string(file.Services().Get(i).FullName()))
			}
		}
		return true
	})
	return names
}

// healthFace is grpc.health.v1: who is asked is ready, because it listens only then.
type healthFace struct {
	services map[string]bool
	stopping <-chan struct{}
}

func answer(s health.HealthCheckResponse_ServingStatus) *health.HealthCheckResponse {
	return &health.HealthCheckResponse{Status: s}
}

// now is the state of everything that is served.
func (h *healthFace) now() health.HealthCheckResponse_ServingStatus {
	select {
	case <-h.stopping:
		return health.HealthCheckResponse_NOT_SERVING
	default:
		return health.HealthCheckResponse_SERVING
	}
}

func (h *healthFace) check(_ context.Context, r *health.HealthCheckRequest) (*health.HealthCheckResponse, error) {
	if !h.services[r.GetService()] {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("unknown service"))
	}
	return answer(h.now()), nil
}

func (h *healthFace) list(context.Context, *health.HealthListRequest) (*health.HealthListResponse, error) {
	all := &health.HealthListResponse{Statuses: map[string]*health.HealthCheckResponse{}}
	for name := range h.services {
		all.Statuses[name] = answer(h.now())
	}
	return all, nil
}

// watch tells the state, and once more when the process begins to stop.
func (h *healthFace) watch(ctx context.Context, r *health.HealthCheckRequest,
	stream *connect.ServerStream[health.HealthCheckResponse]) error {
	first := health.HealthCheckResponse_SERVICE_UNKNOWN
	if h.services[r.GetService()] {
		first = h.now()
	}
	if err := stream.Send(answer(first)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-h.stopping:
	}
	if first != health.HealthCheckResponse_SERVING {
		return nil
	}
	return stream.Send(answer(health.HealthCheckResponse_NOT_SERVING))
}
