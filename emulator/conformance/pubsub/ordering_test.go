package pubsub_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
)

func ordered(key string, all ...string) []*pubsubpb.PubsubMessage {
	var messages []*pubsubpb.PubsubMessage
	for _, b := range all {
		messages = append(messages, &pubsubpb.PubsubMessage{Data: []byte(b), OrderingKey: key})
	}
	return messages
}

func TestOrdering(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{EnableMessageOrdering: true, AckDeadlineSeconds: 10})
		publisher := w.Publisher(w.topic("t"))
		publisher.EnableMessageOrdering = true
		want := map[string][]string{}
		for i := range 100 {
			key := fmt.Sprint("key", i%3)
			body := fmt.Sprintf("%s-%03d", key, i)
			want[key] = append(want[key], body)
			publisher.Publish(w.Context(), &client.Message{Data: []byte(body), OrderingKey: key})
		}
		publisher.Flush()
		publisher.Stop()
		var mu sync.Mutex
		got := map[string][]string{}
		w.receive(sub, 100, nil, func(m *client.Message) {
			mu.Lock()
			defer mu.Unlock()
			got[m.OrderingKey] = append(got[m.OrderingKey], string(m.Data))
			m.Ack()
		})
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A message that is refused comes again, and all of its key after it, acknowledged or not; other keys go on.
func TestOrderingRedelivers(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{EnableMessageOrdering: true, AckDeadlineSeconds: 60})
		w.publish(w.topic("t"), ordered("k", "1", "2", "3", "4")...)
		w.publish(w.topic("t"), ordered("other", "a", "b")...)
		got := w.pull(sub, 6)
		keyed := slices.DeleteFunc(slices.Clone(got), func(m *pubsubpb.ReceivedMessage) bool { return m.Message.OrderingKey != "k" })
		if diff := cmp.Diff([]string{"1", "2", "3", "4"}, bodies(keyed)); diff != "" {
			w.Fatalf("(-want +got):\n%s", diff)
		}
		w.ack(sub, keyed[0], keyed[2])
		w.nack(sub, keyed[1])
		again := w.pull(sub, 3)
		if diff := cmp.Diff([]string{"2", "3", "4"}, bodies(again)); diff != "" {
			w.Fatalf("after a nack of the second (-want +got):\n%s", diff)
		}
		w.ack(sub, again...)
		w.ack(sub, slices.DeleteFunc(got, func(m *pubsubpb.ReceivedMessage) bool { return m.Message.OrderingKey == "k" })...)
		if more := w.pull(sub, 0); len(more) != 0 {
			w.Errorf("more: %v", bodies(more))
		}
	})
}

// While messages of a key are outstanding, no other pull gets more of that key.
func TestOrderingOneBatchOutstanding(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{EnableMessageOrdering: true, AckDeadlineSeconds: 60})
		w.publish(w.topic("t"), ordered("k", "1", "2")...)
		first := w.pull(sub, 2)
		w.publish(w.topic("t"), ordered("k", "3")...)
		if early := w.pull(sub, 0); len(early) != 0 {
			w.Errorf("early: %v", bodies(early))
		}
		w.ack(sub, first...)
		if diff := cmp.Diff([]string{"3"}, bodies(w.pull(sub, 1))); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestExactlyOnce(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{EnableExactlyOnceDelivery: true, AckDeadlineSeconds: 10})
		w.publishData(w.topic("t"), "x")
		late := w.pull(sub, 1)
		time.Sleep(11 * time.Second)
		err := w.SubscriptionAdminClient.Acknowledge(w.Context(), &pubsubpb.AcknowledgeRequest{Subscription: sub, AckIds: ids(late)})
		w.refused(err, codes.InvalidArgument, "expired")
		got := w.pull(sub, 1)
		if len(got) != 1 {
			w.Fatal("a late acknowledgement counted")
		}
		err = w.SubscriptionAdminClient.ModifyAckDeadline(w.Context(), &pubsubpb.ModifyAckDeadlineRequest{Subscription: sub, AckIds: ids(late), AckDeadlineSeconds: 60})
		w.refused(err, codes.InvalidArgument, "expired")
		w.ack(sub, got...)
		if more := w.pull(sub, 0); len(more) != 0 {
			w.Errorf("after the acknowledgement: %v", bodies(more))
		}
	})
}

// The official client learns what became of each acknowledgement.
func TestExactlyOnceResults(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{EnableExactlyOnceDelivery: true})
		for range 20 {
			w.publishData(w.topic("t"), "a", "b", "c")
		}
		var mu sync.Mutex
		statuses := map[client.AcknowledgeStatus]int{}
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		err := w.Subscriber(sub).Receive(ctx, func(ctx context.Context, m *client.Message) {
			status, err := m.AckWithResult().Get(ctx)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				w.Error(err)
			}
			statuses[status]++
			if statuses[client.AcknowledgeStatusSuccess] == 60 {
				cancel()
			}
		})
		if err != nil {
			w.Error(err)
		}
		w.settle()
		if diff := cmp.Diff(map[client.AcknowledgeStatus]int{client.AcknowledgeStatusSuccess: 60}, statuses); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}
