package local

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/memnet"
)

func TestOneConnectionHasItsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, listener := newServer(), memnet.Listen("server")
		grpc_health_v1.RegisterHealthServer(server, health.NewServer())
		go func() { _ = server.Serve(listener) }()
		defer server.Stop()
		dial := func() grpc_health_v1.HealthClient {
			conn, err := grpc.NewClient("passthrough:///server", grpc.WithContextDialer(listener.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return grpc_health_v1.NewHealthClient(conn)
		}
		greedy, other := dial(), dial()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		for range maxStreams {
			w, err := greedy.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Recv(); err != nil {
				t.Fatal(err)
			}
		}
		check := func(client grpc_health_v1.HealthClient, pairs ...string) codes.Code {
			ctx, stop := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), pairs...), time.Second)
			defer stop()
			_, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			return status.Code(err)
		}
		if got := check(greedy); got != codes.DeadlineExceeded {
			t.Errorf("one stream more: %v, want that it waits", got)
		}
		if got := check(other); got != codes.OK {
			t.Errorf("another connection: %v", got)
		}
		if got := check(other, "x-long", strings.Repeat("x", maxHeaderBytes)); got == codes.OK {
			t.Error("headers beyond the bound are taken")
		}
		stop()
		synctest.Wait()
	})
}
