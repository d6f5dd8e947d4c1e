package pubsub_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// bare is the least that a durable publish can be: a gRPC call whose handler syncs one write of the same bytes.
type bare struct {
	pubsubpb.UnimplementedPublisherServer
	store *storage.Store
	n     atomic.Uint64
}

func (s *bare) Publish(_ context.Context, req *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	b := s.store.NewBatch()
	for _, m := range req.Messages {
		b.Set(fmt.Appendf(nil, "x%020d", s.n.Add(1)), m.Data)
	}
	return &pubsubpb.PublishResponse{MessageIds: []string{"1"}}, s.store.Commit(b)
}

// bench is a server and the bare one, each on a store on disk and a port of loopback, and a receiver of pushes.
type bench struct {
	ours, bare pubsubpb.PublisherClient
	sub        pubsubpb.SubscriberClient
	store      *storage.Store
	hook       *httptest.Server
	received   func() // called for each push
}

func newBench(b *testing.B, push bool) *bench {
	b.Helper()
	e := &bench{received: func() {}}
	e.hook = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		e.received()
	}))
	b.Cleanup(e.hook.Close)
	e.store = openStore(b)
	server, err := pubsub.New(e.store, pubsub.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ours := serve(b, server.Register)
	b.Cleanup(func() { _ = server.Close(context.Background()) })
	e.ours, e.sub = pubsubpb.NewPublisherClient(ours), pubsubpb.NewSubscriberClient(ours)
	plain := &bare{store: openStore(b)}
	e.bare = pubsubpb.NewPublisherClient(serve(b, func(r grpc.ServiceRegistrar) { pubsubpb.RegisterPublisherServer(r, plain) }))
	conf := &pubsubpb.Subscription{Name: subS, Topic: topicT}
	if push {
		conf.PushConfig = pushTo(e.hook.URL)
	}
	must(b, func() (*pubsubpb.Topic, error) {
		return e.ours.CreateTopic(b.Context(), &pubsubpb.Topic{Name: topicT})
	})
	must(b, func() (*pubsubpb.Subscription, error) { return e.sub.CreateSubscription(b.Context(), conf) })
	return e
}

func openStore(b *testing.B) *storage.Store {
	store, err := storage.Open(storage.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	return store
}

func serve(b *testing.B, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(pubsub.MaxRequestBytes))
	register(server)
	go func() { _ = server.Serve(l) }()
	b.Cleanup(server.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}

func kib() *pubsubpb.PublishRequest {
	return &pubsubpb.PublishRequest{Topic: topicT, Messages: []*pubsubpb.PubsubMessage{{Data: bytes.Repeat([]byte("x"), 1024)}}}
}

// poster keeps its connections, as the pusher does.
var poster = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

func post(b *testing.B, url string) {
	res, err := poster.Post(url, "application/json", bytes.NewReader(make([]byte, 1600)))
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
}

func publishOne(b *testing.B, to pubsubpb.PublisherClient) {
	if _, err := to.Publish(context.Background(), kib()); err != nil {
		b.Error(err)
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// BenchmarkPublishToPush is how long it takes from the call of Publish until the push is received, unloaded, as a multiple of one bare gRPC
// call with one synced write and one bare POST. The bound is 3.
func BenchmarkPublishToPush(b *testing.B) {
	e := newBench(b, true)
	pushed := make(chan time.Time, 1)
	var ours, least []time.Duration
	for b.Loop() {
		e.received = func() { pushed <- time.Now() }
		begin := time.Now()
		publishOne(b, e.ours)
		ours = append(ours, (<-pushed).Sub(begin))
		e.received = func() {}
		begin = time.Now()
		publishOne(b, e.bare)
		post(b, e.hook.URL)
		least = append(least, time.Since(begin))
	}
	b.ReportMetric(float64(median(ours))/float64(median(least)), "×bare(p50)")
	b.ReportMetric(float64(median(ours).Microseconds()), "µs(p50)")
}

// together runs n calls of do from so many goroutines and gives the calls per second.
func together(goroutines, n int, do func()) float64 {
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	begin := time.Now()
	for range goroutines {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				do()
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(begin).Seconds()
}

// BenchmarkDurablePublish is the rate of 64 publishers as a share of the bare call's, by turns: the median of the turns' shares, and the
// middle half of them. The bound is 0.6.
func BenchmarkDurablePublish(b *testing.B) {
	e := newBench(b, false)
	var ours, shares []float64
	for b.Loop() {
		for range 20 {
			bare := together(64, 1000, func() { publishOne(b, e.bare) })
			mine := together(64, 1000, func() { publishOne(b, e.ours) })
			ours, shares = append(ours, mine), append(shares, mine/bare)
		}
	}
	slices.Sort(ours)
	slices.Sort(shares)
	n := len(shares)
	b.ReportMetric(shares[n/2], "ofbare")
	b.ReportMetric(shares[n/4], "ofbare-q1")
	b.ReportMetric(shares[n*3/4], "ofbare-q3")
	b.ReportMetric(ours[n/2], "publishes/s")
}

// BenchmarkThrough is the rate from publish through to push, one message a call, as a share of a bare publish and a bare POST one after the
// other.
func BenchmarkThrough(b *testing.B) {
	const n = 4000
	e := newBench(b, true)
	var got atomic.Int64
	var ours, least, rounds float64
	for b.Loop() {
		e.received = func() {}
		least += together(64, n, func() { publishOne(b, e.bare); post(b, e.hook.URL) })
		got.Store(0)
		done := make(chan struct{})
		e.received = func() {
			if got.Add(1) == n {
				close(done)
			}
		}
		begin := time.Now()
		together(64, n, func() { publishOne(b, e.ours) })
		<-done
		ours += n / time.Since(begin).Seconds()
		rounds++
	}
	b.ReportMetric(ours/least, "ofbare")
	b.ReportMetric(ours/rounds, "msg/s")
}
