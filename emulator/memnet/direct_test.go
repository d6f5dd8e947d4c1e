package memnet_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/emulator/memnet"
)

// oracle answers as the name of the service in the request says.
type oracle struct {
	grpc_health_v1.UnimplementedHealthServer
	shared *grpc_health_v1.HealthCheckResponse
	seen   *grpc_health_v1.HealthCheckRequest
}

func (o *oracle) Check(ctx context.Context, req *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	o.seen = req
	switch req.Service {
	case "status":
		return nil, status.Error(codes.NotFound, "no such service")
	case "wrapped":
		return nil, fmt.Errorf("check: %w", status.Error(codes.Aborted, "busy"))
	case "context":
		return nil, context.DeadlineExceeded
	case "plain":
		return nil, errors.New("broken")
	case "slow":
		time.Sleep(time.Hour)
	case "metadata":
		md, _ := metadata.FromIncomingContext(ctx)
		out, _ := metadata.FromOutgoingContext(ctx)
		return nil, status.Errorf(codes.FailedPrecondition, "in %v, out %v", md.Get("k"), out.Get("k"))
	}
	return o.shared, nil
}

// connect gives a client of o, direct or over a connection.
func connect(t *testing.T, o *oracle, direct bool) (client grpc_health_v1.HealthClient, stop func()) {
	t.Helper()
	server, l := grpc.NewServer(grpc.MaxRecvMsgSize(1000)), memnet.Listen("x")
	grpc_health_v1.RegisterHealthServer(server, o)
	go func() { _ = server.Serve(l) }()
	dial := []grpc.DialOption{grpc.WithContextDialer(l.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials())}
	workers := memnet.NewWorkers()
	if direct {
		d := &memnet.Direct{MaxRequestBytes: 1000, Workers: workers}
		grpc_health_v1.RegisterHealthServer(d, o)
		dial = append(dial, grpc.WithUnaryInterceptor(d.Intercept))
	}
	conn, err := grpc.NewClient("passthrough:///x", dial...)
	if err != nil {
		t.Fatal(err)
	}
	return grpc_health_v1.NewHealthClient(conn), func() { _ = conn.Close(); server.Stop(); workers.Close() }
}

// A direct call ends as one over a connection does.
func TestDirectIsLikeAConnection(t *testing.T) {
	long := make([]byte, 2000)
	for _, service := range []string{"", "status", "wrapped", "context", "plain", "slow", "metadata", string(long)} {
		var texts []string
		synctest.Test(t, func(t *testing.T) {
			for _, direct := range []bool{false, true} {
				o := &oracle{shared: &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}}
				client, stop := connect(t, o, direct)
				ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "k", "v"), time.Minute)
				begin := time.Now()
				res, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
				cancel()
				texts = append(texts, fmt.Sprint(res.GetStatus(), " ", status.Code(err), " ", status.Convert(err).Message() != "", " after ", time.Since(begin)))
				time.Sleep(time.Hour)
				stop()
			}
		})
		if diff := cmp.Diff(texts[0], texts[1]); diff != "" {
			t.Errorf("%.10q (-connection +direct):\n%s", service, diff)
		}
	}
}

// Neither side holds what the other may change.
func TestDirectSharesNothing(t *testing.T) {
	o := &oracle{shared: &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}}
	client, stop := connect(t, o, true)
	defer stop()
	req := &grpc_health_v1.HealthCheckRequest{Service: "x"}
	res, err := client.Check(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	res.Status, req.Service = 0, "y"
	if o.shared.Status != grpc_health_v1.HealthCheckResponse_SERVING || o.seen.Service != "x" {
		t.Errorf("the server's answer is %v and its request %v", o.shared, o.seen)
	}
}

// Fields that the server has put into its answer in encoded form are decoded for the client.
func TestDirectDecodesTheAnswer(t *testing.T) {
	o := &oracle{shared: &grpc_health_v1.HealthCheckResponse{}}
	wire, err := proto.Marshal(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING})
	if err != nil {
		t.Fatal(err)
	}
	o.shared.ProtoReflect().SetUnknown(wire)
	client, stop := connect(t, o, true)
	defer stop()
	res, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || res.Status != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got %v, %v", res, err)
	}
}

// Streams and methods that nobody registered go over the connection.
func TestDirectLeavesStreams(t *testing.T) {
	client, stop := connect(t, &oracle{}, true)
	defer stop()
	stream, err := client.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}
