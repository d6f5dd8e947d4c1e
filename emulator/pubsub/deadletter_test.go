package pubsub_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

func TestDeadLetters(t *testing.T) {
	const letters = "projects/p/subscriptions/letters"
	var ok atomic.Bool
	e := &endpoint{answer: func(_ *http.Request, body []byte) (int, error) {
		if ok.Load() || !strings.Contains(string(body), `"bad":"`) {
			return 200, nil
		}
		return 500, nil
	}}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.topic(topicD)
		must(g, func() (*pubsubpb.Subscription, error) {
			return g.sub.CreateSubscription(g.Context(), &pubsubpb.Subscription{Name: letters, Topic: topicD})
		})
		g.subscribe(&pubsubpb.Subscription{
			PushConfig: pushTo(hook), RetryPolicy: &pubsubpb.RetryPolicy{},
			DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topicD, MaxDeliveryAttempts: 7},
		})
		g.publish(&pubsubpb.PubsubMessage{Data: []byte("x"), Attributes: map[string]string{"bad": "y"}}, data("good"))
		time.Sleep(time.Hour)
		var attempts []int
		for _, p := range e.got() {
			var body struct{ DeliveryAttempt int }
			_ = json.Unmarshal([]byte(p.body), &body)
			if strings.Contains(p.body, `"bad"`) {
				attempts = append(attempts, body.DeliveryAttempt)
			}
		}
		if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7}, attempts); diff != "" {
			g.Errorf("attempts (-want +got):\n%s", diff)
		}
		res := must(g, func() (*pubsubpb.PullResponse, error) {
			return g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: letters, MaxMessages: 10})
		})
		if len(res.ReceivedMessages) != 1 {
			g.Fatalf("%d dead letters", len(res.ReceivedMessages))
		}
		want := map[string]string{
			"bad": "y", "CloudPubSubDeadLetterSourceDeliveryCount": "7", "CloudPubSubDeadLetterSourceSubscription": "sss",
			"CloudPubSubDeadLetterSourceSubscriptionProject": "p", "CloudPubSubDeadLetterSourceTopicPublishTime": "2000-01-01T00:00:00Z",
		}
		if diff := cmp.Diff(want, res.ReceivedMessages[0].Message.Attributes); diff != "" {
			g.Errorf("attributes (-want +got):\n%s", diff)
		}
	})
}

// A dead-letter topic that is gone loses nothing: the message goes on being delivered.
func TestDeadLetterTopicGone(t *testing.T) {
	var calls atomic.Int32
	e := &endpoint{answer: func(*http.Request, []byte) (int, error) {
		if calls.Add(1) < 9 {
			return 500, nil
		}
		return 200, nil
	}}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.topic(topicD)
		g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook), DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topicD}})
		if _, err := g.pub.DeleteTopic(g.Context(), &pubsubpb.DeleteTopicRequest{Topic: topicD}); err != nil {
			g.Fatal(err)
		}
		g.publish(data("x"))
		time.Sleep(time.Hour)
		if n := calls.Load(); n != 9 {
			g.Errorf("%d attempts, want 9", n)
		}
	})
}

// Close waits for the pushes that are under way, starts no others, and after a restart the rest is delivered.
func TestCloseDrainsPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		e := &endpoint{answer: func(*http.Request, []byte) (int, error) { time.Sleep(5 * time.Second); return 200, nil }}
		g := start(t, store, pubsub.Options{Transport: e, PushWindow: 2})
		g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook)})
		g.publish(data("a"), data("b"), data("c"))
		synctest.Wait()
		begin := time.Now()
		g.stop()
		if took := time.Since(begin); took != 5*time.Second || len(e.got()) != 2 {
			t.Errorf("closed after %v with %d pushes", took, len(e.got()))
		}
		g = start(t, store, pubsub.Options{Transport: e})
		time.Sleep(time.Minute)
		if n := len(e.got()); n != 3 {
			t.Errorf("%d pushes after the restart, want 3", n)
		}
		g.publish(data("d"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		e.answer = func(r *http.Request, _ []byte) (int, error) { <-r.Context().Done(); return 0, r.Context().Err() }
		g.publish(data("e"))
		synctest.Wait()
		if err := g.server.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close of a server with a push that hangs: %v", err)
		}
		g.stop()
		time.Sleep(5 * time.Second) // the transport of "d" heeds no context, and Close did not wait for it
	})
}
