package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

func TestParseSchedule(t *testing.T) {
	got, err := ledger.ParseSchedule("5s, 30s,2m,10m,30m,2h,5h,10h,24h")
	if diff := cmp.Diff(ledger.DefaultSchedule(), got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if most, err := ledger.ParseSchedule(strings.Repeat("1s,", 23) + "168h"); len(most) != 24 || err != nil {
		t.Errorf("24 waits: %d, %v", len(most), err)
	}
	for _, text := range []string{"", ",", "5s,", "0s", "-1s", "5", "x", "169h", "1s;2s", strings.Repeat("1s,", 24) + "1s", "99999999999h"} {
		if s, err := ledger.ParseSchedule(text); err == nil {
			t.Errorf("%.20q: got %v", text, s)
		}
	}
}

func TestLongestCountsTheJitter(t *testing.T) {
	if got := (ledger.Schedule{10 * time.Second, 20 * time.Second}).Longest(); got != 33*time.Second {
		t.Errorf("got %v, want 33s", got)
	}
	if got := ledger.DefaultSchedule().Longest(); got > 48*time.Hour {
		t.Errorf("the default schedule takes %v", got)
	}
}

func TestJitterStaysWithinATenth(t *testing.T) {
	low, high := false, false
	for range 2000 {
		switch got := ledger.Jitter(100 * time.Second); {
		case got < 90*time.Second || got > 110*time.Second:
			t.Fatalf("100s became %v", got)
		case got < 95*time.Second:
			low = true
		case got > 105*time.Second:
			high = true
		}
	}
	if !low || !high {
		t.Error("it does not spread")
	}
	for _, wait := range []time.Duration{0, 1, 9} {
		if got := ledger.Jitter(wait); got != wait {
			t.Errorf("%d became %d", wait, got)
		}
	}
}

func TestScheduled(t *testing.T) {
	r := rules(time.Minute, time.Hour)
	fail := func(d action.Delivery, retryAfter time.Duration) action.Delivery {
		return r.After(d, ledger.Report{Attempt: attempt(503, action.Failed), RetryAfter: retryAfter}, now.Add(time.Second))
	}
	first := fail(start(r, event()), 0)
	for name, tt := range map[string]struct {
		d    action.Delivery
		want bool
	}{
		"untried":                   {start(r, event()), false},
		"failed once":               {first, true},
		"failed twice":              {fail(first, 0), true},
		"asked to be left alone":    {fail(start(r, event()), time.Hour), false},
		"claimed":                   {ledger.Claim(first, now.Add(time.Minute)), false},
		"delivered":                 {r.After(first, ledger.Report{Attempt: attempt(200, action.Success)}, now), false},
		"put back, not tried since": {ledger.Again(r.Kill(first, "x", now), false, now), false},
	} {
		if got := r.Scheduled(tt.d, now, now.Add(8*time.Minute)); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
		if name == "failed twice" && r.Scheduled(tt.d, now, now.Add(7*time.Minute)) {
			t.Errorf("%s: an hour's wait is ended by a trouble of seven minutes", name)
		}
		if name == "failed twice" && !r.Scheduled(tt.d, now.Add(-8*time.Minute), now.Add(time.Second)) {
			t.Errorf("%s: an hour's wait is not ended by a trouble of eight minutes", name)
		}
	}
}
