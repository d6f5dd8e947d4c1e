package deliveries

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/queue"
)

const service = "/callout.v1.DeliveryService/"

// twins calls a method over REST and over Connect: both must answer alike. It gives the answer.
func (b *bench) twins(status int, method, path, body, rpc, message string) map[string]any {
	b.t.Helper()
	restStatus, rest := b.call(method, path, body)
	if restStatus != status {
		b.t.Errorf("%s %s %s: %d, want %d: %v", method, path, body, restStatus, status, rest)
	}
	rpcStatus, twin := b.call("POST", service+rpc, message)
	if status == 200 {
		if diff := cmp.Diff(rest, twin); diff != "" || rpcStatus != 200 {
			b.t.Errorf("%s and %s are no twins, %d (-rest +rpc):\n%s", path, rpc, rpcStatus, diff)
		}
	} else if rest["message"] != twin["message"] || rpcStatus == 200 {
		b.t.Errorf("%s says %v and %s says %v", path, rest["message"], rpc, twin["message"])
	}
	return rest
}

func ids(answer map[string]any) (ids []string) {
	list, _ := answer["deliveries"].([]any)
	for _, d := range list {
		ids = append(ids, d.(map[string]any)["id"].(string))
	}
	return ids
}

func TestSearch(t *testing.T) {
	inBubble(t, func(b *bench) {
		demo := b.target("demo")
		const gone = action.TargetID("gone")
		at := map[string]action.DeliveryID{}
		for i, state := range []action.State{action.Pending, action.Retrying, action.Delivered, action.Dead, action.Skipped} {
			key := b.event("shop", fmt.Sprintf("o.%d", i), "order.created", nil, demo, gone)
			at["demo "+string(state)] = b.delivery(key, demo, state, map[string]any{"attempts": []any{attempt(1, 500, "first"), attempt(2, 503, "second")}})
			time.Sleep(time.Second)
			at["gone "+string(state)] = b.delivery(key, gone, state, map[string]any{"type": "order.paid"})
			time.Sleep(time.Second)
		}
		tests := []struct {
			name, filter string
			want         []string
		}{
			{"one state", `{"states":["dead"]}`, []string{"gone dead", "demo dead"}},
			{"two states of a target", `{"states":["pending","skipped"],"target":"gone"}`, []string{"gone skipped", "gone pending"}},
			{"a type", `{"eventType":"order.paid","states":["delivered","dead"]}`, []string{"gone dead", "gone delivered"}},
			{"a time", `{"createdFrom":"2000-01-01T00:00:02Z","createdTo":"2000-01-01T00:00:04Z"}`, []string{"gone retrying", "demo retrying"}},
			{"an event's id", `{"text":"o.3"}`, []string{"gone dead", "demo dead"}},
			{"a delivery's id", `{"text":"` + string(at["gone dead"]) + `"}`, []string{"gone dead"}},
			{"a part of it", `{"text":"` + strings.ToUpper(string(at["gone dead"])[2:12]) + `"}`, []string{"gone dead"}},
			{"what nothing has", `{"text":"o.33"}`, nil},
			{"what is held", `{"held":true}`, nil},
		}
		for _, tt := range tests {
			answer := b.twins(200, "POST", "/v1/deliveries/search", `{"filter":`+tt.filter+`}`, "SearchDeliveries", `{"filter":`+tt.filter+`}`)
			var want []string
			for _, name := range tt.want {
				want = append(want, string(at[name]))
			}
			if diff := cmp.Diff(want, ids(answer)); diff != "" || answer["nextPageToken"] != nil {
				t.Errorf("%s: token %v (-want +got):\n%s", tt.name, answer["nextPageToken"], diff)
			}
		}
		b.checkOneOf(at["demo retrying"], demo)
		b.checkPages(`{"states":["dead","delivered"],"target":"`+string(demo)+`"}`, at["demo dead"], at["demo delivered"])
		b.checkCounts(demo)
	})
}

// checkOneOf looks at all that a list says of a delivery.
func (b *bench) checkOneOf(id action.DeliveryID, target action.TargetID) {
	b.t.Helper()
	_, answer := b.call("POST", "/v1/deliveries/search", `{"filter":{"text":"`+string(id)+`"}}`)
	want := map[string]any{"id": string(id), "eventKey": string(action.KeyOfEvent("default", "shop", "o.1")), "eventType": "order.created",
		"targetId": string(target), "targetName": "demo", "state": "retrying", "attemptCount": 2.0,
		"attempts": []any{map[string]any{"number": 2.0, "start": "2000-01-01T00:00:02Z", "durationMs": 1.5, "status": 503.0, "outcome": "failed", "error": "status"}},
		"created":  "2000-01-01T00:00:02Z", "changed": "2000-01-01T00:00:02Z", "due": "2000-01-01T00:01:02Z"}
	if diff := cmp.Diff([]any{want}, answer["deliveries"]); diff != "" {
		b.t.Errorf("(-want +got):\n%s", diff)
	}
}

// checkPages wants two deliveries on a page each, and tokens of other searches refused.
func (b *bench) checkPages(filter string, first, second action.DeliveryID) {
	b.t.Helper()
	_, page := b.call("POST", "/v1/deliveries/search", `{"pageSize":1,"filter":`+filter+`}`)
	token, _ := page["nextPageToken"].(string)
	if diff := cmp.Diff([]string{string(first)}, ids(page)); diff != "" || token == "" {
		b.t.Fatalf("first page, token %q (-want +got):\n%s", token, diff)
	}
	_, page = b.call("POST", "/v1/deliveries/search", `{"pageSize":1,"pageToken":"`+token+`","filter":`+filter+`}`)
	if diff := cmp.Diff([]string{string(second)}, ids(page)); diff != "" || page["nextPageToken"] != nil {
		b.t.Errorf("second page, token %v (-want +got):\n%s", page["nextPageToken"], diff)
	}
	last := "A"
	if strings.HasSuffix(token, last) {
		last = "B"
	}
	damaged := token[:len(token)-1] + last
	for _, other := range []string{`{"pageToken":"` + token + `"}`, `{"filter":` + filter + `,"pageToken":"` + damaged + `"}`} {
		answer := b.twins(400, "POST", "/v1/deliveries/search", other, "SearchDeliveries", other)
		if says, _ := answer["message"].(string); !strings.Contains(says, "pageToken") {
			b.t.Errorf("it says %q", says)
		}
	}
}

func (b *bench) checkCounts(target action.TargetID) {
	b.t.Helper()
	one := map[string]any{"pending": 1.0, "retrying": 1.0, "delivered": 1.0, "dead": 1.0, "skipped": 1.0}
	_, answer := b.call("POST", "/v1/deliveries/search", `{"counts":true,"filter":{"target":"`+string(target)+`","states":["dead"]}}`)
	if diff := cmp.Diff(any(one), answer["counts"]); diff != "" || len(ids(answer)) != 1 {
		b.t.Errorf("%d deliveries, counts (-want +got):\n%s", len(ids(answer)), diff)
	}
}

func TestRefused(t *testing.T) {
	inBubble(t, func(b *bench) {
		target := b.target("demo")
		long := strings.Repeat("x", 1025)
		id := `"id":"` + string(target) + `",`
		patch := func(body, says string) []string {
			return []string{"PATCH", "/v1/targets/" + string(target) + "/delivery", `{` + body + `}`, "UpdateTargetDelivery", `{` + id + body + `}`, says}
		}
		search := func(body, says string) []string {
			return []string{"POST", "/v1/deliveries/search", body, "SearchDeliveries", body, says}
		}
		redeliver := func(body, says string) []string {
			return []string{"POST", "/v1/deliveries:redeliver", body, "RedeliverDeliveries", body, says}
		}
		tests := [][]string{
			search(`{"filter":{"states":["lost"]}}`, "filter.states"),
			search(`{"filter":{"target":"a/b"}}`, "filter.target"),
			search(`{"filter":{"eventType":"a b"}}`, "filter.eventType"),
			search(`{"filter":{"text":"`+long+`"}}`, "filter.text"),
			search(`{"filter":{"createdFrom":"2000-01-01T00:00:00Z","createdTo":"2000-01-01T00:00:00Z"}}`, "filter.createdFrom"),
			search(`{"pageSize":1001}`, "pageSize"),
			search(`{"pageSize":-1}`, "pageSize"),
			search(`{"pageToken":"x"}`, "pageToken"),
			search(`{"counts":true,"filter":{"held":true}}`, "counts"),
			redeliver(`{"filter":{"states":["delivered"]}}`, "filter.states"),
			redeliver(`{"pageToken":"x"}`, "pageToken"),
			patch(`"schedule":["1ms"]`, "schedule[0]"),
			patch(`"schedule":["5s","169h"]`, "schedule[1]"),
			patch(`"schedule":["5s",7]`, "schedule[1]"),
			patch(`"schedule":["soon"]`, "schedule[0]"),
			patch(`"schedule":[`+strings.TrimSuffix(strings.Repeat(`"1s",`, 25), ",")+`]`, "24 waits"),
			patch(`"schedule":["168h","168h","168h","168h"]`, "CALLOUT_RETENTION"),
			patch(`"ratePerSecond":10001`, "ratePerSecond"),
			patch(`"ratePerSecond":-1`, "ratePerSecond"),
			patch(`"concurrency":1001`, "concurrency"),
			patch(`"state":"stopped"`, "state"),
			{"GET", "/v1/events/" + long + ":explain", ``, "ExplainEvent", `{"id":"` + long + `"}`, "id must be"},
			{"DELETE", "/v1/events/x?source=" + long, ``, "DeleteEvent", `{"id":"x","source":"` + long + `"}`, "source"},
		}
		for _, tt := range tests {
			answer := b.twins(400, tt[0], tt[1], tt[2], tt[3], tt[4])
			if says, _ := answer["message"].(string); !strings.Contains(says, tt[5]) {
				t.Errorf("%s %.80s %.80s says %.200q, not %q", tt[0], tt[1], tt[2], says, tt[5])
			}
		}
		if len(b.changer.asked)+len(b.queue.take())+len(b.settings) != 0 {
			t.Errorf("something was done: %v", b.changer.asked)
		}
		// A field that is misspelt is refused in both, in the words of each.
		for _, path := range []string{"/v1/deliveries:redeliver", service + "RedeliverDeliveries"} {
			if status, answer := b.call("POST", path, `{"filter":{"tarket":"x"}}`); status != 400 || !strings.Contains(fmt.Sprint(answer), "tarket") {
				t.Errorf("%s: %d %v", path, status, answer)
			}
		}
	})
}

func TestMissing(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.changer.err = errs.Newf(errs.NotFound, "read delivery")
		unknown := string(action.DeliveryOf("no", "body"))
		expired := string(b.delivery("key", "t", action.Delivered, map[string]any{"expireAt": time.Now()}))
		for _, id := range []string{unknown, expired, "x", "x%2Fy"} {
			plain, _ := url.PathUnescape(id)
			b.twins(404, "GET", "/v1/deliveries/"+unknown, ``, "GetDelivery", `{"id":"`+plain+`"}`)
			b.twins(404, "POST", "/v1/deliveries/"+unknown+":redeliver", ``, "RedeliverDelivery", `{"id":"`+plain+`"}`)
		}
		for _, id := range []string{unknown, "x y"} {
			path := "/v1/targets/" + url.PathEscape(id)
			b.twins(404, "GET", path+"/delivery", ``, "GetTargetDelivery", `{"id":"`+id+`"}`)
			b.twins(404, "PATCH", path+"/delivery", `{"concurrency":1}`, "UpdateTargetDelivery", `{"id":"`+id+`","concurrency":1}`)
			b.twins(404, "POST", path+":test", ``, "TestTarget", `{"id":"`+id+`"}`)
			b.twins(404, "POST", path+":pause", ``, "PauseTarget", `{"id":"`+id+`"}`)
			b.twins(404, "POST", path+":resume", `{}`, "ResumeTarget", `{"id":"`+id+`"}`)
		}
		answer := b.twins(404, "GET", "/v1/events/e.1:explain", ``, "ExplainEvent", `{"id":"e.1"}`)
		const want = `no event "e.1" is on record: it was not accepted here, or not yet; or it has expired after 720h (CALLOUT_RETENTION); ` +
			`or it matched no execution, and such events are kept for 24h (CALLOUT_LOG_UNMATCHED)`
		if answer["message"] != want {
			t.Errorf("it says %v", answer["message"])
		}
		b.twins(404, "DELETE", "/v1/events/e.1", ``, "DeleteEvent", `{"id":"e.1"}`)
		if len(b.queue.take()) != 0 {
			t.Error("something was published")
		}
	})
}

func TestGet(t *testing.T) {
	inBubble(t, func(b *bench) {
		demo := b.target("demo")
		key := b.event("shop", "o.1", "order.created", nil, demo)
		id := b.delivery(key, demo, action.Dead, map[string]any{"reason": "expired", "attempts": []any{attempt(1, 500, "first"), attempt(2, 503, "second")}})
		got := b.twins(200, "GET", "/v1/deliveries/"+string(id), ``, "GetDelivery", `{"id":"`+string(id)+`"}`)
		one := func(n, status float64, answer string) any {
			return map[string]any{"number": n, "start": "2000-01-01T00:00:00Z", "durationMs": 1.5, "status": status, "outcome": "failed", "error": "status", "answer": answer}
		}
		want := map[string]any{"id": string(id), "eventKey": string(key), "eventId": "o.1", "source": "shop", "eventType": "order.created", "targetId": string(demo),
			"targetName": "demo", "state": "dead", "reason": "expired", "attemptCount": 2.0, "attempts": []any{one(1, 500, "first"), one(2, 503, "second")},
			"created": "2000-01-01T00:00:00Z", "changed": "2000-01-01T00:00:00Z", "expires": "2000-01-01T01:00:00Z", "payload": "{}"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRedeliverOne(t *testing.T) {
	id := string(action.DeliveryOf("e", "t"))
	slow := published{queue.DeliveriesSlow, queue.Message{Data: []byte(`{"instance":"default","delivery":"` + id + `","tried":2,"release":true}`)}}
	tick := published{queue.Ticks, queue.Message{Data: []byte(`{}`)}}
	tests := map[string]struct {
		give action.Delivery
		want []published
	}{
		"it is tried at once":            {action.Delivery{Attempts: []action.Attempt{{Number: 2}}}, []published{slow, slow}},
		"its target holds":               {action.Delivery{Held: action.HoldFailing}, []published{tick, tick}},
		"it follows one not yet through": {action.Delivery{Waits: true}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(b *bench) {
				b.changer.give = tt.give
				b.twins(200, "POST", "/v1/deliveries/"+id+":redeliver", ``, "RedeliverDelivery", `{"id":"`+id+`"}`)
				if diff := cmp.Diff(tt.want, b.queue.take()); diff != "" {
					t.Errorf("published (-want +got):\n%s", diff)
				}
				b.changer.err = errs.Newf(errs.FailedPrecondition, "its event was deleted")
				answer := b.twins(400, "POST", "/v1/deliveries/"+id+":redeliver", `{}`, "RedeliverDelivery", `{"id":"`+id+`"}`)
				if answer["message"] != "its event was deleted" || len(b.queue.take()) != 0 {
					t.Errorf("it says %v", answer["message"])
				}
			})
		})
	}
}

func TestRedeliverMany(t *testing.T) {
	inBubble(t, func(b *bench) {
		var want []string
		for i := range 1203 {
			target := action.TargetID([]string{"a", "b"}[i%2])
			id := b.delivery(action.EventKey(fmt.Sprint(i)), target, []action.State{action.Dead, action.Dead, action.Delivered}[i%3], nil)
			if i%3 != 2 {
				want = append(want, string(id))
			}
		}
		b.twins(200, "POST", "/v1/deliveries:redeliver", `{"dryRun":true}`, "RedeliverDeliveries", `{"dryRun":true}`)
		if _, dry := b.call("POST", "/v1/deliveries:redeliver", `{"dryRun":true}`); dry["matched"] != float64(len(want)) || dry["moved"] != nil {
			t.Errorf("dry: %v, want %d", dry, len(want))
		}
		if len(b.changer.asked)+len(b.queue.take()) != 0 {
			t.Error("a dry run did something")
		}
		b.changer.moves = 1
		token, moved, calls := "", 0.0, 0
		for ; calls == 0 || token != ""; calls++ {
			status, answer := b.call("POST", "/v1/deliveries:redeliver", `{"filter":{"states":["dead"]},"pageToken":"`+token+`"}`)
			if status != 200 {
				t.Fatalf("%d %v", status, answer)
			}
			if n, _ := answer["moved"].(float64); n > 0 {
				moved += n
			}
			token, _ = answer["nextPageToken"].(string)
		}
		got := map[string]bool{}
		for _, id := range b.changer.asked {
			got[id] = id != "redeliver all"
		}
		for _, id := range want {
			if !got[id] {
				t.Errorf("%s was left out", id)
			}
		}
		if int(moved) != len(want)-calls || len(b.queue.take()) != calls {
			t.Errorf("%v moved of %d in %d calls", moved, len(want), calls)
		}
		_, one := b.call("POST", "/v1/deliveries:redeliver", `{"dryRun":true,"filter":{"text":"`+want[0]+`"}}`)
		if one["matched"] != 1.0 {
			t.Errorf("a text that cannot be counted: %v", one)
		}
	})
}

func TestTarget(t *testing.T) {
	inBubble(t, func(b *bench) {
		demo := string(b.target("demo"))
		path, id := "/v1/targets/"+demo, `{"id":"`+demo+`"}`
		schedule := []any{"5s", "30s", "2m", "10m", "30m", "2h", "5h", "10h", "24h"}
		got := b.twins(200, "GET", path+"/delivery", ``, "GetTargetDelivery", id)
		if diff := cmp.Diff(map[string]any{"state": "active", "effectiveSchedule": schedule}, got); diff != "" {
			t.Errorf("at first (-want +got):\n%s", diff)
		}
		const change = `"schedule":["1s","90m"],"ratePerSecond":5,"concurrency":2,"state":"paused"}`
		b.twins(200, "PATCH", path+"/delivery", `{`+change, "UpdateTargetDelivery", id[:len(id)-1]+","+change)
		b.delivery("k", action.TargetID(demo), action.Pending, map[string]any{"lane": ledger.TargetLane("default", action.TargetID(demo))})
		got = b.twins(200, "GET", path+"/delivery", ``, "GetTargetDelivery", id)
		want := map[string]any{"schedule": []any{"1s", "1h30m"}, "effectiveSchedule": []any{"1s", "1h30m"}, "ratePerSecond": 5.0, "concurrency": 2.0, "state": "paused",
			"valve": map[string]any{"state": "paused", "reason": "paused", "since": "2000-01-01T00:00:00Z", "held": 1.0}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("changed (-want +got):\n%s", diff)
		}
		if n := len(b.queue.take()); n != 2 {
			t.Errorf("%d ticks", n)
		}
		b.twins(200, "POST", path+":resume", ``, "ResumeTarget", id)
		b.twins(200, "POST", path+":pause", `{}`, "PauseTarget", id)
		b.twins(200, "PATCH", path+"/delivery", `{"schedule":[],"ratePerSecond":0}`, "UpdateTargetDelivery", `{"id":"`+demo+`","schedule":[],"ratePerSecond":0}`)
		if diff := cmp.Diff(action.DeliverySettings{Schedule: []time.Duration{}, Limits: action.Limits{Concurrency: 2}}, b.settings[action.TargetID(demo)]); diff != "" {
			t.Errorf("settings (-want +got):\n%s", diff)
		}
		asked := []string{"pause " + demo, "pause " + demo, "resume " + demo, "resume " + demo, "pause " + demo, "pause " + demo}
		if diff := cmp.Diff(asked, b.changer.asked); diff != "" {
			t.Errorf("asked (-want +got):\n%s", diff)
		}
		b.queue.take()
		b.queue.err = errs.Newf(errs.Unavailable, "the queue takes no messages")
		b.twins(200, "POST", path+":resume", ``, "ResumeTarget", id) // the scheduler wakes the sweeper anyway
		b.twins(503, "POST", path+":test", ``, "TestTarget", id)
	})
}

func TestTestEvent(t *testing.T) {
	inBubble(t, func(b *bench) {
		demo := b.target("demo")
		for _, path := range []string{"/v1/targets/" + string(demo) + ":test", service + "TestTarget"} {
			status, answer := b.call("POST", path, `{"id":"`+string(demo)+`"}`)
			messages := b.queue.take()
			if status != 200 || len(messages) != 1 || messages[0].Topic != queue.Events {
				t.Fatalf("%s: %d %v, published %v", path, status, answer, messages)
			}
			event, err := queue.DecodeEvent(messages[0].Message)
			addressee, addressErr := queue.Addressee(messages[0].Message)
			if err != nil || addressErr != nil || addressee != demo || event.Type != "callout.test" || event.UserID != "owner" || !json.Valid(event.Payload) {
				t.Errorf("%+v for %q, %v, %v", event, addressee, err, addressErr)
			}
			want := map[string]any{"eventId": string(event.ID), "source": event.Source, "deliveryId": string(action.DeliveryOf(event.Key(), demo))}
			if diff := cmp.Diff(want, answer); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	})
}

func TestDeleteEvent(t *testing.T) {
	inBubble(t, func(b *bench) {
		one := b.event("", "o/1 ü:x", "order.created", nil)
		first, second := b.event("a", "twice", "order.created", nil), b.event("b", "twice", "order.created", nil)
		b.twins(200, "DELETE", "/v1/events/o%2F1%20%C3%BC:x", ``, "DeleteEvent", `{"id":"o/1 ü:x"}`)
		b.twins(200, "DELETE", "/v1/events/o%2F1%20%C3%BC:x?source=", ``, "DeleteEvent", `{"id":"o/1 ü:x","source":""}`)
		b.twins(404, "DELETE", "/v1/events/o%2F1%20%C3%BC:x?source=a", ``, "DeleteEvent", `{"id":"o/1 ü:x","source":"a"}`)
		answer := b.twins(400, "DELETE", "/v1/events/twice", ``, "DeleteEvent", `{"id":"twice"}`)
		if says, _ := answer["message"].(string); !strings.Contains(says, `"a" and "b"`) {
			t.Errorf("it says %q", says)
		}
		b.twins(200, "DELETE", "/v1/events/twice?source=b", ``, "DeleteEvent", `{"id":"twice","source":"a"}`)
		d := "delete default "
		want := []string{d + string(one), d + string(one), d + string(one), d + string(one), d + string(second), d + string(first)}
		if diff := cmp.Diff(want, b.changer.asked); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
