package deliveries

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
)

// set makes the list of a condition.
func (b *bench) set(id action.ExecutionID, targets ...action.TargetID) {
	b.t.Helper()
	c, err := action.ParseExecutionID(id)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.store.SetExecution(b.t.Context(), action.DefaultInstance, c, targets); err != nil {
		b.t.Fatal(err)
	}
}

// whys are the candidates of the first event with what is said of them.
func whys(answer map[string]any) (out [][2]string) {
	event := answer["events"].([]any)[0].(map[string]any)
	for _, c := range event["candidates"].([]any) {
		c := c.(map[string]any)
		out = append(out, [2]string{c["execution"].(string), c["why"].(string)})
	}
	return out
}

func TestExplain(t *testing.T) {
	inBubble(t, func(b *bench) {
		demo, audit, leaving := b.target("demo"), b.target("audit"), b.target("leaving")
		b.set("event/order.*", demo)
		b.set("event/order.created.*", leaving)
		b.set("event", audit)
		time.Sleep(time.Second)
		key := b.event("shop", "o.1", "order.created", map[string]any{"execution": "event/order.*"}, demo, audit)
		b.delivery(key, demo, action.Retrying, map[string]any{"attempts": []any{attempt(1, 500, "")}})
		b.delivery(key, audit, action.Dead, map[string]any{"reason": "target removed"})
		time.Sleep(time.Second)
		b.set("event/order.created", audit)
		if _, err := b.store.DeleteTarget(b.t.Context(), action.DefaultInstance, leaving); err != nil {
			t.Fatal(err)
		}
		got := b.twins(200, "GET", "/v1/events/o.1:explain?source=shop", ``, "ExplainEvent", `{"id":"o.1"}`)
		candidate := func(execution, why string, targets ...any) map[string]any {
			c := map[string]any{"execution": execution, "why": why}
			if len(targets) > 0 {
				c["exists"], c["targets"] = true, targets
			}
			return c
		}
		taken := candidate("event/order.*", "taken", string(demo))
		taken["taken"] = true
		want := map[string]any{"id": "o.1", "source": "shop", "key": string(key), "eventType": "order.created", "created": "2000-01-01T00:00:01Z",
			"expires": "2000-01-01T01:00:01Z", "execution": "event/order.*", "summary": "matched event/order.*: 1 retrying, 1 dead",
			"candidates": []any{
				candidate("event/order.created", "set after the event came", string(audit)),
				candidate("event/order.created.*", "not set"),
				taken,
				candidate("event", "less specific than event/order.*", string(audit)),
			},
			"targets": []any{
				map[string]any{"targetId": string(demo), "targetName": "demo", "exists": true, "deliveryId": string(action.DeliveryOf(key, demo)), "state": "retrying",
					"attemptCount": 1.0, "due": "2000-01-01T00:01:01Z", "why": "will be tried again; last: 500"},
				map[string]any{"targetId": string(audit), "targetName": "audit", "exists": true, "deliveryId": string(action.DeliveryOf(key, audit)), "state": "dead",
					"why": "given up: target removed"},
			}}
		if diff := cmp.Diff([]any{want}, got["events"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestExplainWhatWasNotDelivered(t *testing.T) {
	inBubble(t, func(b *bench) {
		demo := b.target("demo")
		b.event("", "u.1", "user.added", nil)
		got := b.twins(200, "GET", "/v1/events/u.1:explain", ``, "ExplainEvent", `{"id":"u.1"}`)
		want := [][2]string{{"event/user.added", "not set"}, {"event/user.added.*", "not set"}, {"event/user.*", "not set"}, {"event", "not set"}}
		if diff := cmp.Diff(want, whys(got)); diff != "" {
			t.Errorf("unmatched (-want +got):\n%s", diff)
		}
		if s := got["events"].([]any)[0].(map[string]any)["summary"]; s != "matched no execution: nobody was called" {
			t.Errorf("summary %v", s)
		}
		b.event("s", "t.1", "callout.test", map[string]any{"erased": true}, demo)
		got = b.twins(200, "GET", "/v1/events/t.1:explain", ``, "ExplainEvent", `{"id":"t.1"}`)
		event := got["events"].([]any)[0].(map[string]any)
		if event["addressedTo"] != string(demo) || event["payloadDeleted"] != true || event["summary"] != "sent to one target, past all executions (1 not on record any more)" {
			t.Errorf("a test event: %v", event)
		}
		b.event("t", "t.1", "a.b", nil)
		if got = b.twins(200, "GET", "/v1/events/t.1:explain", ``, "ExplainEvent", `{"id":"t.1"}`); len(got["events"].([]any)) != 2 {
			t.Errorf("of two sources: %v", got)
		}
	})
}
