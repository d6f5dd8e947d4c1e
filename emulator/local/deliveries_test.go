package local_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/action"
)

// search gives the deliveries of a filter, and how many there are in each state.
func (b *bench) search(t *testing.T, filter map[string]any) (found []map[string]any, counts any) {
	t.Helper()
	_, indexed := filter["text"]
	answer := b.api.must(t, 200, "POST", "/v1/deliveries/search", map[string]any{"filter": filter, "counts": !indexed})
	list, _ := answer["deliveries"].([]any)
	for _, d := range list {
		found = append(found, d.(map[string]any))
	}
	return found, answer["counts"]
}

// A delivery is given up, found, explained, put back and delivered; its event is deleted then.
func TestDeliveryLog(t *testing.T) {
	change := func(c *local.Config) { c.Environ = []string{"CALLOUT_RETRY_SCHEDULE=1s", "CALLOUT_SHARDS=3"} }
	inBubble(t, change, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(n int, _ received) int { return []int{500, 503, 200}[min(n, 3)-1] })
		target, _ := b.api.route(t, endpoint(), orders)
		b.publish(t, map[string]any{"id": "o/1", "event_type": "order.created"})
		b.publish(t, map[string]any{"id": "u/1", "event_type": "user.added"})
		settle(time.Minute)

		found, counts := b.search(t, map[string]any{"target": target, "states": []string{"dead"}})
		want := map[string]any{"pending": 0.0, "retrying": 0.0, "delivered": 0.0, "dead": 1.0, "skipped": 0.0}
		if diff := cmp.Diff(any(want), counts); diff != "" || len(found) != 1 {
			t.Fatalf("%d found, counts (-want +got):\n%s", len(found), diff)
		}
		id := found[0]["id"].(string)
		d := b.api.must(t, 200, "GET", "/v1/deliveries/"+id, nil)
		if d["eventId"] != "o/1" || d["targetName"] != "receiver "+endpoint() || len(d["attempts"].([]any)) != 2 {
			t.Errorf("got %v", d)
		}
		b.checkSummary(t, "o/1", "matched event/order.created: 1 dead")
		b.checkSummary(t, "u/1", "matched no execution: nobody was called")

		if d = b.api.must(t, 200, "POST", "/v1/deliveries/"+id+":redeliver", map[string]any{}); d["state"] == "dead" {
			t.Errorf("redelivered: %v", d)
		}
		settle(time.Minute)
		b.checkSummary(t, "o/1", "matched event/order.created: 1 delivered")
		if found, _ := b.search(t, map[string]any{"text": "o/1"}); len(found) != 1 || found[0]["state"] != "delivered" || found[0]["attemptCount"] != 3.0 {
			t.Errorf("found by the event's id: %v", found)
		}
		b.api.must(t, 200, "DELETE", "/v1/events/"+url.PathEscape("o/1"), nil)
		status, answer := b.api.call(t, "POST", "/v1/deliveries/"+id+":redeliver", "application/json", map[string]any{})
		if status != 400 {
			t.Errorf("a deleted event is redelivered: %d %v", status, answer)
		}
		b.checkSummary(t, "o/1", "matched event/order.created: 1 delivered")
	})
}

func (b *bench) checkSummary(t *testing.T, event, want string) {
	t.Helper()
	answer := b.api.must(t, 200, "GET", "/v1/events/"+url.PathEscape(event)+":explain", nil)
	if got := answer["events"].([]any)[0].(map[string]any)["summary"]; got != want {
		t.Errorf("%s: %v, want %s", event, got, want)
	}
}

// A paused target keeps its deliveries; resuming it delivers them, and so does redelivering all that was given up.
func TestPauseResumeAndRedeliverAll(t *testing.T) {
	change := func(c *local.Config) { c.Environ = []string{"CALLOUT_SHARDS=3"} }
	inBubble(t, change, func(t *testing.T, i *installation) {
		b := newBench(t, i, nil)
		target, _ := b.api.route(t, endpoint(), orders)
		path := "/v1/targets/" + target
		b.api.must(t, 200, "POST", path+":pause", map[string]any{})
		for range 20 {
			b.publish(t, map[string]any{"event_type": "order.created"})
		}
		settle(5 * time.Second)
		if found, _ := b.search(t, map[string]any{"held": true, "text": ""}); len(found) != 20 {
			t.Errorf("%d are held", len(found))
		}
		rules := b.api.must(t, 200, "GET", path+"/delivery", nil)
		if valve, _ := rules["valve"].(map[string]any); rules["state"] != "paused" || valve["held"] != 20.0 || len(b.receiver.all) != 0 {
			t.Errorf("%d arrived, %v", len(b.receiver.all), rules)
		}
		b.api.must(t, 200, "POST", path+":resume", map[string]any{})
		settle(90 * time.Second) // less than a server keeps an idle connection
		if rules = b.api.must(t, 200, "GET", path+"/delivery", nil); rules["valve"] != nil || len(b.receiver.all) != 20 {
			t.Errorf("%d arrived, %v", len(b.receiver.all), rules)
		}

		b.api.must(t, 200, "PATCH", path+"/delivery", map[string]any{"schedule": []string{"1s"}, "concurrency": 3})
		b.receiver.Answer = func(n int, _ received) int { return map[bool]int{true: 410, false: 200}[n <= 21] }
		b.publish(t, map[string]any{"event_type": "order.created"})
		settle(time.Minute)
		if rules = b.api.must(t, 200, "GET", path+"/delivery", nil); rules["state"] != "paused" {
			t.Errorf("after 410: %v", rules)
		}
		b.api.must(t, 200, "POST", path+":resume", map[string]any{})
		if dry := b.api.must(t, 200, "POST", "/v1/deliveries:redeliver", map[string]any{"filter": map[string]any{"target": target}, "dryRun": true}); dry["matched"] != 1.0 {
			t.Errorf("dry: %v", dry)
		}
		if moved := b.api.must(t, 200, "POST", "/v1/deliveries:redeliver", map[string]any{"filter": map[string]any{"target": target}}); moved["moved"] != 1.0 {
			t.Errorf("moved: %v", moved)
		}
		settle(90 * time.Second) // less than a server keeps an idle connection
		_, counts := b.search(t, map[string]any{"target": target})
		if got := counts.(map[string]any)[string(action.Delivered)]; got != 21.0 {
			t.Errorf("at the end: %v", counts)
		}
	})
}
