package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
)

// bench is an installation with a receiver, and views on what it keeps.
type bench struct {
	*installation
	api      caller
	receiver *receiver
	ledger   *ledger.Ledger
	pubsub   *grpc.ClientConn
}

func (i *installation) conn(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return i.net.dial(ctx, "", address) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func newBench(t *testing.T, i *installation, answer func(n int, r received) int) *bench {
	t.Helper()
	l, err := i.net.listen(receiverAddress)
	if err != nil {
		t.Fatal(err)
	}
	client, err := firestore.NewClient(t.Context(), option.WithGRPCConn(i.conn(t, i.Info.Firestore)), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	return &bench{
		installation: i, api: caller{i.Info.API, i.as(t.Context(), "admin")}, receiver: receive(t, l, answer),
		ledger: ledger.New(client, "projects/"+local.Project+"/databases/(default)", ledger.Rules{}, logging.Discard()), pubsub: i.conn(t, i.Info.PubSub),
	}
}

// delivery reads what the ledger says of an event and a target.
func (b *bench) delivery(t *testing.T, event, target string) action.Delivery {
	t.Helper()
	key := action.KeyOfEvent(action.DefaultInstance, "", action.EventID(event))
	v, err := b.ledger.Delivery(t.Context(), action.DefaultInstance, action.DeliveryOf(key, action.TargetID(target)))
	if err != nil {
		t.Fatal(err)
	}
	return v.Delivery
}

func (b *bench) publish(t *testing.T, event map[string]any) {
	t.Helper()
	b.api.must(t, 202, "POST", "/v1/events", event)
}

// settle lets virtual time pass, so that all that was to happen within it has happened.
func settle(d time.Duration) { time.Sleep(d) }

// deadLetters subscribes to the dead letters; call it before they are written.
func (b *bench) deadLetters(t *testing.T) func() []map[string]any {
	t.Helper()
	name := "projects/" + local.Project + "/subscriptions/test"
	subscriber := pubsubpb.NewSubscriberClient(b.pubsub)
	_, err := subscriber.CreateSubscription(t.Context(), &pubsubpb.Subscription{Name: name, Topic: "projects/" + local.Project + "/topics/dead-letters"})
	if err != nil {
		t.Fatal(err)
	}
	return func() []map[string]any {
		answer, err := subscriber.Pull(t.Context(), &pubsubpb.PullRequest{Subscription: name, MaxMessages: 100})
		if err != nil {
			t.Fatal(err)
		}
		var letters []map[string]any
		for _, m := range answer.ReceivedMessages {
			var letter map[string]any
			if err := json.Unmarshal(m.Message.Data, &letter); err != nil {
				t.Fatal(err)
			}
			letters = append(letters, letter)
		}
		return letters
	}
}

var orders = map[string]any{"event": map[string]any{"event": "order.created"}}

func endpoint() string { return "http://" + receiverAddress + "/hook" }

func TestFailedDeliveryIsRetriedOnSchedule(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(n int, _ received) int { return []int{500, 302, 200}[min(n, 3)-1] })
		target, key := b.api.route(t, endpoint(), orders)
		start := time.Now()
		b.publish(t, map[string]any{"id": "o-1", "event_type": "order.created"})
		var at []time.Duration
		for n := 1; n <= 3; n++ {
			r := <-b.receiver.all
			at = append(at, time.Since(start))
			if err := r.verify(key); err != nil {
				t.Errorf("attempt %d: %v", n, err)
			}
			if r.Header.Get("webhook-id") != "o-1" || r.Header.Get("Callout-Attempt") != fmt.Sprint(n) {
				t.Errorf("attempt %d: headers %v", n, r.Header)
			}
		}
		between := func(d, low, high time.Duration) bool { return d >= low && d <= high }
		if !between(at[1]-at[0], 4500*time.Millisecond, 6600*time.Millisecond) || !between(at[2]-at[1], 27*time.Second, 34100*time.Millisecond) {
			t.Errorf("attempts after %v, want 5 s and 30 s apart, each ±10 %% and a second for the sweeper", at)
		}
		settle(time.Second)
		d := b.delivery(t, "o-1", target)
		var outcomes []string
		for _, a := range d.Attempts {
			outcomes = append(outcomes, fmt.Sprintf("%d %d %s %s", a.Number, a.Status, a.Outcome, a.Error))
		}
		want := []string{"1 500 failed status", "2 302 failed redirect", "3 200 success "}
		if diff := cmp.Diff(want, outcomes); diff != "" || d.State != action.Delivered {
			t.Errorf("state %s, attempts (-want +got):\n%s", d.State, diff)
		}
		if d.Lane != "" || !d.Due.IsZero() || d.Expires.IsZero() {
			t.Errorf("final, but lane %q, due %v, expires %v", d.Lane, d.Due, d.Expires)
		}
	})
}

func TestDeliveryIsDeadAfterItsSchedule(t *testing.T) {
	short := func(c *local.Config) { c.Environ = []string{"CALLOUT_RETRY_SCHEDULE=1s,1s"} }
	inBubble(t, short, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(int, received) int { return 503 })
		letters := b.deadLetters(t)
		target, _ := b.api.route(t, endpoint(), orders)
		b.publish(t, map[string]any{"id": "o-1", "event_type": "order.created", "event_payload": map[string]any{"n": 1}})
		settle(time.Minute)
		if n := b.receiver.count(); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
		if d := b.delivery(t, "o-1", target); d.State != action.Dead || d.Lane != "" || d.Tried() != 3 {
			t.Errorf("delivery %+v", d)
		}
		got := letters()
		if len(got) != 1 || got[0]["reason"] != "attempts used up" || got[0]["eventId"] != "o-1" || got[0]["target"] != target || got[0]["attempts"] != 3.0 {
			t.Errorf("dead letters %v", got)
		}
		settle(time.Hour)
		if n := b.receiver.count(); n != 3 {
			t.Errorf("%d attempts after it was dead", n-3)
		}
	})
}

func TestGoneGivesUpAtOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(int, received) int { return 410 })
		target, _ := b.api.route(t, endpoint(), orders)
		b.publish(t, map[string]any{"id": "o-1", "event_type": "order.created"})
		settle(time.Hour)
		if d := b.delivery(t, "o-1", target); d.State != action.Dead || b.receiver.count() != 1 {
			t.Errorf("state %s after %d calls", d.State, b.receiver.count())
		}
	})
}

func TestTheSameEventIsDeliveredOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, nil)
		b.api.route(t, endpoint(), orders)
		event := map[string]any{"id": "o-1", "event_type": "order.created"}
		b.publish(t, event)
		b.publish(t, event)
		settle(time.Hour)
		b.publish(t, event)
		publisher := topic(t, b.conn(t, i.Info.PubSub))
		data := []byte(`{"id":"o-1","event_type":"order.created","event_payload":"other content, same identity"}`)
		if _, err := publisher.Publish(t.Context(), &pubsub.Message{Data: data}).Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := map[string]string{"source": "elsewhere"}
		if _, err := publisher.Publish(t.Context(), &pubsub.Message{Data: data, Attributes: other}).Get(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle(time.Minute)
		if n := b.receiver.count(); n != 2 {
			t.Errorf("%d calls, want one for each (source, id)", n)
		}
	})
}

func TestOneExecutionApplies(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, nil)
		set := func(condition map[string]any, name string) {
			target := b.api.must(t, 200, "POST", "/v2/actions/targets", map[string]any{
				"name": name, "restAsync": map[string]any{}, "timeout": "1s", "endpoint": "http://" + receiverAddress + "/" + name,
			})
			b.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{
				"condition": map[string]any{"event": condition}, "targets": []any{target["id"]},
			})
		}
		set(map[string]any{"all": true}, "all")
		set(map[string]any{"group": "order"}, "short")
		set(map[string]any{"group": "order.line"}, "long")
		set(map[string]any{"event": "order.line.added"}, "exact")
		settle(time.Minute) // "all" hears of what was set, too
		own := b.receiver.count()
		for range own {
			<-b.receiver.all
		}
		var got []string
		for _, eventType := range []string{"order.line.added", "order.line.removed", "order.created", "order", "orders.created", "order.lines"} {
			b.publish(t, map[string]any{"event_type": eventType})
			r := <-b.receiver.all
			got = append(got, eventType+" → "+r.Path)
		}
		want := []string{"order.line.added → /exact", "order.line.removed → /long", "order.created → /short", "order → /short", "orders.created → /all", "order.lines → /short"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		settle(time.Minute)
		if n := b.receiver.count() - own; n != len(want) {
			t.Errorf("%d calls for %d events", n, len(want))
		}
	})
}

func TestRemovedTargetEndsItsDeliveries(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(int, received) int { return 500 })
		letters := b.deadLetters(t)
		target, _ := b.api.route(t, endpoint(), orders)
		b.publish(t, map[string]any{"id": "o-1", "event_type": "order.created"})
		<-b.receiver.all
		b.api.must(t, 200, "DELETE", "/v2/actions/targets/"+target, nil)
		settle(time.Minute)
		if d := b.delivery(t, "o-1", target); d.State != action.Dead || d.Reason != "target removed" {
			t.Errorf("delivery %+v", d)
		}
		if got := letters(); len(got) != 1 || got[0]["reason"] != "target removed" {
			t.Errorf("dead letters %v", got)
		}
		b.publish(t, map[string]any{"id": "o-2", "event_type": "order.created"})
		settle(time.Hour)
		if n := b.receiver.count(); n != 1 {
			t.Errorf("%d calls after the target was removed", n-1)
		}
	})
}

func TestHangingTargetTimesOutAndLargePayloadArrives(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(n int, _ received) int {
			if n == 1 {
				time.Sleep(time.Minute)
			}
			return 204
		})
		target, key := b.api.route(t, endpoint(), orders)
		large := strings.Repeat("é", 200<<10)
		b.publish(t, map[string]any{"id": "o-1", "event_type": "order.created", "event_payload": large})
		settle(2 * time.Minute)
		d := b.delivery(t, "o-1", target)
		if len(d.Attempts) != 2 || d.Attempts[0].Outcome != action.Timeout || d.Attempts[0].Took != 10*time.Second || d.State != action.Delivered {
			t.Fatalf("delivery %+v", d)
		}
		for range 2 {
			r := <-b.receiver.all
			if err := r.verify(key); err != nil {
				t.Error(err)
			}
			var payload string
			if err := json.Unmarshal(r.event(t).Payload, &payload); err != nil || payload != large {
				t.Errorf("payload of %d bytes, %v", len(payload), err)
			}
		}
	})
}

func TestUnmatchedAndUnreadableEvents(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		b := newBench(t, i, nil)
		letters := b.deadLetters(t)
		b.publish(t, map[string]any{"id": "o-1", "event_type": "order.created"})
		key := action.KeyOfEvent(action.DefaultInstance, "", "o-1")
		settle(time.Minute)
		e, err := b.ledger.Event(t.Context(), action.DefaultInstance, key, time.Now())
		if err != nil || e.Execution != "" || len(e.Targets) != 0 || !e.Expires.Equal(e.Created.Add(24*time.Hour)) {
			t.Errorf("unmatched event %+v, %v", e, err)
		}
		if _, err := b.ledger.Event(t.Context(), action.DefaultInstance, key, time.Now().Add(25*time.Hour)); !errs.Is(err, errs.NotFound) {
			t.Errorf("expired event: %v", err)
		}
		publisher := topic(t, b.conn(t, i.Info.PubSub))
		for _, data := range []string{`{"event_type":`, `{"event_type":"a b"}`, `{"event_type":"a.b","instanceID":"../x"}`} {
			if _, err := publisher.Publish(t.Context(), &pubsub.Message{Data: []byte(data)}).Get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		settle(time.Minute)
		got := letters()
		if len(got) != 3 {
			t.Fatalf("%d dead letters: %v", len(got), got)
		}
		for _, letter := range got {
			if letter["reason"] == "" || letter["data"] == "" {
				t.Errorf("dead letter %v", letter)
			}
		}
	})
}

// What was configured, accepted and issued before a stop is there after it, even if the machine's clock was set back meanwhile: every
// bubble's begins at the same moment.
func TestRestartKeepsEverything(t *testing.T) {
	data := t.TempDir()
	durable := func(c *local.Config) { c.Data = data }
	var token, target string
	inBubble(t, durable, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(int, received) int { return 500 })
		target, _ = b.api.route(t, endpoint(), orders)
		b.publish(t, map[string]any{"id": "o-1", "event_type": "order.created"})
		<-b.receiver.all
		settle(time.Second)
		token = i.token(t, "admin")
	})
	inBubble(t, durable, func(t *testing.T, i *installation) {
		b := newBench(t, i, nil)
		if second := i.token(t, "admin"); second == "" {
			t.Error("no token after the restart")
		}
		response, err := i.client.Do(bearerRequest(t, i.Info.API+"/v2/actions/targets/"+target, token))
		if err != nil || response.StatusCode != 200 {
			t.Errorf("token from before: %v %v", response, err)
		} else {
			_ = response.Body.Close()
		}
		select {
		case r := <-b.receiver.all:
			if r.Header.Get("webhook-id") != "o-1" || r.Header.Get("Callout-Attempt") != "2" {
				t.Errorf("headers %v", r.Header)
			}
		case <-time.After(10 * time.Minute):
			t.Errorf("the retry did not come: %+v", b.delivery(t, "o-1", target))
		}
	})
}
