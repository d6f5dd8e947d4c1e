package pubsub_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/pubsub"
)

// sink takes pushes in this process and reads their bodies, as a function would.
type sink struct {
	left atomic.Int64
	done chan struct{}
}

func (s *sink) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	if s.left.Add(-1) == 0 {
		close(s.done)
	}
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: r}, nil
}

// fixedToken is a TokenSource that costs nothing.
type fixedToken struct{}

func (fixedToken) Token(context.Context, string, string) (string, time.Time, error) {
	return "token", time.Now().Add(time.Hour), nil
}

// cpu is the processor time that this process has used, in user and system.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Skip(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkInProcess is the processor time of one message from a publisher in this process, over gRPC in memory or by a direct call; and
// of one that goes on, over the disk, to a function in this process and is acknowledged: publisher, server and push together.
func BenchmarkInProcess(b *testing.B) {
	for _, direct := range []bool{false, true} {
		for _, push := range []bool{false, true} {
			b.Run(fmt.Sprintf("direct=%v/push=%v", direct, push), func(b *testing.B) { inProcess(b, direct, push) })
		}
	}
}

func inProcess(b *testing.B, direct, push bool) {
	s := &sink{done: make(chan struct{})}
	s.left.Store(int64(b.N))
	server, err := pubsub.New(openStore(b), pubsub.Options{Transport: s, Tokens: fixedToken{}})
	if err != nil {
		b.Fatal(err)
	}
	rpc, memory := grpc.NewServer(), memnet.Listen("pubsub")
	server.Register(rpc)
	go func() { _ = rpc.Serve(memory) }()
	b.Cleanup(rpc.Stop)
	b.Cleanup(func() { _ = server.Close(context.Background()) })
	dial := []grpc.DialOption{grpc.WithContextDialer(memory.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials())}
	if direct {
		workers := memnet.NewWorkers()
		b.Cleanup(workers.Close)
		d := &memnet.Direct{MaxRequestBytes: pubsub.MaxRequestBytes, Workers: workers}
		server.Register(d)
		dial = append(dial, grpc.WithUnaryInterceptor(d.Intercept))
	}
	conn, err := grpc.NewClient("passthrough:///pubsub", dial...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	pub := pubsubpb.NewPublisherClient(conn)
	must(b, func() (*pubsubpb.Topic, error) { return pub.CreateTopic(b.Context(), &pubsubpb.Topic{Name: topicT}) })
	if push {
		conf := &pubsubpb.Subscription{Name: subS, Topic: topicT, AckDeadlineSeconds: 600, PushConfig: pushTo(hook)}
		conf.PushConfig.AuthenticationMethod = &pubsubpb.PushConfig_OidcToken_{OidcToken: &pubsubpb.PushConfig_OidcToken{ServiceAccountEmail: "push@p.test"}}
		must(b, func() (*pubsubpb.Subscription, error) {
			return pubsubpb.NewSubscriberClient(conn).CreateSubscription(b.Context(), conf)
		})
	}
	body := bytes.Repeat([]byte("x"), 700)
	attributes := map[string]string{"ce-id": "1234567890", "ce-source": "//projects/p", "ce-type": "user.created", "ce-time": "2026-01-02T03:04:05Z", "ce-specversion": "1.0"}
	b.ResetTimer()
	begin := cpu(b)
	together(16, b.N, func() {
		req := &pubsubpb.PublishRequest{Topic: topicT, Messages: []*pubsubpb.PubsubMessage{{Data: body, Attributes: attributes}}}
		if _, err := pub.Publish(context.Background(), req); err != nil {
			b.Error(err)
		}
	})
	if push {
		<-s.done
	}
	b.ReportMetric(float64((cpu(b)-begin).Microseconds())/float64(b.N), "cpu-µs/msg")
}
