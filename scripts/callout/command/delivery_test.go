package command_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
)

// lines are those of a text, the white space in them made one.
func lines(text string) (out []string) {
	for line := range strings.Lines(text) {
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	return out
}

func wantLines(t *testing.T, text string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// withDeliveries makes one of each sort, a second apart.
func withDeliveries(w *world) map[string]action.DeliveryID {
	withTargets(w) // takes 3 s
	ids := map[string]action.DeliveryID{}
	make := func(name string, d action.Delivery) {
		d.EventType = "order." + name
		ids[name] = w.deliveries.add(d, action.EventID("o-"+name), map[action.TargetID]string{"t1": "alpha", "t2": "beta"}[d.Target])
		time.Sleep(time.Second)
	}
	failed := action.Attempt{Number: 2, Start: time.Now(), Took: 1500 * time.Microsecond, Status: 500, Outcome: action.Failed, Error: action.ErrorStatus, Answer: "no\x1b[31m"}
	make("delivered", action.Delivery{Target: "t1", State: action.Delivered, Attempts: []action.Attempt{{Number: 1, Status: 204, Outcome: action.Success}}})
	make("dead", action.Delivery{Target: "t1", State: action.Dead, Reason: "expired", Attempts: []action.Attempt{failed}})
	make("held", action.Delivery{Target: "t2", State: action.Retrying, Held: action.HoldPaused, Due: time.Now().Add(time.Hour), Attempts: []action.Attempt{failed}})
	make("gone", action.Delivery{Target: "t7", State: action.Pending, Waits: true, Follows: "d9"})
	return ids
}

func TestDeliveryList(t *testing.T) {
	inWorld(t, func(w *world) {
		ids := withDeliveries(w)
		header := "ID STATE TARGET TYPE ATTEMPTS LAST CREATED DUE NOTE"
		rows := map[string]string{
			"delivered": string(ids["delivered"]) + " delivered alpha (t1) order.delivered 1 204 2000-01-01T00:00:03Z -",
			"dead":      string(ids["dead"]) + " dead alpha (t1) order.dead 2 500 2000-01-01T00:00:04Z - expired",
			"held":      string(ids["held"]) + " retrying beta (t2) order.held 2 500 2000-01-01T00:00:05Z 2000-01-01T01:00:05Z held: paused",
			"gone":      string(ids["gone"]) + " pending t7 order.gone 0 - 2000-01-01T00:00:06Z - waits for d9",
		}
		tests := []struct {
			args string
			want []string
		}{
			{"", []string{"gone", "held", "dead", "delivered"}},
			{"--limit 2", []string{"gone", "held"}},
			{"--target beta", []string{"held"}},
			{"--target t1 --state dead", []string{"dead"}},
			{"--state dead,pending", []string{"gone", "dead"}},
			{"--type order.dead", []string{"dead"}},
			{"--held", []string{"held"}},
			{"--since 2s", []string{"gone", "held"}},
			{"--since 2000-01-01T00:00:05Z --until 2000-01-01T00:00:06Z", []string{"held"}},
			{"--text " + string(ids["dead"]), []string{"dead"}},
		}
		w.deliveries.page = 1 // several calls
		for _, tt := range tests {
			want := []string{header}
			for _, name := range tt.want {
				want = append(want, rows[name])
			}
			if diff := cmp.Diff(want, lines(w.ok(strings.Fields("delivery list "+tt.args)...))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.args, diff)
			}
		}
		if out := lines(w.ok("delivery", "list", "--limit", "1", "--counts")); out[2] != "1 pending, 1 retrying, 1 delivered, 1 dead, 0 skipped" {
			t.Errorf("counts: %q", out)
		}
		var answer struct {
			Deliveries []struct{ ID, State string }
		}
		if err := json.Unmarshal([]byte(w.ok("delivery", "list", "-o", "json")), &answer); err != nil || len(answer.Deliveries) != 4 || answer.Deliveries[0].State != "pending" {
			t.Errorf("JSON: %+v, %v", answer, err)
		}
	})
}

func TestDeliveryIsNotUnderstood(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		w.fails(2, []string{"delivery", "list", "--since", "yesterday"}, "--since must be")
		w.fails(2, []string{"delivery", "list", "--limit", "0"}, "--limit")
		w.fails(1, []string{"delivery", "list", "--state", "lost"}, "filter.states")
		w.fails(1, []string{"delivery", "list", "--target", "nobody"}, `no target has the id or the name "nobody"`)
		w.fails(1, []string{"delivery", "get", "x"}, "there is no such delivery")
		w.fails(2, []string{"delivery", "redeliver"}, "say which")
		w.fails(2, []string{"delivery", "redeliver", "x", "--target", "alpha"}, "not both")
		w.fails(2, []string{"delivery", "tail", "--until", "1h"}, "no end")
		w.fails(1, []string{"delivery", "explain", "o-1"}, `no event "o-1"`)
		w.fails(1, []string{"delivery", "list", "--client", "nobody"}, "membership not found")
		w.fails(1, []string{"delivery", "redeliver", "x", "--client", "viewer"}, "No matching permissions found")
		if len(w.deliveries.asked) != 0 {
			t.Errorf("something was done: %v", w.deliveries.asked)
		}
	})
}

func TestDeliveryGet(t *testing.T) {
	inWorld(t, func(w *world) {
		ids := withDeliveries(w)
		wantLines(t, w.ok("delivery", "get", string(ids["dead"])),
			"id "+string(ids["dead"]), "state dead", "event o-dead", "type order.dead", "target alpha (t1)", "note expired",
			"created 2000-01-01T00:00:04Z", "changed 2000-01-01T00:00:04Z", `attempt 2 2000-01-01T00:00:03Z failed 500 1.5ms no\u001b[31m`)
	})
}

func TestRedeliver(t *testing.T) {
	inWorld(t, func(w *world) {
		ids := withDeliveries(w)
		if out := w.ok("delivery", "redeliver", string(ids["dead"])); !strings.Contains(out, "pending") {
			t.Errorf("printed %s", out)
		}
		for i := range 150 {
			w.deliveries.add(action.Delivery{Target: "t2", State: action.Dead}, action.EventID(fmt.Sprint(i)), "beta")
		}
		w.deliveries.asked, w.deliveries.page = nil, 60
		many := []string{"delivery", "redeliver", "--target", "beta", "--state", "dead", "--since", "1h"}
		if out := w.ok(append(many, "--dry-run")...); out != "150 would be put back\n" {
			t.Errorf("dry: %q", out)
		}
		for _, input := range []string{"", "n\n", "nonsense"} {
			r := w.runWith(input, many...)
			if r.code != command.ExitFailed || !strings.Contains(r.err, "Redeliver 150 deliveries? [y/N]") || len(w.deliveries.asked) != 0 {
				t.Errorf("%q: exit %d, %s; %v", input, r.code, r.err, w.deliveries.asked)
			}
		}
		if r := w.runWith("y\n", many...); r.code != 0 || r.out != "147 put back, 3 were not dead any more\n" {
			t.Errorf("yes: exit %d, %q %q", r.code, r.out, r.err)
		}
		if diff := cmp.Diff([]string{"redeliver 60", "redeliver 60", "redeliver 30"}, w.deliveries.asked); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if out := w.ok(append(many, "--yes", "-o", "json")...); strings.Join(strings.Fields(out), "") != `{"matched":150,"moved":147}` {
			t.Errorf("JSON: %s", out)
		}
		if out := w.ok("delivery", "redeliver", "--type", "no.such"); out != "there is none\n" {
			t.Errorf("none: %q", out)
		}
		if out := w.ok("delivery", "redeliver", "--target", "alpha"); out != "0 put back, 1 were not dead any more\n" {
			t.Errorf("few need no question: %q", out)
		}
	})
}

func TestTail(t *testing.T) {
	inWorld(t, func(w *world) {
		withDeliveries(w)
		ctx, cancel := context.WithCancel(w.t.Context())
		defer cancel()
		p, out, errOut := w.process("", "delivery", "tail", "--target", "alpha")
		done := make(chan int)
		go func() { done <- command.Run(ctx, p) }()
		time.Sleep(1500 * time.Millisecond)
		first := w.deliveries.add(action.Delivery{Target: "t1", State: action.Pending, EventType: "a.b"}, "e1", "alpha")
		w.deliveries.add(action.Delivery{Target: "t2", State: action.Pending, EventType: "a.b"}, "e1", "beta")
		time.Sleep(1500 * time.Millisecond)
		second := w.deliveries.add(action.Delivery{Target: "t1", State: action.Pending, EventType: "a.c", Created: time.Now().Add(-time.Second)}, "e2", "alpha")
		w.deliveries.mu.Lock()
		for i := range w.deliveries.all {
			if d := &w.deliveries.all[i]; d.ID == first {
				d.State, d.Attempts = action.Delivered, []action.Attempt{{Number: 1, Status: 200}}
			}
		}
		w.deliveries.mu.Unlock()
		time.Sleep(time.Minute)
		cancel()
		if code := <-done; code != 0 || errOut.String() != "" {
			t.Errorf("exit %d, %s", code, errOut)
		}
		wantLines(t, out.String(),
			"2000-01-01T00:00:08Z "+string(first)+" pending alpha (t1) a.b -",
			"2000-01-01T00:00:08Z "+string(first)+" delivered alpha (t1) a.b 200",
			"2000-01-01T00:00:09Z "+string(second)+" pending alpha (t1) a.c -")
	})
}

func TestExplainDrawsATree(t *testing.T) {
	inWorld(t, func(w *world) {
		created := time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC)
		w.deliveries.explain = []action.Explanation{{
			ID: "o-1", Source: "shop\x1b", Type: "order.created", Created: created, Execution: "event/order.*",
			Candidates: []action.Candidate{
				{ID: "event/order.created", Set: true, Targets: []action.TargetID{"t2"}, Changed: created.Add(1)},
				{ID: "event/order.*", Set: true, Targets: []action.TargetID{"t1"}},
				{ID: "event"},
			},
			Targets: []action.Fate{
				{Target: "t1", Name: "alpha", Exists: true, Delivery: action.Delivery{ID: "d1", State: action.Retrying, Due: created.Add(time.Minute), Attempts: []action.Attempt{{Number: 3, Status: 502}}}},
				{Target: "t7", Delivery: action.Delivery{ID: "d2", State: action.Dead, Reason: "target removed"}},
			},
		}, {ID: "o-1", Type: "a", Created: created}}
		const want = `o-1  order.created  accepted 2000-01-01T00:00:01Z  from shop\u001b
matched event/order.*: 1 retrying, 1 dead
its payload was deleted
executions, the most specific first
├─ event/order.created  set after the event came; now calls t2
├─ event/order.*  taken; now calls alpha (t1)
└─ event  less specific than event/order.*
targets
├─ alpha (t1)  retrying  will be tried again; last: 502; attempts: 3; due 2000-01-01T00:01:01Z  [d1]
└─ t7 (gone)  dead  given up: target removed  [d2]
`
		w.deliveries.explain[0].PayloadDeleted = true
		if diff := cmp.Diff(want, w.ok("delivery", "explain", "o-1", "--source", "shop\x1b")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if out := w.ok("delivery", "explain", "o-1"); !strings.Contains(out, "[d2]\n\no-1  a  accepted") || !strings.Contains(out, "matched no execution") {
			t.Errorf("both: %s", out)
		}
		var answer struct{ Events []struct{ Summary string } }
		if err := json.Unmarshal([]byte(w.ok("delivery", "explain", "o-1", "-o", "json")), &answer); err != nil || len(answer.Events) != 2 {
			t.Errorf("JSON: %+v, %v", answer, err)
		}
	})
}

func TestTargetDelivery(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		w.deliveries.settings.Schedule = []time.Duration{5 * time.Second, 2 * time.Minute}
		wantLines(t, w.ok("target", "settings", "alpha"), "state active", "schedule 5s, 2m (the installation's)", "rate no limit", "concurrency no limit")
		wantLines(t, w.ok("target", "settings", "alpha", "--schedule", "1s, 90m", "--rate", "5", "--concurrency", "2", "--state", "paused"),
			"state paused", "schedule 1s, 1h30m", "rate 5 a second", "concurrency 2", "valve paused: paused", "since 2000-01-01T00:00:03Z", "held 0")
		wantLines(t, w.ok("target", "resume", "alpha"), "state active", "schedule 1s, 1h30m", "rate 5 a second", "concurrency 2")
		if out := lines(w.ok("target", "settings", "alpha", "--schedule", "default", "--rate", "0")); out[1] != "schedule 5s, 2m (the installation's)" || out[2] != "rate no limit" {
			t.Errorf("back to the installation's: %q", out)
		}
		wantLines(t, w.ok("target", "test", "alpha"), "event e1", "delivery d1")
		if out := w.ok("target", "pause", "beta"); !strings.HasPrefix(out, "state        paused\n") {
			t.Errorf("pause: %s", out)
		}
		if diff := cmp.Diff([]string{"update t1", "update t1", "update t1", "test t1", "update t2"}, w.deliveries.asked); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		w.fails(1, []string{"target", "settings", "alpha", "--schedule", "soon"}, "schedule[0]")
		w.fails(1, []string{"target", "settings", "alpha", "--rate", "-1"}, "ratePerSecond")
		w.fails(1, []string{"target", "pause", "nobody"}, `"nobody"`)
		w.fails(2, []string{"target", "settings", "alpha", "--state", "stopped"}, "active, paused")
	})
}
