package pubsub_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

func TestOfficialClientPublishesAndReceives(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		const n = 500
		publisher := g.client.Publisher(topicT)
		var results []*client.PublishResult
		for i := range n {
			results = append(results, publisher.Publish(g.Context(), &client.Message{Data: fmt.Appendf(nil, "%03d", i), Attributes: map[string]string{"i": fmt.Sprint(i)}}))
		}
		for _, r := range results {
			if _, err := r.Get(g.Context()); err != nil {
				t.Fatal(err)
			}
		}
		publisher.Stop()

		ctx, cancel := context.WithCancel(g.Context())
		var mu sync.Mutex
		got := map[string]int{}
		err := g.client.Subscriber(subS).Receive(ctx, func(_ context.Context, m *client.Message) {
			mu.Lock()
			defer mu.Unlock()
			got[string(m.Data)]++
			m.Ack()
			if len(got) == n {
				cancel()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for body, times := range got {
			if times != 1 {
				t.Errorf("%s came %d times", body, times)
			}
		}
		time.Sleep(time.Hour)
		if left := g.pullNow(10); len(left) != 0 {
			t.Errorf("left after all were acknowledged: %v", left)
		}
	})
}

func TestPull(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{AckDeadlineSeconds: 20})
		ids := g.publish(data("a"), data("b"), data("c"))
		if !slices.IsSorted(ids) || ids[0] == ids[1] {
			t.Errorf("message ids: %v", ids)
		}
		got := g.pullNow(2)
		if diff := cmp.Diff([]string{"a", "b"}, bodies(got)); diff != "" {
			t.Fatalf("first pull (-want +got):\n%s", diff)
		}
		if id := got[0].Message.MessageId; id != ids[0] {
			t.Errorf("message id: got %s, want %s", id, ids[0])
		}
		if at := got[0].Message.PublishTime.AsTime(); time.Since(at) > time.Second {
			t.Errorf("publish time: %v", at)
		}
		g.ack(got[0])
		if diff := cmp.Diff([]string{"c"}, bodies(g.pullNow(10))); diff != "" {
			t.Errorf("second pull (-want +got):\n%s", diff)
		}
		time.Sleep(21 * time.Second) // the deadlines pass
		if diff := cmp.Diff([]string{"b", "c"}, bodies(g.pullNow(10))); diff != "" {
			t.Errorf("after the deadline (-want +got):\n%s", diff)
		}
	})
}

func TestPullWaitsForTheFirstMessage(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		begin := time.Now()
		go func() {
			time.Sleep(7 * time.Second)
			g.publish(data("late"))
		}()
		res, err := g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: subS, MaxMessages: 5})
		if err != nil || len(res.ReceivedMessages) != 1 || time.Since(begin) != 7*time.Second {
			t.Errorf("after %v: %v, %v", time.Since(begin), res, err)
		}
		res, err = g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: subS, MaxMessages: 5})
		if err != nil || len(res.ReceivedMessages) != 1 {
			t.Errorf("the deadline of 10 s passed while waiting: got %v, %v", res, err)
		}
		g.ack(res.ReceivedMessages...)
		begin = time.Now()
		res, err = g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: subS, MaxMessages: 5})
		if err != nil || len(res.ReceivedMessages) != 0 || time.Since(begin) != 30*time.Second {
			t.Errorf("with nothing to come, after %v: %v, %v", time.Since(begin), res, err)
		}
	})
}

func TestModifyAckDeadline(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		g.publish(data("a"))
		got := g.pullNow(1)
		_, err := g.sub.ModifyAckDeadline(g.Context(), &pubsubpb.ModifyAckDeadlineRequest{Subscription: subS, AckIds: ackIDs(got), AckDeadlineSeconds: 60})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		if early := g.pullNow(1); len(early) != 0 {
			t.Error("came back before the new deadline")
		}
		time.Sleep(2 * time.Second)
		got = g.pullNow(1)
		if len(got) != 1 {
			t.Fatal("did not come back after the new deadline")
		}
		g.nack(got...)
		if again := g.pullNow(1); len(again) != 1 {
			t.Error("did not come back at once after a nack")
		}
	})
}

// What was published and not acknowledged is there after a restart, what was acknowledged is not.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		g := start(t, store, pubsub.Options{})
		g.subscribe(&pubsubpb.Subscription{Labels: map[string]string{"a": "b"}})
		ids := g.publish(data("a"), data("b"), data("c"), data("d"))
		got := g.pullNow(4)
		g.ack(got[0], got[2])
		g.stop()

		g = start(t, store, pubsub.Options{})
		defer g.stop()
		if diff := cmp.Diff([]string{"b", "d"}, bodies(g.pullNow(10))); diff != "" {
			t.Errorf("after the restart (-want +got):\n%s", diff)
		}
		next := g.publish(data("e"))
		if next[0] <= ids[3] {
			t.Errorf("message ids went back: %s after %s", next[0], ids[3])
		}
		if diff := cmp.Diff([]string{"e"}, bodies(g.pullNow(10))); diff != "" {
			t.Errorf("published after the restart (-want +got):\n%s", diff)
		}
		sub := must(t, func() (*pubsubpb.Subscription, error) {
			return g.sub.GetSubscription(g.Context(), &pubsubpb.GetSubscriptionRequest{Subscription: subS})
		})
		if sub.Labels["a"] != "b" {
			t.Errorf("configuration after the restart: %v", sub)
		}
	})
}

func TestEverySubscriptionGetsEveryMessage(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		g.publish(data("before"))
		const other = "projects/p/subscriptions/other"
		must(t, func() (*pubsubpb.Subscription, error) {
			return g.sub.CreateSubscription(g.Context(), &pubsubpb.Subscription{Name: other, Topic: topicT})
		})
		g.publish(data("after"))
		if diff := cmp.Diff([]string{"before", "after"}, bodies(g.pullNow(10))); diff != "" {
			t.Errorf("first (-want +got):\n%s", diff)
		}
		res := must(t, func() (*pubsubpb.PullResponse, error) {
			return g.sub.Pull(g.Context(), &pubsubpb.PullRequest{Subscription: other, MaxMessages: 10})
		})
		if diff := cmp.Diff([]string{"after"}, bodies(res.ReceivedMessages)); diff != "" {
			t.Errorf("second (-want +got):\n%s", diff)
		}
	})
}
