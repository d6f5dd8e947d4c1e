package faults_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/emulator/local"
)

// wholeLife is the life of events with everything in it: a target that is well, one that hangs for ten minutes, one that fails always, one that is
// deleted while it fails, and a chain whose first link is away for more than an hour.
func wholeLife(w *world, events int, during func()) {
	w.site("well", well)
	w.site("away", hangs)
	w.site("gate", answers(http.StatusInternalServerError), "interrupts")
	w.site("after", well)
	w.site("never", answers(http.StatusInternalServerError))
	w.site("doomed", answers(http.StatusInternalServerError))
	w.route("order.created", "well", "away", "gate", "after")
	w.route("order.lost", "never", "doomed")
	w.settings("never", map[string]any{"schedule": []string{"2s", "5s"}})
	during()
	const requests = 10
	for k := range requests {
		w.send("order.created", fmt.Sprintf("o%d", k), events/requests)
		w.send("order.lost", fmt.Sprintf("l%d", k), max(events/requests/5, 1))
		if k < 3 { // the first ones hang, and are in the way of the next
			time.Sleep(1500 * time.Millisecond)
			continue
		}
		time.Sleep(20 * time.Second)
	}
	part := time.Duration(1)
	if !*report {
		part = 6 // a race detector makes each second of it dear
	}
	time.Sleep(10 * time.Minute / part)
	w.sites["away"].become(failsEach(7))
	time.Sleep(10 * time.Minute / part)
	w.api.must(w.t, http.MethodDelete, "/v2/actions/targets/"+w.sites["doomed"].target, nil)
	time.Sleep(time.Hour / part)
	w.sites["gate"].become(failsEach(5))
	time.Sleep(time.Hour / part)
	w.inject.disarm()
}

// quick is a schedule that comes to its end within hours, and not within days.
func quick(c *local.Config) {
	c.Environ = append(c.Environ, "CALLOUT_RETRY_SCHEDULE=5s,30s,2m,5m,10m,10m,15m,15m,15m,15m,15m,15m,15m,15m,15m,15m,15m,15m,15m,15m")
}

var mayDie = []string{"never", "doomed"}

var failures = []codes.Code{codes.Aborted, codes.Unavailable, codes.DeadlineExceeded}

func TestWholeLife(t *testing.T) {
	wide(t)
	t.Parallel()
	inBubble(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, quick)
		wholeLife(w, scale(), func() {})
		record(t, w.judge(groupLife, "nothing is broken", "nothing is broken", expectation{mayDie: mayDie}))
		for _, kind := range append(writing(), reading()...) {
			if w.inject.calls[kind] == 0 {
				t.Errorf("%s does not occur: breaking it shows nothing", kind)
			}
		}
	})
}

// TestRPCs breaks each kind of RPC in each way.
func TestRPCs(t *testing.T) {
	wide(t)
	t.Parallel()
	type row struct {
		kind    string
		applied bool
		code    codes.Code
	}
	var rows []row
	for _, kind := range append(writing(), reading()...) {
		for _, applied := range []bool{false, true} {
			for _, code := range failures {
				rows = append(rows, row{kind, applied, code})
			}
		}
	}
	for n, r := range rows {
		how := "not applied"
		if r.applied {
			how = "applied, reported failed"
		}
		name := fmt.Sprintf("%s, %s, %v", r.kind, how, r.code)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, seed uint64) {
				w := newWorld(t, seed+uint64(n), quick)
				wholeLife(w, scale(), func() {
					w.inject.arm(rule{kind: r.kind, applied: r.applied, code: r.code, first: 12, chance: 0.2})
				})
				result := w.judge(groupLife, r.kind, name, expectation{mayDie: mayDie, unbounded: true})
				if sum(w.inject.injected()) == 0 {
					t.Error("nothing was broken: no such call")
				}
				record(t, result)
			})
		})
	}
}

// TestManyRPCs breaks all of them at once, a fifth of the calls in each way.
func TestManyRPCs(t *testing.T) {
	t.Parallel()
	var lost, late, unread []rule
	for n, kind := range writing() {
		code := failures[n%len(failures)]
		lost = append(lost, rule{kind: kind, code: code, chance: 0.2})
		// What nobody knows to be claimed is looked at each second for ten minutes: too much of it for CI.
		if *report || kind != batchClaimed && kind != publishSlow {
			late = append(late, rule{kind: kind, code: code, chance: 0.2, applied: true})
		}
	}
	for n, kind := range reading() {
		code := failures[n%len(failures)]
		unread = append(unread, rule{kind: kind, code: code, chance: 0.1}, rule{kind: kind, code: code, chance: 0.1, applied: true})
	}
	for name, rules := range map[string][]rule{
		"a fifth of all writes is not applied": lost, "a fifth of all writes is applied, and reported failed": late, "a fifth of all reads fails or breaks off": unread,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, seed uint64) {
				w := newWorld(t, seed, quick)
				wholeLife(w, scale(), func() { w.inject.arm(rules...) })
				record(t, w.judge(groupLife, "all kinds at once", name, expectation{mayDie: mayDie, unbounded: true}))
			})
		})
	}
}

// inBubble runs a scenario in virtual time.
func inBubble(t *testing.T, scenario func(t *testing.T, seed uint64)) {
	t.Helper()
	if _, err := keys(); err != nil {
		t.Fatal(err)
	}
	defer conclude(t)
	t.Logf("-seed %d", *seed)
	synctest.Test(t, func(t *testing.T) { scenario(t, *seed) })
}
