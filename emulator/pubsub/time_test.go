package pubsub_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
)

// stored is how many messages the log of all topics holds on disk.
func (g *ground) stored() int {
	g.Helper()
	n := 0
	err := g.store.Scan([]byte("pm"), []byte("pn"), false, func(_, _ []byte) bool { n++; return true })
	if err != nil {
		g.Fatal(err)
	}
	return n
}

func TestMessagesExpire(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{MessageRetentionDuration: durationpb.New(10 * time.Minute), AckDeadlineSeconds: 600})
		g.publish(data("outstanding"))
		g.pullNow(1)
		g.publish(data("backlog"))
		time.Sleep(5 * time.Minute)
		g.publish(data("younger"))
		time.Sleep(6 * time.Minute)
		if diff := cmp.Diff([]string{"younger"}, bodies(g.pullNow(10))); diff != "" {
			g.Errorf("after eleven minutes (-want +got):\n%s", diff)
		}
		time.Sleep(10 * time.Minute)
		if got := g.pullNow(10); len(got) != 0 {
			g.Errorf("after all have expired: %v", bodies(got))
		}
		if n := g.stored(); n != 0 {
			g.Errorf("%d messages are still stored", n)
		}
	})
}

func TestSnapshotsExpire(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{})
		const name = "projects/p/snapshots/snap"
		g.publish(data("x"))
		snap := must(g, func() (*pubsubpb.Snapshot, error) {
			return g.sub.CreateSnapshot(g.Context(), &pubsubpb.CreateSnapshotRequest{Name: name, Subscription: subS})
		})
		g.ack(g.pullNow(1)...)
		time.Sleep(2 * time.Minute)
		if n := g.stored(); n != 1 {
			g.Errorf("%d messages are stored for the snapshot, want 1", n)
		}
		snap.ExpireTime = timestamppb.New(time.Now().Add(time.Hour))
		must(g, func() (*pubsubpb.Snapshot, error) {
			return g.sub.UpdateSnapshot(g.Context(), &pubsubpb.UpdateSnapshotRequest{Snapshot: snap, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"expire_time"}}})
		})
		time.Sleep(63 * time.Minute)
		if _, err := g.sub.GetSnapshot(g.Context(), &pubsubpb.GetSnapshotRequest{Snapshot: name}); status.Code(err) != codes.NotFound {
			g.Errorf("after its time: %v", err)
		}
		if n := g.stored(); n != 0 {
			g.Errorf("%d messages are stored after the snapshot's time", n)
		}
	})
}

// Back-off and the count of attempts outlive a restart.
func TestBackoffOutlivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		g := start(t, store, pubsub.Options{})
		g.topic(topicD)
		g.subscribe(&pubsubpb.Subscription{
			RetryPolicy:      &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(100 * time.Second)},
			DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: topicD, MaxDeliveryAttempts: 5},
		})
		g.publish(data("first"), data("second"))
		g.nack(g.pullNow(1)...)
		time.Sleep(50 * time.Second)
		g.stop()
		g = start(t, store, pubsub.Options{})
		defer g.stop()
		got := g.pullNow(2)
		if diff := cmp.Diff([]string{"second"}, bodies(got)); diff != "" {
			t.Fatalf("after the restart (-want +got):\n%s", diff)
		}
		g.ack(got...)
		time.Sleep(49 * time.Second)
		if early := g.pullNow(1); len(early) != 0 {
			t.Error("came back before its back-off ended")
		}
		time.Sleep(2 * time.Second)
		if got := g.pullNow(1); len(got) != 1 || got[0].DeliveryAttempt != 2 {
			t.Errorf("after the back-off: %v", got)
		}
	})
}

// An endpoint that is down for hours gets every key in order, one message of a key at a time, while other keys go on.
func TestOrderedPush(t *testing.T) {
	var down atomic.Bool
	down.Store(true)
	e := &endpoint{answer: func(_ *http.Request, body []byte) (int, error) {
		if down.Load() && strings.Contains(string(body), `"orderingKey":"k0"`) {
			return 503, nil
		}
		return 204, nil
	}}
	bubble(t, pubsub.Options{Transport: e}, func(g *ground) {
		g.subscribe(&pubsubpb.Subscription{PushConfig: pushTo(hook), EnableMessageOrdering: true, RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(time.Second)}})
		want := map[string][]string{}
		for i := range 60 {
			key, body := fmt.Sprint("k", i%3), fmt.Sprint(i)
			want[key] = append(want[key], body)
			g.publish(keyed(key, body))
		}
		accepted := func() map[string][]string {
			got, last := map[string][]string{}, ""
			for _, p := range e.got() {
				var body struct {
					Message struct {
						Data        []byte
						OrderingKey string
					}
				}
				_ = json.Unmarshal([]byte(p.body), &body)
				key := body.Message.OrderingKey
				if d := string(body.Message.Data); key != "k0" || d != last {
					got[key] = append(got[key], d)
					if key == "k0" {
						last = d
					}
				}
			}
			return got
		}
		time.Sleep(3 * time.Hour)
		got := accepted()
		if diff := cmp.Diff(map[string][]string{"k0": {"0"}, "k1": want["k1"], "k2": want["k2"]}, got); diff != "" {
			g.Errorf("while one key is down (-want +got):\n%s", diff)
		}
		down.Store(false)
		time.Sleep(11 * time.Minute)
		if diff := cmp.Diff(want, accepted()); diff != "" {
			g.Errorf("in the end (-want +got):\n%s", diff)
		}
	})
}

// What everybody has acknowledged leaves the disk, and what nobody can read never gets there.
func TestLogIsTrimmed(t *testing.T) {
	bubble(t, pubsub.Options{}, func(g *ground) {
		g.topic(topicD)
		g.subscribe(&pubsubpb.Subscription{})
		if _, err := g.pub.Publish(g.Context(), &pubsubpb.PublishRequest{Topic: topicD, Messages: []*pubsubpb.PubsubMessage{data("lost")}}); err != nil {
			g.Fatal(err)
		}
		if n := g.stored(); n != 0 {
			g.Errorf("%d messages of a topic without subscriptions are stored", n)
		}
		for i := range 3000 {
			if i%100 == 0 {
				var batch []*pubsubpb.PubsubMessage
				for range 100 {
					batch = append(batch, data(fmt.Sprint(i)))
				}
				g.publish(batch...)
			}
		}
		if n := g.stored(); n != 3000 {
			g.Errorf("%d stored, want 3000", n)
		}
		var kept *pubsubpb.ReceivedMessage
		for {
			got := g.pullNow(500)
			if len(got) == 0 {
				break
			}
			if kept == nil {
				kept, got = got[0], got[1:]
			}
			g.ack(got...)
		}
		g.ack(kept)
		synctest.Wait()
		if n := g.stored(); n > 1024 {
			g.Errorf("%d stored at once after all were acknowledged", n)
		}
		time.Sleep(2 * time.Minute)
		if n := g.stored(); n != 0 {
			g.Errorf("%d stored two minutes after all were acknowledged", n)
		}
	})
}

// One message that nobody acknowledges does not keep all that come after it on disk.
func TestStuckMessageKeepsNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		g := start(t, store, pubsub.Options{})
		g.subscribe(&pubsubpb.Subscription{RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(600 * time.Second)}})
		g.publish(data("stuck"))
		g.nack(g.pullNow(1)...)
		for range 60 {
			var batch []*pubsubpb.PubsubMessage
			for range 100 {
				batch = append(batch, data("x"))
			}
			g.publish(batch...)
			g.ack(g.pullNow(100)...)
		}
		time.Sleep(2 * time.Minute)
		if n := g.stored(); n != 1 {
			t.Errorf("%d messages are stored, want the one", n)
		}
		g.stop()
		g = start(t, store, pubsub.Options{})
		defer g.stop()
		time.Sleep(10 * time.Minute)
		if diff := cmp.Diff([]string{"stuck"}, bodies(g.pullNow(10))); diff != "" {
			t.Errorf("after a restart (-want +got):\n%s", diff)
		}
	})
}

// What is left of deleted topics goes, even if the server ends before it has tidied up.
func TestDeletedTopicsLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		g := start(t, store, pubsub.Options{})
		g.subscribe(&pubsubpb.Subscription{})
		g.publish(data("x"), data("y"))
		remove := func() {
			t.Helper()
			if _, err := g.pub.DeleteTopic(t.Context(), &pubsubpb.DeleteTopicRequest{Topic: topicT}); err != nil {
				t.Fatal(err)
			}
		}
		remove()
		g.stop()
		g = start(t, store, pubsub.Options{})
		if n := g.stored(); n != 2 {
			t.Errorf("%d messages stored for the subscription of a deleted topic, want 2", n)
		}
		if _, err := g.sub.DeleteSubscription(t.Context(), &pubsubpb.DeleteSubscriptionRequest{Subscription: subS}); err != nil {
			t.Fatal(err)
		}
		g.stop()
		g = start(t, store, pubsub.Options{})
		if n := g.stored(); n != 0 {
			t.Errorf("%d messages stored after a restart, want none", n)
		}
		g.subscribe(&pubsubpb.Subscription{})
		g.publish(data("z"))
		if _, err := g.sub.DeleteSubscription(t.Context(), &pubsubpb.DeleteSubscriptionRequest{Subscription: subS}); err != nil {
			t.Fatal(err)
		}
		remove()
		time.Sleep(2 * time.Minute)
		if n := g.stored(); n != 0 {
			t.Errorf("%d messages stored two minutes after all was deleted, want none", n)
		}
		g.stop()
	})
}
