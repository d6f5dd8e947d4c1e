package pubsub_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

const (
	topicT = "projects/p/topics/ttt"
	topicD = "projects/p/topics/dead"
	subS   = "projects/p/subscriptions/sss"
)

// ground is one server over a store in memory, and the official client connected to it.
type ground struct {
	*testing.T
	store  *storage.Store
	server *pubsub.Server
	client *client.Client
	conn   *grpc.ClientConn
	pub    pubsubpb.PublisherClient
	sub    pubsubpb.SubscriberClient

	grpc     *grpc.Server
	listener *memnet.Listener
}

// bubble runs f with a ground in virtual time.
func bubble(t *testing.T, o pubsub.Options, f func(g *ground)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		g := start(t, store, o)
		defer g.stop()
		f(g)
	})
}

// start serves what the store holds.
func start(t *testing.T, store *storage.Store, o pubsub.Options) *ground {
	t.Helper()
	server, err := pubsub.New(store, o)
	if err != nil {
		t.Fatal(err)
	}
	g := &ground{T: t, store: store, server: server, listener: memnet.Listen("pubsub")}
	g.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(pubsub.MaxRequestBytes), grpc.MaxSendMsgSize(pubsub.MaxRequestBytes))
	server.Register(g.grpc)
	go func() { _ = g.grpc.Serve(g.listener) }()
	g.conn, err = grpc.NewClient("passthrough:///pubsub", grpc.WithContextDialer(g.listener.DialAddr),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pubsub.MaxRequestBytes)))
	if err != nil {
		t.Fatal(err)
	}
	g.pub, g.sub = pubsubpb.NewPublisherClient(g.conn), pubsubpb.NewSubscriberClient(g.conn)
	g.client, err = client.NewClient(t.Context(), "p", option.WithGRPCConn(g.conn))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// stop ends everything but the store.
func (g *ground) stop() {
	g.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := g.server.Close(ctx); err != nil {
		g.Error(err)
	}
	g.grpc.Stop()
	_ = g.client.Close()
	_ = g.conn.Close()
}

// must is for calls whose answer is not looked at.
func must[T any](t testing.TB, do func() (T, error)) T {
	t.Helper()
	v, err := do()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (g *ground) topic(name string) {
	g.Helper()
	must(g, func() (*pubsubpb.Topic, error) { return g.pub.CreateTopic(g.Context(), &pubsubpb.Topic{Name: name}) })
}

// subscribe makes the topic T and the subscription S on it.
func (g *ground) subscribe(conf *pubsubpb.Subscription) {
	g.Helper()
	g.topic(topicT)
	conf.Name, conf.Topic = subS, topicT
	must(g, func() (*pubsubpb.Subscription, error) { return g.sub.CreateSubscription(g.Context(), conf) })
}

func (g *ground) publish(messages ...*pubsubpb.PubsubMessage) []string {
	g.Helper()
	return must(g, func() (*pubsubpb.PublishResponse, error) {
		return g.pub.Publish(g.Context(), &pubsubpb.PublishRequest{Topic: topicT, Messages: messages})
	}).MessageIds
}

func data(s string) *pubsubpb.PubsubMessage { return &pubsubpb.PubsubMessage{Data: []byte(s)} }

func keyed(key, s string) *pubsubpb.PubsubMessage {
	return &pubsubpb.PubsubMessage{Data: []byte(s), OrderingKey: key}
}

// pullNow gives what is there without waiting.
func (g *ground) pullNow(most int32) []*pubsubpb.ReceivedMessage {
	g.Helper()
	//lint:ignore SA1019 to know that there is nothing
	req := &pubsubpb.PullRequest{Subscription: subS, MaxMessages: most, ReturnImmediately: true}
	return must(g, func() (*pubsubpb.PullResponse, error) { return g.sub.Pull(g.Context(), req) }).ReceivedMessages
}

// ack acknowledges all of them.
func (g *ground) ack(received ...*pubsubpb.ReceivedMessage) {
	g.Helper()
	if _, err := g.sub.Acknowledge(g.Context(), &pubsubpb.AcknowledgeRequest{Subscription: subS, AckIds: ackIDs(received)}); err != nil {
		g.Fatal(err)
	}
}

// nack refuses all of them.
func (g *ground) nack(received ...*pubsubpb.ReceivedMessage) {
	g.Helper()
	if _, err := g.sub.ModifyAckDeadline(g.Context(), &pubsubpb.ModifyAckDeadlineRequest{Subscription: subS, AckIds: ackIDs(received)}); err != nil {
		g.Fatal(err)
	}
}

func ackIDs(received []*pubsubpb.ReceivedMessage) []string {
	var ids []string
	for _, r := range received {
		ids = append(ids, r.AckId)
	}
	return ids
}

func bodies(received []*pubsubpb.ReceivedMessage) []string {
	var all []string
	for _, r := range received {
		all = append(all, string(r.Message.Data))
	}
	return all
}

// endpoint is an http.RoundTripper that records what is pushed to it and answers as it is told.
type endpoint struct {
	answer func(r *http.Request, body []byte) (int, error) // nil: 200

	mu     sync.Mutex
	pushes []push
}

type push struct {
	at     time.Time
	header http.Header
	body   string
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.pushes = append(e.pushes, push{at: time.Now(), header: r.Header.Clone(), body: string(body)})
	e.mu.Unlock()
	status := http.StatusOK
	if e.answer != nil {
		if status, err = e.answer(r, body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: r}, nil
}

func (e *endpoint) got() []push {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]push(nil), e.pushes...)
}

var errNoAnswer = errors.New("connection refused")

func pushTo(url string) *pubsubpb.PushConfig { return &pubsubpb.PushConfig{PushEndpoint: url} }
