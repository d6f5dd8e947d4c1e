package faults_test

import (
	"net"
	"net/http"
	"testing"
	"time"
)

// TestTargets: two targets get every event; one misbehaves for twenty minutes. The other must not notice, and the first gets everything
// after it has come to its senses.
func TestTargets(t *testing.T) {
	t.Parallel()
	for n, tt := range []struct {
		name   string
		behave func() behaviour
		ci     bool
	}{
		{name: "hangs", behave: always(hangs), ci: true},
		{name: "resets the connection", behave: always(resets)},
		{name: "drips an endless header", behave: always(dripsHeader)},
		{name: "drips an endless body", behave: always(dripsBody)},
		{name: "answers garbage", behave: always(garbage)},
		{name: "answers well, with 10 MB", behave: always(huge)},
		{name: "sends less than its Content-Length", behave: always(tooLittle)},
		{name: "sends more than its Content-Length", behave: always(tooMuch)},
		{name: "sends two Content-Lengths, one negative", behave: always(wrongLength)},
		{name: "sends interim answers without end", behave: always(hints)},
		{name: "switches protocols", behave: always(switches)},
		{name: "answers 500", behave: always(answers(http.StatusInternalServerError))},
		{name: "answers 302", behave: always(answers(http.StatusFound))},
		{name: "asks to be left alone for two hours", behave: always(busy(7200))},
		{name: "is up for three seconds and down for three", behave: func() behaviour { return flaps(3 * time.Second) }},
		{name: "fails every second call", behave: always(failsEach(2))},
		{name: "fails nine calls of ten", behave: always(worksEach(10))},
		{name: "takes 900 ms", behave: always(takes(900*time.Millisecond, well))},
		{name: "takes 4.9 s, and fails", behave: always(takes(4900*time.Millisecond, answers(http.StatusBadGateway)))},
		{name: "does another thing with each call", behave: always(anything), ci: true},
	} {
		if !tt.ci && !*report {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, seed uint64) {
				w := newWorld(t, seed+uint64(n), quick)
				w.site("bad", tt.behave())
				w.site("good", well)
				w.route("order.created", "bad", "good")
				sent := w.stream("order.created", 2*scale(), 100*time.Millisecond)
				time.Sleep(20 * time.Minute)
				w.sites["bad"].become(well)
				result := w.judge(groupTargets, "a target misbehaves for twenty minutes", "a target that "+tt.name, expectation{})
				w.inTime(t, "good", sent, 2*time.Second)
				record(t, result)
			})
		})
	}
}

func always(b behaviour) func() behaviour { return func() behaviour { return b } }

// anything goes through all that a target may do wrong.
func anything(c net.Conn, n int) bool {
	all := []behaviour{hangs, resets, dripsBody, garbage, tooLittle, tooMuch, wrongLength, hints, answers(500), answers(429), huge, well}
	return all[n%len(all)](c, n)
}

// TestNoTLS: an endpoint that says https and speaks no TLS gets nothing, and its neighbour everything.
func TestNoTLS(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, quick)
		w.site("bad", well, "https")
		w.site("good", well)
		w.route("order.created", "bad", "good")
		w.settings("bad", map[string]any{"schedule": []string{"2s"}})
		sent := w.stream("order.created", scale(), 100*time.Millisecond)
		result := w.judge(groupTargets, "a target that speaks no TLS", "a target that speaks no TLS where its URL says https", expectation{mayDie: []string{"bad"}})
		w.inTime(t, "good", sent, 2*time.Second)
		record(t, result)
	})
}

// TestGone: what a target that answers 410 did not get waits until a hand lets it go, and what died of it can be put back.
func TestGone(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, quick)
		w.site("gone", answers(http.StatusGone))
		w.site("good", well)
		w.route("order.created", "gone", "good")
		sent := w.stream("order.created", 2*scale(), 500*time.Millisecond)
		time.Sleep(5 * time.Hour)
		s := w.snapshot()
		if _, calls, _ := w.sites["gone"].saw(); calls > 20 || s.unfinished() != len(sent)-s.byState[finalDead] {
			t.Errorf("%d calls of a target that is gone; %v", calls, s.byState)
		}
		w.sites["gone"].become(well)
		w.api.must(t, http.MethodPost, "/v1/targets/"+w.sites["gone"].target+":resume", map[string]any{})
		w.redeliverAll("gone")
		result := w.judge(groupTargets, "a target that is gone, and comes back", "a target that answers 410, then is resumed, and its dead put back", expectation{})
		w.inTime(t, "good", sent, 2*time.Second)
		record(t, result)
	})
}

// TestPause: a pause in the middle of a stream, for hours, of a target that is well and of one that fails.
func TestPause(t *testing.T) {
	wide(t)
	t.Parallel()
	inBubble(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, quick)
		w.site("paused", well)
		w.site("failing", answers(http.StatusInternalServerError))
		w.site("good", well)
		w.route("order.created", "paused", "failing", "good")
		w.stream("order.created", scale(), 100*time.Millisecond)
		for _, name := range []string{"paused", "failing"} {
			w.api.must(t, http.MethodPost, "/v1/targets/"+w.sites[name].target+":pause", map[string]any{})
		}
		time.Sleep(3 * time.Second) // other processes learn of it within two
		_, before, _ := w.sites["paused"].saw()
		w.stream("order.created", scale(), 100*time.Millisecond)
		time.Sleep(6 * time.Hour)
		if _, after, _ := w.sites["paused"].saw(); after != before {
			t.Errorf("%d calls of a paused target", after-before)
		}
		w.sites["failing"].become(well)
		for _, name := range []string{"paused", "failing"} {
			w.api.must(t, http.MethodPost, "/v1/targets/"+w.sites[name].target+":resume", map[string]any{})
		}
		record(t, w.judge(groupTargets, "a pause", "two targets are paused for six hours, and resumed", expectation{}))
	})
}

// TestLimits: a target with a rate and one with a concurrency of its own, one of them slow; neither is called more than it allows.
func TestLimits(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, quick)
		w.site("rate", well)
		w.site("narrow", takes(300*time.Millisecond, well))
		w.site("good", well)
		w.route("order.created", "rate", "narrow", "good")
		w.settings("rate", map[string]any{"ratePerSecond": 5})
		w.settings("narrow", map[string]any{"concurrency": 2})
		began := time.Now()
		sent := w.stream("order.created", 4*scale(), 20*time.Millisecond)
		result := w.judge(groupTargets, "limits", "a target with a rate of 5/s, and one with a concurrency of 2", expectation{})
		w.inTime(t, "good", sent, 2*time.Second)
		first, _, _ := w.sites["rate"].saw()
		var end time.Time
		for _, at := range first {
			if at.After(end) {
				end = at
			}
		}
		if least := time.Duration(len(sent)/5-2) * time.Second; end.Sub(began) < least {
			t.Errorf("%d deliveries at 5/s took %v", len(sent), end.Sub(began))
		}
		record(t, result)
	})
}

// TestRemoved: a target is deleted in the middle of everything; what follows it in its chain is skipped.
func TestRemoved(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, quick)
		w.site("gate", takes(2*time.Second, failsEach(3)), "interrupts")
		w.site("after", well)
		w.site("good", well)
		w.route("order.created", "good", "gate", "after")
		w.stream("order.created", 2*scale(), 100*time.Millisecond)
		w.api.must(t, http.MethodDelete, "/v2/actions/targets/"+w.sites["gate"].target, nil)
		record(t, w.judge(groupTargets, "a target is deleted", "the first target of a chain is deleted midway", expectation{mayDie: []string{"gate", "after"}}))
	})
}
