package pubsub_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/googleapis/gax-go/v2"
)

func TestMessagesArriveAsTheyWere(t *testing.T) {
	wide := map[string]string{}
	for i := range 100 {
		wide[fmt.Sprintf("%03d%s", i, strings.Repeat("k", 253))] = strings.Repeat("é", 512)
	}
	tests := []struct {
		name     string
		message  *pubsubpb.PubsubMessage
		compress bool
	}{
		{name: "data", message: &pubsubpb.PubsubMessage{Data: []byte("x")}},
		{name: "any bytes", message: &pubsubpb.PubsubMessage{Data: []byte{0, 0xff, 0xc3, 0x28, '\n'}}},
		{name: "attributes alone", message: &pubsubpb.PubsubMessage{Attributes: map[string]string{"a": "", "b c": "みんな"}}},
		{name: "as many attributes as may be", message: &pubsubpb.PubsubMessage{Attributes: wide}},
		{name: "an ordering key", message: &pubsubpb.PubsubMessage{Data: []byte("x"), OrderingKey: strings.Repeat("o", 1024)}},
		{name: "as large as may be", message: &pubsubpb.PubsubMessage{Data: bytes.Repeat([]byte("0123456789"), 1_000_000)}},
		{name: "compressed", message: &pubsubpb.PubsubMessage{Data: bytes.Repeat([]byte("abc"), 100_000)}, compress: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(w *world) {
				sub := w.createSub(&pubsubpb.Subscription{})
				var o []gax.CallOption
				if tt.compress {
					o = append(o, gax.WithGRPCOptions(grpc.UseCompressor(gzip.Name)))
				}
				res, err := w.TopicAdminClient.Publish(w.Context(), &pubsubpb.PublishRequest{Topic: w.topic("t"), Messages: []*pubsubpb.PubsubMessage{tt.message}}, o...)
				if err != nil {
					w.Fatal(err)
				}
				got := w.pull(sub, 1)
				if len(got) != 1 {
					w.Fatalf("%d messages", len(got))
				}
				if got[0].Message.PublishTime == nil {
					w.Error("no publish time")
				}
				if !bytes.Equal(got[0].Message.Data, tt.message.Data) {
					w.Errorf("%d bytes of data are not the %d that were published", len(got[0].Message.Data), len(tt.message.Data))
				}
				tt.message.Data, got[0].Message.Data = nil, nil
				tt.message.MessageId = res.MessageIds[0]
				got[0].Message.PublishTime = nil
				if diff := cmp.Diff(tt.message, got[0].Message, protocmp.Transform()); diff != "" {
					w.Errorf("(-want +got):\n%.2000s", diff)
				}
			})
		})
	}
}

func TestAcknowledge(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{AckDeadlineSeconds: 10})
		w.publishData(w.topic("t"), "a", "b", "c")
		got := w.pull(sub, 3)
		slices.SortFunc(got, func(a, b *pubsubpb.ReceivedMessage) int { return bytes.Compare(a.Message.Data, b.Message.Data) })
		if diff := cmp.Diff([]string{"a", "b", "c"}, bodies(got)); diff != "" {
			w.Fatalf("(-want +got):\n%s", diff)
		}
		w.ack(sub, got[0])
		w.ack(sub, got[0]) // more than once is no error
		w.nack(sub, got[1])
		again := w.pull(sub, 1)
		if diff := cmp.Diff([]string{"b"}, bodies(again)); diff != "" {
			w.Errorf("after a nack (-want +got):\n%s", diff)
		}
		w.ack(sub, again...)
		time.Sleep(11 * time.Second)
		again = w.pull(sub, 1)
		if diff := cmp.Diff([]string{"c"}, bodies(again)); diff != "" {
			w.Errorf("after its deadline (-want +got):\n%s", diff)
		}
		w.ack(sub, again...)
		if more := w.pull(sub, 0); len(more) != 0 {
			w.Errorf("after all were acknowledged: %v", bodies(more))
		}
	})
}

// received collects what Receive gives until there are n distinct bodies.
func (w *world) receive(sub string, n int, settings func(*client.Subscriber), each func(m *client.Message)) map[string]int {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	var mu sync.Mutex
	got := map[string]int{}
	s := w.Subscriber(sub)
	if settings != nil {
		settings(s)
	}
	err := s.Receive(ctx, func(_ context.Context, m *client.Message) {
		each(m)
		mu.Lock()
		defer mu.Unlock()
		got[string(m.Data)]++
		if len(got) == n {
			cancel()
		}
	})
	if err != nil {
		w.Error(err)
	}
	w.settle()
	return got
}

func TestStreamingPull(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{})
		const n = 300
		var want []string
		publisher := w.Publisher(w.topic("t"))
		for i := range n {
			want = append(want, fmt.Sprintf("%03d", i))
			publisher.Publish(w.Context(), &client.Message{Data: []byte(want[i])})
		}
		publisher.Flush()
		publisher.Stop()
		got := w.receive(sub, n, nil, func(m *client.Message) { m.Ack() })
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A stream never has more outstanding than it asked for.
func TestFlowControl(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{})
		for range 30 {
			w.publishData(w.topic("t"), "x", "y")
		}
		ctx, cancel := context.WithCancel(w.Context())
		defer cancel()
		stream, err := w.SubscriptionAdminClient.StreamingPull(ctx)
		if err != nil {
			w.Fatal(err)
		}
		err = stream.Send(&pubsubpb.StreamingPullRequest{Subscription: sub, StreamAckDeadlineSeconds: 60, MaxOutstandingMessages: 7, ClientId: "c"})
		if err != nil {
			w.Fatal(err)
		}
		received := make(chan []*pubsubpb.ReceivedMessage, 100)
		go func() {
			defer close(received)
			for {
				res, err := stream.Recv()
				if err != nil {
					return
				}
				if len(res.ReceivedMessages) > 0 {
					received <- res.ReceivedMessages
				}
			}
		}()
		collect := func() (got []*pubsubpb.ReceivedMessage) {
			for {
				select {
				case more := <-received:
					got = append(got, more...)
				case <-time.After(time.Second):
					return got
				}
			}
		}
		total := 0
		for total < 60 {
			got := collect()
			if len(got) == 0 || len(got) > 7 {
				w.Fatalf("%d outstanding after %d", len(got), total)
			}
			total += len(got)
			if err := stream.Send(&pubsubpb.StreamingPullRequest{AckIds: ids(got)}); err != nil {
				w.Fatal(err)
			}
		}
		if total != 60 {
			w.Errorf("%d messages", total)
		}
	})
}

func TestFilter(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{Filter: `attributes.kind = "a" AND NOT hasPrefix(attributes.name, "x")`})
		message := func(body, kind, name string) *pubsubpb.PubsubMessage {
			return &pubsubpb.PubsubMessage{Data: []byte(body), Attributes: map[string]string{"kind": kind, "name": name}}
		}
		w.publish(w.topic("t"), message("1", "a", "y"), message("2", "b", "y"), message("3", "a", "xy"), message("4", "a", ""))
		got := w.pull(sub, 2)
		if diff := cmp.Diff([]string{"1", "4"}, bodies(got)); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		w.ack(sub, got...)
		if more := w.pull(sub, 0); len(more) != 0 {
			w.Errorf("more: %v", bodies(more))
		}
	})
}

func TestRetryPolicy(t *testing.T) {
	each(t, func(w *world) {
		sub := w.createSub(&pubsubpb.Subscription{RetryPolicy: &pubsubpb.RetryPolicy{MinimumBackoff: durationpb.New(3 * time.Second), MaximumBackoff: durationpb.New(3 * time.Second)}})
		w.publishData(w.topic("t"), "x")
		w.nack(sub, w.pull(sub, 1)...)
		begin := time.Now()
		if got := w.pull(sub, 1); len(got) != 1 || time.Since(begin) < 2900*time.Millisecond {
			w.Errorf("%v came back after %v", bodies(got), time.Since(begin))
		}
	})
}

func TestDeadLetters(t *testing.T) {
	each(t, func(w *world) {
		letters := w.sub("letters")
		w.createSub(&pubsubpb.Subscription{Name: letters, Topic: w.createTopic("dead")})
		sub := w.createSub(&pubsubpb.Subscription{DeadLetterPolicy: &pubsubpb.DeadLetterPolicy{DeadLetterTopic: w.topic("dead"), MaxDeliveryAttempts: 5}})
		w.publish(w.topic("t"), &pubsubpb.PubsubMessage{Data: []byte("x"), Attributes: map[string]string{"a": "b"}})
		for attempt := int32(1); attempt <= 5; attempt++ {
			got := w.pull(sub, 1)
			if len(got) != 1 || got[0].DeliveryAttempt != attempt {
				w.Fatalf("attempt %d: %v", attempt, got)
			}
			w.nack(sub, got...)
		}
		got := w.pull(letters, 1)
		if len(got) != 1 || string(got[0].Message.Data) != "x" || got[0].Message.Attributes["a"] != "b" {
			w.Fatalf("dead letters: %v", got)
		}
		if n := got[0].Message.Attributes["CloudPubSubDeadLetterSourceDeliveryCount"]; n != "5" {
			w.Errorf("delivery count: %q", n)
		}
		if more := w.pull(sub, 0); len(more) != 0 {
			w.Errorf("still delivered: %v", bodies(more))
		}
	})
}
