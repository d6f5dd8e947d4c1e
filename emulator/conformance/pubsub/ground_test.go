// Package pubsub_test is what Pub/Sub promises, seen through the official Go client. It runs against the embedded server, in memory and
// virtual time; with PUBSUB_EMULATOR_HOST set, against whatever is there, in real time. Where servers may differ, the test says why.
package pubsub_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

const project = "conformance"

// world is a server and the official client, with names that are this test's own.
type world struct {
	*testing.T
	*client.Client
	run    string
	remote bool
}

// each runs a test on the server under test.
func each(t *testing.T, test func(w *world)) {
	t.Helper()
	if host := os.Getenv("PUBSUB_EMULATOR_HOST"); host != "" {
		w := connect(t, func(context.Context, string) (*grpc.ClientConn, error) { return dial(host) })
		w.remote = true
		test(w)
		return
	}
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		server, err := pubsub.New(store, pubsub.Options{})
		if err != nil {
			t.Fatal(err)
		}
		l := memnet.Listen("pubsub")
		g := grpc.NewServer(grpc.MaxRecvMsgSize(pubsub.MaxRequestBytes), grpc.MaxSendMsgSize(pubsub.MaxRequestBytes))
		server.Register(g)
		go func() { _ = g.Serve(l) }()
		defer g.Stop()
		defer func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := server.Close(ctx); err != nil {
				t.Error(err)
			}
		}()
		w := connect(t, func(context.Context, string) (*grpc.ClientConn, error) {
			return dial("passthrough:///pubsub", grpc.WithContextDialer(l.DialAddr))
		})
		defer w.Close()
		test(w)
	})
}

func dial(target string, o ...grpc.DialOption) (*grpc.ClientConn, error) {
	o = append(o, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(pubsub.MaxRequestBytes), grpc.MaxCallSendMsgSize(pubsub.MaxRequestBytes)))
	return grpc.NewClient(target, o...)
}

func connect(t *testing.T, dial func(context.Context, string) (*grpc.ClientConn, error)) *world {
	t.Helper()
	conn, err := dial(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.NewClient(t.Context(), project, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &world{T: t, Client: c, run: strings.ToLower(fmt.Sprintf("%x", time.Now().UnixNano()))}
}

func (w *world) topic(id string) string { return "projects/" + project + "/topics/" + id + "-" + w.run }
func (w *world) sub(id string) string {
	return "projects/" + project + "/subscriptions/" + id + "-" + w.run
}
func (w *world) snap(id string) string {
	return "projects/" + project + "/snapshots/" + id + "-" + w.run
}

// createTopic makes a topic that is deleted after the test.
func (w *world) createTopic(id string) string {
	w.Helper()
	name := w.topic(id)
	if _, err := w.TopicAdminClient.CreateTopic(w.Context(), &pubsubpb.Topic{Name: name}); err != nil {
		w.Fatal(err)
	}
	return name
}

// createSub makes a topic "t" where there is none, and a subscription "s" on it.
func (w *world) createSub(conf *pubsubpb.Subscription) string {
	w.Helper()
	if conf.Topic == "" {
		conf.Topic = w.createTopic("t")
	}
	if conf.Name == "" {
		conf.Name = w.sub("s")
	}
	if _, err := w.SubscriptionAdminClient.CreateSubscription(w.Context(), conf); err != nil {
		w.Fatal(err)
	}
	return conf.Name
}

func (w *world) publish(topic string, messages ...*pubsubpb.PubsubMessage) []string {
	w.Helper()
	res, err := w.TopicAdminClient.Publish(w.Context(), &pubsubpb.PublishRequest{Topic: topic, Messages: messages})
	if err != nil {
		w.Fatal(err)
	}
	return res.MessageIds
}

func (w *world) publishData(topic string, bodies ...string) []string {
	w.Helper()
	var messages []*pubsubpb.PubsubMessage
	for _, b := range bodies {
		messages = append(messages, &pubsubpb.PubsubMessage{Data: []byte(b)})
	}
	return w.publish(topic, messages...)
}

// pull collects at least n messages, or what comes within ten seconds; with n 0 it looks for a second, and wants to find nothing.
func (w *world) pull(sub string, n int) []*pubsubpb.ReceivedMessage {
	w.Helper()
	wait := 10 * time.Second
	if n == 0 {
		wait = time.Second
	}
	ctx, cancel := context.WithTimeout(w.Context(), wait)
	defer cancel()
	var got []*pubsubpb.ReceivedMessage
	for len(got) < max(n, 1) {
		res, err := w.SubscriptionAdminClient.Pull(ctx, &pubsubpb.PullRequest{Subscription: sub, MaxMessages: 1000})
		if ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded {
			break
		}
		if err != nil {
			w.Fatal(err)
		}
		got = append(got, res.ReceivedMessages...)
	}
	return got
}

func (w *world) ack(sub string, received ...*pubsubpb.ReceivedMessage) {
	w.Helper()
	if err := w.SubscriptionAdminClient.Acknowledge(w.Context(), &pubsubpb.AcknowledgeRequest{Subscription: sub, AckIds: ids(received)}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) nack(sub string, received ...*pubsubpb.ReceivedMessage) {
	w.Helper()
	if err := w.SubscriptionAdminClient.ModifyAckDeadline(w.Context(), &pubsubpb.ModifyAckDeadlineRequest{Subscription: sub, AckIds: ids(received)}); err != nil {
		w.Fatal(err)
	}
}

func ids(received []*pubsubpb.ReceivedMessage) []string {
	var all []string
	for _, r := range received {
		all = append(all, r.AckId)
	}
	return all
}

func bodies(received []*pubsubpb.ReceivedMessage) []string {
	var all []string
	for _, r := range received {
		all = append(all, string(r.Message.Data))
	}
	return all
}

// settle waits, in virtual time, for the official client's goroutine that outlives Receive by up to half a minute.
func (w *world) settle() {
	if !w.remote {
		time.Sleep(time.Minute)
	}
}

// refused holds that err has the code, and where the server is ours that its text names the field.
func (w *world) refused(err error, code codes.Code, field string) {
	w.Helper()
	if status.Code(err) != code {
		w.Errorf("got %v, want %v", err, code)
	} else if !w.remote && !strings.Contains(err.Error(), field) {
		w.Errorf("%v does not name %q", err, field)
	}
}
