package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

func TestPlanOfOne(t *testing.T) {
	e := event()
	one := func(to ledger.Recipient) action.Delivery { return rules().Plan(e, []ledger.Recipient{to}, now)[0] }
	want := action.Delivery{ID: action.DeliveryOf(e.Key(), "t1"), Instance: "default", Event: e.Key(), Target: "t1", EventType: "order.created",
		State: action.Pending, Lane: "s0", Due: now.Add(time.Hour), Created: now, Changed: now}
	if diff := cmp.Diff(want, one(ledger.Recipient{Target: "t1"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]action.DeliveryID{want.ID, action.DeliveryOf(e.Key(), "t2")}, e.Deliveries()); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
}

func TestPlanOfChain(t *testing.T) {
	e := event()
	e.Targets = nil
	d := rules().Plan(e, []ledger.Recipient{
		{Target: "t0", Held: action.HoldSlow}, {Target: "t1", Interrupts: true}, {Target: "t2"}, {Target: "t3", Interrupts: true, Held: action.HoldPaused}, {Target: "t4"},
	}, now)
	type place struct {
		Follows  action.DeliveryID
		Unblocks []action.DeliveryID
		Waits    bool
		Held     action.Hold
		Lane     string
		Due      time.Duration
	}
	want := []place{
		{"", nil, false, action.HoldSlow, "tdefault/t0", 0},
		{"", []action.DeliveryID{d[2].ID, d[3].ID}, false, "", "s0", time.Hour},
		{d[1].ID, nil, true, "", "s0", time.Hour},
		{d[1].ID, []action.DeliveryID{d[4].ID}, true, "", "s0", time.Hour},
		{d[3].ID, nil, true, "", "s0", time.Hour},
	}
	var got []place
	for _, x := range d {
		invariantA(t, x)
		got = append(got, place{x.Follows, x.Unblocks, x.Waits, x.Held, x.Lane, x.Due.Sub(now)})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLanesSpread(t *testing.T) {
	r := rules()
	r.Shards = 8
	lanes := map[string]int{}
	for i := range 800 {
		e := event()
		e.ID = action.EventID(strings.Repeat("x", i))
		d := start(r, e)
		lanes[d.Lane]++
		if again := r.After(d, ledger.Report{Attempt: attempt(500, action.Failed)}, now); again.Lane != "" && again.Lane != d.Lane {
			t.Fatalf("the lane moved from %s to %s", d.Lane, again.Lane)
		}
	}
	for shard := range 8 {
		if n := lanes[ledger.Lane(shard)]; n < 50 || n > 170 {
			t.Errorf("lane %s has %d of 800", ledger.Lane(shard), n)
		}
	}
	r.Shards = 0
	if d := start(r, event()); d.Lane != "s0" {
		t.Errorf("no shards: lane %q", d.Lane)
	}
}

// TestLanesOfTargets: a lane names one target of one instance, whatever their ids are made of, and never that of a shard.
func TestLanesOfTargets(t *testing.T) {
	seen := map[string]bool{ledger.Lane(0): true, ledger.Lane(1): true}
	for _, instance := range []action.InstanceID{"a", "a-b", "t1", "s0"} {
		for _, target := range []action.TargetID{"a", "b-a", "1", "s0"} {
			lane := ledger.TargetLane(instance, target)
			i, to, ok := ledger.TargetOfLane(lane)
			if !ok || i != instance || to != target || seen[lane] {
				t.Errorf("lane %q is read as %q, %q", lane, i, to)
			}
			seen[lane] = true
		}
	}
	for _, lane := range []string{"", "s0", "t", "tx", "x/y"} {
		if _, _, ok := ledger.TargetOfLane(lane); ok {
			t.Errorf("lane %q was taken for that of a target", lane)
		}
	}
}
