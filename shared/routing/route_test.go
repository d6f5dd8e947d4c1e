package routing

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func TestOrderOfCandidates(t *testing.T) {
	methods := map[string]action.Kind{"request": action.Request, "response": action.Response}
	tests := []struct {
		name string
		set  []action.ExecutionID // each with a target of its own, except for those that end in "!": of one that is gone
		kind string
		ask  string
		want action.ExecutionID
	}{
		{"the event itself", []action.ExecutionID{"event/a.b.c", "event/a.b.c.*", "event/a.b.*", "event"}, "event", "a.b.c", "event/a.b.c"},
		{"its own group", []action.ExecutionID{"event/a.b.c.*", "event/a.b.*", "event"}, "event", "a.b.c", "event/a.b.c.*"},
		{"the longest group", []action.ExecutionID{"event/a.*", "event/a.b.*", "event"}, "event", "a.b.c", "event/a.b.*"},
		{"a shorter group", []action.ExecutionID{"event/a.*", "event"}, "event", "a.b.c", "event/a.*"},
		{"all events", []action.ExecutionID{"event/b.*", "event"}, "event", "a.b.c", "event"},
		{"no event", []action.ExecutionID{"event/a.b", "request"}, "event", "a.b.c", ""},
		{"groups end at dots", []action.ExecutionID{"event/a.b.*"}, "event", "a.bc", ""},
		{"a longer event is another", []action.ExecutionID{"event/a.b.c"}, "event", "a.b", ""},
		{"one whose targets are gone is passed over", []action.ExecutionID{"event/a.b!", "event/a.*"}, "event", "a.b", "event/a.*"},
		{"all of whose targets are gone", []action.ExecutionID{"event/a.b!", "event!"}, "event", "a.b", ""},
		{"the event of no name", []action.ExecutionID{"event"}, "event", "", ""},

		{"the method", []action.ExecutionID{"request/p.S/M", "request/p.S", "request"}, "request", "/p.S/M", "request/p.S/M"},
		{"the service", []action.ExecutionID{"request/p.S/N", "request/p.S", "request"}, "request", "/p.S/M", "request/p.S"},
		{"all requests", []action.ExecutionID{"request/p.T", "request"}, "request", "/p.S/M", "request"},
		{"requests are no responses", []action.ExecutionID{"request/p.S/M", "request"}, "response", "/p.S/M", ""},
		{"the response", []action.ExecutionID{"request/p.S/M", "response/p.S"}, "response", "/p.S/M", "response/p.S"},
		{"a longer method is another", []action.ExecutionID{"request/p.S/M"}, "request", "/p.S/MN", ""},
		{"malformed: no slash before", []action.ExecutionID{"request/p.S/M", "request/p.S", "request"}, "request", "p.S/M", "request"},
		{"malformed: no method", []action.ExecutionID{"request/p.S/M", "request/p.S", "request"}, "request", "/p.S", "request"},
		{"malformed: empty method", []action.ExecutionID{"request/p.S", "request"}, "request", "/p.S/", "request"},
		{"malformed: too many slashes", []action.ExecutionID{"request/p.S", "request"}, "request", "/p.S/M/N", "request"},
		{"malformed: empty, and nothing for all", []action.ExecutionID{"request/p.S"}, "request", "", ""},

		{"the function", []action.ExecutionID{"function/f", "function/g"}, "function", "f", "function/f"},
		{"no function", []action.ExecutionID{"function/g"}, "function", "f", ""},
		{"the function of no name", []action.ExecutionID{"function/g"}, "function", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := openDatabase(t).process(t)
				wanted := "nothing"
				for i, id := range tt.set {
					id, gone := strings.CutSuffix(string(id), "!")
					target := action.TargetID("t" + string(rune('0'+i)))
					p.target(t, here, target)
					p.execution(t, here, action.ExecutionID(id), target)
					if gone {
						p.remove(t, here, target)
					} else if action.ExecutionID(id) == tt.want {
						wanted = id + ": " + string(target)
					}
				}
				for range 2 { // from the database, and from memory
					var route Route
					var err error
					switch tt.kind {
					case "event":
						route, err = p.Event(t.Context(), here, tt.ask)
					case "function":
						route, err = p.Function(t.Context(), here, tt.ask)
					default:
						route, err = p.Method(t.Context(), here, methods[tt.kind], tt.ask)
					}
					if err != nil {
						t.Fatal(err)
					}
					want(t, words(route), wanted)
				}
				if n := p.between.count("executions"); n > 1 {
					t.Errorf("%d reads of executions", n)
				}
			})
		})
	}
}

func TestTargetsKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openDatabase(t).process(t)
		for _, id := range []action.TargetID{"a", "b", "c", "d"} {
			p.target(t, here, id)
		}
		p.execution(t, here, "event", "d", "b", "a", "c")
		p.setValve(t, action.Valve{Instance: here, Target: "b", State: action.ValvePaused})
		p.remove(t, here, "a")
		want(t, p.event(t, here, "e"), "event: d b(paused) c")
	})
}

func TestInstancesNeverMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openDatabase(t).process(t)
		for _, i := range []action.InstanceID{"one", "two"} {
			p.target(t, i, "t")
			p.target(t, i, "of-"+action.TargetID(i))
			p.execution(t, i, "event/e", "t", "of-"+action.TargetID(i))
		}
		want(t, p.event(t, "one", "e"), "event/e: t of-one")
		want(t, p.event(t, "two", "e"), "event/e: t of-two")
		want(t, p.event(t, "three", "e"), "nothing")
		reads := p.between.count("executions")
		p.remove(t, "one", "t")
		want(t, p.event(t, "one", "e"), "event/e: of-one")
		want(t, p.event(t, "two", "e"), "event/e: t of-two")
		if d, err := p.Destination(t.Context(), "two", "t"); err != nil || d.Target.ID != "t" {
			t.Errorf("%v, %v", d, err)
		}
		if _, err := p.Destination(t.Context(), "one", "t"); !errs.Is(err, errs.NotFound) {
			t.Errorf("a target that is gone: %v", err)
		}
		if n := p.between.count("executions"); n != reads {
			t.Errorf("the change of a target cost %d reads of executions", n-reads)
		}
		if _, err := p.Event(t.Context(), "a/b", "e"); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("no instance: %v", err)
		}
	})
}

func TestTargetThatCannotBeReadHarmsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := openDatabase(t)
		p := db.process(t)
		other := db.processWith(t, "k2:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=")
		p.target(t, here, "good")
		other.target(t, here, "bad")
		p.execution(t, here, "event/e", "bad", "good")
		want(t, p.event(t, here, "e"), "event/e: bad(unreadable) good")
		if d, err := p.Destination(t.Context(), here, "bad"); err != nil || d.Err == nil || d.Target.ID != "bad" || d.Target.SigningKey() != "" {
			t.Errorf("%+v, %v", d, err)
		}
		d, err := p.Destination(t.Context(), here, "good")
		if err != nil || d.Target.SigningKey() != "secret" || d.Valve.Shut() {
			t.Errorf("%v, %v", d, err)
		}
		reads := p.between.count("targets")
		_, _ = p.Destination(t.Context(), here, "bad")
		if n := p.between.count("targets"); n != reads {
			t.Error("a target that cannot be read is read again and again")
		}
	})
}

func TestExecutionThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openDatabase(t).process(t)
		p.target(t, here, "t")
		p.execution(t, here, "event/a.b", "t")
		_, err := p.client.Doc("instances/here/executions/"+action.Key("event")).Set(t.Context(), map[string]any{"targets": 7})
		if err != nil {
			t.Fatal(err)
		}
		want(t, p.event(t, here, "a.b"), "event/a.b: t")
		if _, err := p.Event(t.Context(), here, "c"); !errs.Is(err, errs.Internal) {
			t.Errorf("nobody knows whom this event is for, got %v", err)
		}
		p.execution(t, here, "event/c", "t")
		want(t, p.event(t, here, "c"), "event/c: t")
	})
}

func TestDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := openDatabase(t).process(t)
		p.target(t, here, "t")
		for range 3 {
			if d, err := p.Destination(t.Context(), here, "t"); err != nil || d.Target.Endpoint != "https://192.0.2.1/t" {
				t.Errorf("%v, %v", d, err)
			}
			for _, id := range []action.TargetID{"none", "", "a/b", "__x__"} {
				if _, err := p.Destination(t.Context(), here, id); !errs.Is(err, errs.NotFound) {
					t.Errorf("%q: %v", id, err)
				}
			}
		}
		if n := p.between.count("targets"); n != 2 {
			t.Errorf("%d reads, want one for the target and one for that which could exist", n)
		}
		settings := action.DeliverySettings{Schedule: []time.Duration{time.Second, time.Minute}, Limits: action.Limits{Rate: 5}}
		if err := p.store.SetDelivery(t.Context(), here, "t", settings); err != nil {
			t.Fatal(err)
		}
		if d, err := p.Destination(t.Context(), here, "t"); err != nil || d.Target.Delivery.Limits != settings.Limits || len(d.Target.Delivery.Schedule) != 2 {
			t.Errorf("%+v, %v", d.Target.Delivery, err)
		}
	})
}
