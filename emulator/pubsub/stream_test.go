package pubsub_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/pubsub"
)

// open starts a stream on the subscription S.
func (g *ground) open(ctx context.Context, first *pubsubpb.StreamingPullRequest) pubsubpb.Subscriber_StreamingPullClient {
	g.Helper()
	stream := must(g, func() (pubsubpb.Subscriber_StreamingPullClient, error) { return g.sub.StreamingPull(ctx) })
	first.Subscription, first.StreamAckDeadlineSeconds = subS, 10
	if err := stream.Send(first); err != nil {
		g.Fatal(err)
	}
	synctest.Wait()
	return stream
}

// recv is the next answer on a stream that has messages.
func (g *ground) recv(stream pubsubpb.Subscriber_StreamingPullClient) *pubsubpb.StreamingPullResponse {
	g.Helper()
	return must(g, stream.Recv)
}

func TestStreamAnswersPings(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{EnableMessageOrdering: true, EnableExactlyOnceDelivery: true})
		ctx, cancel := context.WithCancel(g.Context())
		defer cancel()
		stream := g.open(ctx, &pubsubpb.StreamingPullRequest{})
		if err := stream.Send(&pubsubpb.StreamingPullRequest{}); err != nil {
			g.Fatal(err)
		}
		if p := g.recv(stream).SubscriptionProperties; !p.GetExactlyOnceDeliveryEnabled() || !p.GetMessageOrderingEnabled() {
			g.Errorf("properties: %v", p)
		}
	})
}

func TestStreamConfirmsExactlyOnce(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{EnableExactlyOnceDelivery: true})
		ctx, cancel := context.WithCancel(g.Context())
		defer cancel()
		stream := g.open(ctx, &pubsubpb.StreamingPullRequest{})
		g.publish(data("a"))
		first := g.recv(stream).ReceivedMessages[0].AckId
		time.Sleep(11 * time.Second)
		second := g.recv(stream).ReceivedMessages[0].AckId
		if first == second {
			g.Fatal("the same ack id for two deliveries")
		}
		if err := stream.Send(&pubsubpb.StreamingPullRequest{AckIds: []string{first, second}, ModifyDeadlineAckIds: []string{first}, ModifyDeadlineSeconds: []int32{60}}); err != nil {
			g.Fatal(err)
		}
		acks := g.recv(stream).AcknowledgeConfirmation
		if diff := cmp.Diff([][]string{{second}, {first}}, [][]string{acks.GetAckIds(), acks.GetInvalidAckIds()}); diff != "" {
			g.Errorf("acknowledgements (-want +got):\n%s", diff)
		}
		extensions := g.recv(stream).ModifyAckDeadlineConfirmation
		if diff := cmp.Diff([]string{first}, extensions.GetInvalidAckIds()); diff != "" {
			g.Errorf("extensions (-want +got):\n%s", diff)
		}
	})
}

// What a stream had and did not acknowledge comes again after its deadline, to others.
func TestStreamThatBreaks(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		ctx, cancel := context.WithCancel(g.Context())
		stream := g.open(ctx, &pubsubpb.StreamingPullRequest{})
		g.publish(data("a"))
		g.recv(stream)
		cancel()
		synctest.Wait()
		if early := g.pullNow(1); len(early) != 0 {
			g.Error("came again before its deadline")
		}
		time.Sleep(11 * time.Second)
		if got := g.pullNow(1); len(got) != 1 {
			g.Error("did not come again")
		}
	})
}

func TestStreamsShare(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		ctx, cancel := context.WithCancel(g.Context())
		defer cancel()
		var got [2]int
		for i := range got {
			stream := g.open(ctx, &pubsubpb.StreamingPullRequest{})
			go func() {
				for {
					res, err := stream.Recv()
					if err != nil {
						return
					}
					got[i] += len(res.ReceivedMessages)
				}
			}()
		}
		for range 100 {
			g.publish(data("x"))
		}
		synctest.Wait()
		if got[0] != 50 || got[1] != 50 {
			g.Errorf("got %v of 100 messages", got)
		}
	})
}

func TestStreamsEnd(t *testing.T) {
	tests := []struct {
		name string
		do   func(g *ground) error
		want codes.Code
	}{
		{"with the subscription", func(g *ground) error {
			_, err := g.sub.DeleteSubscription(g.Context(), &pubsubpb.DeleteSubscriptionRequest{Subscription: subS})
			return err
		}, codes.NotFound},
		{"when it is detached", func(g *ground) error {
			_, err := g.pub.DetachSubscription(g.Context(), &pubsubpb.DetachSubscriptionRequest{Subscription: subS})
			return err
		}, codes.FailedPrecondition},
		{"with the server", func(g *ground) error { return g.server.Close(g.Context()) }, codes.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, pubsub.Options{}, func(g *ground) {
				g.subscribe(&pubsubpb.Subscription{})
				stream := g.open(g.Context(), &pubsubpb.StreamingPullRequest{})
				pulled := make(chan error, 1)
				go func() {
					_, err := g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: subS, MaxMessages: 1})
					pulled <- err
				}()
				synctest.Wait()
				if err := tt.do(g); err != nil {
					g.Fatal(err)
				}
				if _, err := stream.Recv(); status.Code(err) != tt.want {
					g.Errorf("stream: got %v, want %v", err, tt.want)
				}
				if err := <-pulled; tt.want != codes.Unavailable && status.Code(err) != tt.want {
					g.Errorf("pull: got %v, want %v", err, tt.want)
				}
			})
		})
	}
}

// A subscription can change between pull and push, and to another endpoint.
func TestPushConfigChanges(t *testing.T) {
	e := &endpoint{answer: func(r *http.Request, _ []byte) (int, error) {
		if r.URL.Host == "down.test" {
			return 500, nil
		}
		return 200, nil
	}}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		modify := func(url string) {
			g.Helper()
			if _, err := g.sub.ModifyPushConfig(g.Context(), &pubsubpb.ModifyPushConfigRequest{Subscription: subS, PushConfig: pushTo(url)}); err != nil {
				g.Fatal(err)
			}
		}
		g.publish(data("waited"))
		modify("http://down.test/")
		time.Sleep(time.Minute)
		down := len(e.got())
		if down < 5 {
			g.Errorf("%d pushes to the endpoint that is down", down)
		}
		modify(hook)
		time.Sleep(time.Minute)
		if n := len(e.got()); n != down+1 {
			g.Errorf("%d pushes to the endpoint that is up, want 1", n-down)
		}
		if _, err := g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: subS, MaxMessages: 1}); status.Code(err) != codes.FailedPrecondition {
			g.Errorf("pull from a push subscription: %v", err)
		}
		modify("")
		g.publish(data("pulled"))
		if diff := cmp.Diff([]string{"pulled"}, bodies(g.pullNow(2))); diff != "" {
			g.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestSchemaServiceIsNotImplemented(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		_, err := pubsubpb.NewSchemaServiceClient(g.conn).CreateSchema(g.Context(), &pubsubpb.CreateSchemaRequest{})
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "CreateSchema") {
			g.Errorf("got %v", err)
		}
	})
}
