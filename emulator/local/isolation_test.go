package local_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

// call is one request that a target of a world got.
type call struct {
	event string
	at    time.Time
}

// site is one target: how it behaves, and what it got.
type site struct {
	serve func(http.ResponseWriter, *http.Request)

	mu     sync.Mutex
	calls  []call
	now    int // under way
	most   int // at once
	target string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil { // a body that was not read hides that the caller went
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, call{r.Header.Get("webhook-id"), time.Now()})
	s.now++
	s.most = max(s.most, s.now)
	serve := s.serve
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	if serve != nil {
		serve(w, r)
	}
}

func (s *site) behave(serve func(http.ResponseWriter, *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = serve
}

func (s *site) count() int {
	calls, _ := s.load()
	return calls
}

// load is how many calls there were, and how many at once.
func (s *site) load() (calls, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls), s.most
}

// first says when each event arrived for the first time.
func (s *site) first() map[string]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := map[string]time.Time{}
	for _, c := range s.calls {
		if _, known := first[c.event]; !known {
			first[c.event] = c.at
		}
	}
	return first
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func fail(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }

func takes(d time.Duration) func(http.ResponseWriter, *http.Request) {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
}

// world is an installation with several targets, each under a path of its own.
type world struct {
	*bench
	t     *testing.T
	sites map[string]*site
}

func newWorld(t *testing.T, i *installation, names ...string) *world {
	t.Helper()
	b := newBench(t, i, nil)
	w := &world{bench: b, t: t, sites: map[string]*site{}}
	mux := http.NewServeMux()
	for _, name := range names {
		w.sites[name] = &site{}
		mux.Handle("/"+name, w.sites[name])
	}
	l, err := i.net.listen("127.0.0.1:9001")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return w
}

// target makes the target of a site.
func (w *world) target(name, timeout string, interrupts bool) string {
	w.t.Helper()
	answer := w.api.must(w.t, 200, "POST", "/v2/actions/targets", map[string]any{
		"name": name, "restWebhook": map[string]any{"interruptOnError": interrupts}, "timeout": timeout, "endpoint": "http://127.0.0.1:9001/" + name,
	})
	w.sites[name].target = answer["id"].(string)
	return w.sites[name].target
}

func (w *world) execution(event string, targets ...string) {
	w.t.Helper()
	w.api.must(w.t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": map[string]any{"event": map[string]any{"event": event}}, "targets": targets})
}

func (w *world) valve(name string) action.Valve {
	w.t.Helper()
	v, err := w.ledger.Valve(w.t.Context(), action.DefaultInstance, action.TargetID(w.sites[name].target))
	if err != nil {
		w.t.Fatal(err)
	}
	return v.Valve
}

func (w *world) send(event, id string) {
	w.t.Helper()
	w.publish(w.t, map[string]any{"id": id, "event_type": event})
}

func (w *world) sendMany(event, prefix string, n int) {
	w.t.Helper()
	for from := 0; from < n; from += 500 {
		var batch []map[string]any
		for k := from; k < min(from+500, n); k++ {
			batch = append(batch, map[string]any{"id": fmt.Sprintf("%s%d", prefix, k), "event_type": event})
		}
		w.api.must(w.t, 202, "POST", "/v1/events", map[string]any{"events": batch})
	}
}

// TestOutageOfAnHour: 1,000 events to a target that is away for an hour. It is tried rarely meanwhile, and afterwards gets all of them, once
// each, in one drain that begins slowly.
func TestOutageOfAnHour(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "down")
		w.execution("order.created", w.target("down", "5s", false))
		w.sites["down"].behave(fail)
		began := time.Now()
		for k := range 10 {
			w.sendMany("order.created", fmt.Sprintf("e%d-", k), 100)
			time.Sleep(6 * time.Minute)
		}
		tried := w.sites["down"].count()
		if tried > 200 {
			t.Errorf("the target was called %d times while it was away", tried)
		}
		if v := w.valve("down"); v.State != action.ValveOpen || v.Reason != action.HoldFailing {
			t.Errorf("valve %+v", v)
		}
		w.sites["down"].behave(nil)
		back := time.Now()
		time.Sleep(10 * time.Minute)
		first := map[string]time.Time{}
		seconds := map[int]int{}
		w.sites["down"].mu.Lock()
		for n, c := range w.sites["down"].calls[tried:] {
			if _, twice := first[c.event]; twice {
				t.Errorf("event %s came twice (call %d)", c.event, n)
			}
			first[c.event] = c.at
			seconds[int(c.at.Sub(back)/time.Second)]++
		}
		w.sites["down"].mu.Unlock()
		if len(first) != 1000 {
			t.Errorf("%d of 1,000 events arrived", len(first))
		}
		var drained []int
		for s := range seconds {
			drained = append(drained, s)
		}
		slices.Sort(drained)
		if last := drained[len(drained)-1]; last-drained[0] > 60 {
			t.Errorf("drained from second %d to %d", drained[0], last)
		}
		t.Logf("after %v: %d calls while away; drained from second %d to %d: %v", back.Sub(began), tried, drained[0], drained[len(drained)-1], seconds)
		if v := w.valve("down"); v.Shut() {
			t.Errorf("valve %+v after the drain", v)
		}
	})
}

// TestNoisyNeighbours: whatever one target does, the other one gets its events at once, and the first never has more than its share.
func TestNoisyNeighbours(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout string
		serve   func(http.ResponseWriter, *http.Request)
		rate    int // events of its own in 100 ms
	}{
		"hangs to a timeout of 5 s": {"5s", hang, 5},
		"hangs for a minute, many":  {"60s", hang, 100},
		"fails at once":             {"5s", fail, 100},
		"takes 900 ms":              {"5s", takes(900 * time.Millisecond), 100},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, i *installation) {
				w := newWorld(t, i, "noisy", "quiet")
				w.execution("noise", w.target("noisy", tt.timeout, false))
				w.execution("order.created", w.target("quiet", "5s", false))
				w.sites["noisy"].behave(tt.serve)
				sent := map[string]time.Time{}
				for tick := range 50 {
					w.sendMany("noise", fmt.Sprintf("n%d-", tick), tt.rate)
					for k := range 5 {
						id := fmt.Sprintf("q%d-%d", tick, k)
						sent[id] = time.Now()
						w.send("order.created", id)
					}
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(5 * time.Second)
				got := w.sites["quiet"].first()
				var late []time.Duration
				for id, at := range sent {
					if _, arrived := got[id]; !arrived {
						t.Fatalf("%s did not arrive", id)
					}
					late = append(late, got[id].Sub(at))
				}
				slices.Sort(late)
				if p99 := late[len(late)*99/100]; p99 > 50*time.Millisecond {
					t.Errorf("the quiet target waits %v (p99), %v at most", p99, late[len(late)-1])
				}
				calls, most := w.sites["noisy"].load()
				if most > ledger.Share {
					t.Errorf("%d calls at once, more than the share", most)
				}
				t.Logf("quiet: p50 %v, p99 %v, max %v; noisy: %d calls, %d at once", late[len(late)/2], late[len(late)*99/100], late[len(late)-1], calls, most)
			})
		})
	}
}

func (w *world) state(event, site string) string {
	w.t.Helper()
	d := w.delivery(w.t, event, w.sites[site].target)
	waits := ""
	if d.Waits {
		waits = " waits"
	}
	return string(d.State) + waits
}

func (w *world) states(event string, sites ...string) string {
	var all []string
	for _, s := range sites {
		all = append(all, w.state(event, s))
	}
	return strings.Join(all, ", ")
}

func (w *world) calls() string {
	var all []string
	for _, s := range []string{"a", "b", "c", "d"} {
		all = append(all, fmt.Sprint(w.sites[s].count()))
	}
	return strings.Join(all, " ")
}

// TestChain: b interrupts, so c and d wait for it; a does not.
func TestChain(t *testing.T) {
	short := func(c *local.Config) { c.Environ = []string{"CALLOUT_RETRY_SCHEDULE=10s,10s"} }
	inBubble(t, short, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "a", "b", "c", "d")
		w.execution("order.created", w.target("a", "5s", false), w.target("b", "5s", true), w.target("c", "5s", false), w.target("d", "5s", true))
		w.sites["b"].behave(fail)
		w.send("order.created", "o1")
		time.Sleep(5 * time.Second)
		if got := w.calls() + ": " + w.states("o1", "a", "b", "c", "d"); got != "1 1 0 0: delivered, retrying, pending waits, pending waits" {
			t.Errorf("while b fails: %s", got)
		}
		w.sites["b"].behave(nil)
		time.Sleep(15 * time.Second)
		if got := w.calls() + ": " + w.states("o1", "a", "b", "c", "d"); got != "1 2 1 1: delivered, delivered, delivered, delivered" {
			t.Errorf("after b succeeded: %s", got)
		}
		b, c := w.sites["b"].first()["o1"], w.sites["c"].first()["o1"]
		if c.Sub(b) < 9*time.Second {
			t.Errorf("c was called %v after b", c.Sub(b))
		}
		w.sites["b"].behave(fail)
		w.send("order.created", "o2")
		time.Sleep(time.Minute)
		if got := w.calls() + ": " + w.states("o2", "a", "b", "c", "d"); got != "2 5 1 1: delivered, dead, skipped, skipped" {
			t.Errorf("after b was given up: %s", got)
		}
		w.sites["b"].behave(nil)
		dead := w.delivery(t, "o2", w.sites["b"].target)
		w.redeliver(t, dead.ID)
		time.Sleep(15 * time.Second)
		if got := w.calls() + ": " + w.states("o2", "a", "b", "c", "d"); got != "2 6 2 2: delivered, delivered, delivered, delivered" {
			t.Errorf("after b was redelivered: %s", got)
		}
	})
}

// TestRemovedTarget: what is unfinished for a target ends with it, whatever lane it lies in, and what follows it is skipped.
func TestRemovedTarget(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "a", "b", "c", "d")
		letters := w.deadLetters(t)
		w.execution("order.created", w.target("a", "5s", true), w.target("b", "5s", false))
		w.sites["a"].behave(fail)
		for k := range 20 {
			w.send("order.created", fmt.Sprintf("o%d", k))
			time.Sleep(2 * time.Second)
		}
		w.api.must(t, 200, "DELETE", "/v2/actions/targets/"+w.sites["a"].target, nil)
		time.Sleep(5 * time.Second)
		for k := range 20 {
			if got := w.states(fmt.Sprintf("o%d", k), "a", "b"); got != "dead, skipped" {
				t.Errorf("o%d: %s", k, got)
			}
		}
		buried := map[any]bool{} // told twice is better than not at all
		for _, letter := range letters() {
			buried[letter["delivery"]] = true
		}
		if len(buried) != 20 {
			t.Errorf("%d dead letters", len(buried))
		}
		time.Sleep(5 * time.Minute)
		if v := w.valve("a"); v.Shut() {
			t.Errorf("the valve of a removed target stays: %+v", v)
		}
	})
}

// redeliver puts a delivery back by hand.
func (b *bench) redeliver(t *testing.T, id action.DeliveryID) {
	t.Helper()
	b.api.must(t, 200, "POST", "/v1/deliveries/"+string(id)+":redeliver", map[string]any{})
}

// TestPausedTarget: a pause holds everything without a call, over a month but for its last day, when what waited too long is given up.
func TestPausedTarget(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "a")
		w.execution("order.created", w.target("a", "5s", false))
		pause := func() {
			if err := w.ledger.Pause(context.Background(), action.DefaultInstance, action.TargetID(w.sites["a"].target), action.HoldPaused, time.Now()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second) // other processes learn of it within two
		}
		pause()
		w.send("order.created", "o1")
		time.Sleep(5 * time.Hour)
		if d := w.delivery(t, "o1", w.sites["a"].target); d.State != action.Pending || d.Held != action.HoldPaused || w.sites["a"].count() != 0 {
			t.Errorf("paused: %s, held %q, %d calls", d.State, d.Held, w.sites["a"].count())
		}
		if err := w.ledger.Resume(t.Context(), action.DefaultInstance, action.TargetID(w.sites["a"].target), time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if got := w.states("o1", "a"); got != "delivered" {
			t.Errorf("resumed: %s", got)
		}
	})
}
