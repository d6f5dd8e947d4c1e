package local_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/callout-dev/callout/emulator/local"
)

// limited makes the target of a site, with a rate of its own.
func (w *world) limited(name string, rate int) string {
	w.t.Helper()
	id := w.target(name, "5s", false)
	w.api.must(w.t, 200, "PATCH", "/v1/targets/"+id+"/delivery", map[string]any{"ratePerSecond": rate})
	return id
}

// failFirst fails the first calls of a site.
func (s *site) failFirst(n int) {
	s.behave(func(w http.ResponseWriter, r *http.Request) {
		if s.count() <= n {
			fail(w, r)
		}
	})
}

// Between a limited target's deliveries its valve goes, for nothing is held; whatever comes then must bring it back. The sweeper's survey
// would do it too, within a minute.

func TestRetryOfLimitedTargetInGoodStanding(t *testing.T) {
	short := func(c *local.Config) { c.Environ = []string{"CALLOUT_RETRY_SCHEDULE=20s"} }
	inBubble(t, short, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "a")
		w.execution("order.created", w.limited("a", 10))
		for k := range 5 {
			calls := w.sites["a"].count()
			w.sites["a"].failFirst(calls + 3)
			for e := range 3 {
				w.send("order.created", fmt.Sprintf("o%d-%d", k, e))
			}
			time.Sleep(17 * time.Second) // the retries are due after 18 to 22
			if v := w.valve("a"); v.Shut() || w.sites["a"].count() != calls+3 {
				t.Fatalf("before the retries: %d calls, valve %+v", w.sites["a"].count()-calls, v)
			}
			time.Sleep(9 * time.Second)
			if got := w.sites["a"].count() - calls; got != 6 {
				t.Errorf("round %d: %d calls of 6", k, got)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestLimitedTargetInGoodStandingInChain(t *testing.T) {
	short := func(c *local.Config) { c.Environ = []string{"CALLOUT_RETRY_SCHEDULE=20s"} }
	inBubble(t, short, func(t *testing.T, i *installation) {
		w := newWorld(t, i, "a", "b")
		w.execution("order.created", w.target("a", "5s", true), w.limited("b", 10))
		for k := range 5 {
			w.sites["a"].failFirst(w.sites["a"].count() + 1)
			w.send("order.created", fmt.Sprintf("o%d", k))
			time.Sleep(17 * time.Second)
			if v := w.valve("b"); v.Shut() || w.sites["a"].count() != 2*k+1 {
				t.Fatalf("before the retry: %d calls of a, the valve of b %+v", w.sites["a"].count()-2*k, v)
			}
			time.Sleep(9 * time.Second)
			if a, b := w.sites["a"].count(), w.sites["b"].count(); a != 2*k+2 || b != k+1 {
				t.Errorf("round %d: %d calls of a, %d of b", k, a-2*k, b-k)
			}
			time.Sleep(time.Minute)
		}
	})
}
