package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
)

// accept records an event with its recipients, and gives its deliveries as they stand.
func (d *database) accept(t *testing.T, id action.EventID, recipients ...ledger.Recipient) []ledger.Version {
	t.Helper()
	now := time.Now().UTC()
	e := ledger.Event{Instance: "default", ID: id, Type: "order.created", Body: []byte(`{}`), Created: now, Expires: now.Add(rules().Retention)}
	for _, r := range recipients {
		e.Targets = append(e.Targets, r.Target)
	}
	if err := d.Accept(t.Context(), e, d.Rules().Plan(e, recipients, now), false); err != nil {
		t.Fatal(err)
	}
	stand, err := d.Deliveries(t.Context(), "default", e.Deliveries())
	if err != nil || len(stand) != len(recipients) {
		t.Fatalf("%d of %d deliveries, %v", len(stand), len(recipients), err)
	}
	return stand
}

func (d *database) states(t *testing.T, of []ledger.Version) string {
	t.Helper()
	var all []string
	for _, v := range of {
		now, err := d.Delivery(t.Context(), "default", v.ID)
		if err != nil {
			t.Fatal(err)
		}
		invariantA(t, now.Delivery)
		state := string(now.State)
		if now.Waits {
			state += " waits"
		}
		if now.Held != "" {
			state += " " + string(now.Held)
		}
		all = append(all, state)
	}
	return fmt.Sprint(all)
}

func TestValveIsOneForATarget(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		now := time.Now().UTC()
		one := action.Valve{Instance: "default", Target: "t1"}
		for i, want := range []bool{true, false} {
			if added, err := d.AddValve(t.Context(), ledger.Opened(one, action.HoldFailing, now), now); added != want || err != nil {
				t.Errorf("added %d: %t, %v", i, added, err)
			}
		}
		seen, err := d.Valve(t.Context(), "default", "t1")
		if err != nil || seen.State != action.ValveOpen {
			t.Fatalf("%+v, %v", seen, err)
		}
		if err := d.StampValve(t.Context(), one, true, true, now.Add(time.Second)); err != nil {
			t.Error(err)
		}
		if err := d.SaveValve(t.Context(), seen, ledger.Paused(seen.Valve, action.HoldPaused, now), now); !errs.Is(err, errs.FailedPrecondition) {
			t.Errorf("a valve that was stamped meanwhile was overwritten: %v", err)
		}
		due, err := d.DueValves(t.Context(), now.Add(time.Second), 10)
		if err != nil || len(due) != 1 || !due[0].LastGood.Equal(now.Add(time.Second)) {
			t.Errorf("due: %+v, %v", due, err)
		}
		if err := d.RemoveValve(t.Context(), seen, now); !errs.Is(err, errs.FailedPrecondition) {
			t.Errorf("a valve that was stamped meanwhile was removed: %v", err)
		}
		if err := d.RemoveValve(t.Context(), due[0], now); err != nil {
			t.Error(err)
		}
		if err := d.StampValve(t.Context(), one, false, false, now); err != nil {
			t.Errorf("a stamp on no valve: %v", err)
		}
		if none, err := d.Valves(t.Context(), "default", []action.TargetID{"t1", "t2"}); len(none) != 0 || err != nil {
			t.Errorf("%+v, %v", none, err)
		}
	})(t)
}

func TestPauseAndResumeAndRemove(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		state := func() action.ValveState {
			v, err := d.Valve(t.Context(), "default", "t1")
			if err != nil {
				t.Fatal(err)
			}
			return v.State
		}
		steps := []struct {
			name string
			do   func() error
			want action.ValveState
		}{
			{"resume what is in good standing", func() error { return d.Resume(t.Context(), "default", "t1", time.Now()) }, ""},
			{"pause", func() error { return d.Pause(t.Context(), "default", "t1", action.HoldPaused, time.Now()) }, action.ValvePaused},
			{"again, for another reason", func() error { return d.Pause(t.Context(), "default", "t1", action.HoldGone, time.Now()) }, action.ValvePaused},
			{"resume", func() error { return d.Resume(t.Context(), "default", "t1", time.Now()) }, action.ValveDraining},
			{"remove", func() error { return d.Remove(t.Context(), "default", "t1", time.Now()) }, action.ValveRemoved},
			{"pause what is removed", func() error { return d.Pause(t.Context(), "default", "t1", action.HoldPaused, time.Now()) }, action.ValveRemoved},
			{"resume what is removed", func() error { return d.Resume(t.Context(), "default", "t1", time.Now()) }, action.ValveRemoved},
		}
		for _, s := range steps {
			if err := s.do(); err != nil || state() != s.want {
				t.Errorf("%s: %q, %v", s.name, state(), err)
			}
		}
	})(t)
}

// TestLanes: what is held, what of it is under way, and whose lanes there are, however many lie in each.
func TestLanes(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		var versions []ledger.Version
		for i := range 30 {
			to := []ledger.Recipient{{Target: "a", Held: action.HoldSlow}, {Target: "b", Held: action.HoldPaused}, {Target: "c"}}
			versions = append(versions, d.accept(t, action.EventID(fmt.Sprint("e", i)), to...)...)
			time.Sleep(time.Second)
		}
		lanes, err := d.Lanes(t.Context(), 10)
		want := []ledger.OldestOfLane{{Name: "tdefault/a", Due: versions[0].Created}, {Name: "tdefault/b", Due: versions[1].Created}}
		if diff := cmp.Diff(want, lanes); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		due, err := d.Due(t.Context(), "tdefault/a", time.Now(), 10)
		if err != nil || len(due) != 10 || due[0].Event != versions[0].Event {
			t.Fatalf("%d due, %v", len(due), err)
		}
		var claims []ledger.Change
		for _, v := range due {
			claims = append(claims, ledger.Change{Seen: v, Next: ledger.Claim(v.Delivery, time.Now())})
		}
		if got, err := d.SaveAll(t.Context(), claims[:4]); len(got) != 4 || err != nil {
			t.Errorf("claimed %d, %v", len(got), err)
		}
		got, err := d.SaveAll(t.Context(), claims)
		if len(got) != 6 || err != nil {
			t.Errorf("a second sweeper claimed %d of the rest, %v", len(got), err)
		}
		for _, limit := range []int{100, 7} {
			if n, err := d.Underway(t.Context(), "tdefault/a", time.Now(), limit); n != min(limit, 10) || err != nil {
				t.Errorf("%d under way, %v", n, err)
			}
		}
		if rest, err := d.Due(t.Context(), "tdefault/a", time.Now(), 100); len(rest) != 20 || err != nil {
			t.Errorf("%d left, %v", len(rest), err)
		}
	})(t)
}

// TestUnreadableDeliveriesHideNoOthers, however many of them are due first.
func TestUnreadableDeliveriesHideNoOthers(t *testing.T) {
	withDatabase(func(t *testing.T, d *database) {
		documents := map[string]map[string]any{}
		for i := range 25 {
			documents[fmt.Sprintf("deliveries/x%d", i)] = map[string]any{"lane": "s0", "due": time.Now().Add(-time.Hour), "state": "from the future"}
		}
		d.put(t, documents)
		d.accept(t, "e1", ledger.Recipient{Target: "a"})
		if due, err := d.Due(t.Context(), "s0", time.Now().Add(2*time.Hour), 10); len(due) != 1 || err != nil {
			t.Errorf("%d due, %v", len(due), err)
		}
	})(t)
}

func TestSettle(t *testing.T) {
	chain := []ledger.Recipient{{Target: "a", Interrupts: true}, {Target: "b", Interrupts: true}, {Target: "c"}}
	free := func(action.TargetID) action.Hold { return "" }
	success, gone := ledger.Report{Attempt: attempt(200, action.Success)}, ledger.Report{Attempt: attempt(410, action.Failed)}
	tests := []struct {
		name   string
		report ledger.Report
		held   ledger.Held
		want   string
		freed  int
	}{
		{"a success frees the next", success, free, "[delivered pending pending waits]", 1},
		{"whose target is held", success, func(action.TargetID) action.Hold { return action.HoldSlow }, "[delivered pending slow pending waits]", 0},
		{"an end skips all behind it", gone, free, "[dead skipped skipped]", 0},
		{"a failure leaves them waiting", ledger.Report{Attempt: attempt(500, action.Failed)}, free, "[retrying pending waits pending waits]", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, withDatabase(func(t *testing.T, d *database) {
			v := d.accept(t, "e1", chain...)
			next := d.Rules().After(v[0].Delivery, tt.report, time.Now())
			freed, err := d.Settle(t.Context(), v[0], next, tt.held, time.Now())
			if err != nil || len(freed) != tt.freed || d.states(t, v) != tt.want {
				t.Errorf("%s, freed %d, %v; want %s", d.states(t, v), len(freed), err, tt.want)
			}
			if _, err := d.Settle(t.Context(), v[0], next, tt.held, time.Now()); !errs.Is(err, errs.FailedPrecondition) {
				t.Errorf("settled twice from one reading: %v", err)
			}
			if ready, err := d.Ready(t.Context(), next); err != nil || len(ready) != tt.freed {
				t.Errorf("%d ready, %v", len(ready), err)
			}
		}))
	}
}

func TestRedeliver(t *testing.T) {
	chain := []ledger.Recipient{{Target: "a", Interrupts: true}, {Target: "b", Interrupts: true}, {Target: "c"}}
	kill := func(t *testing.T, d *database, v ledger.Version) {
		t.Helper()
		dead := d.Rules().After(v.Delivery, ledger.Report{Attempt: attempt(410, action.Failed)}, time.Now())
		if _, err := d.Settle(t.Context(), v, dead, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(t *testing.T, d *database, id action.DeliveryID, now time.Time) {
		t.Helper()
		if _, err := d.Redeliver(t.Context(), "default", id, now); !errs.Is(err, errs.FailedPrecondition) {
			t.Errorf("redelivered: %v", err)
		}
	}
	t.Run("revives what was skipped for it", withDatabase(func(t *testing.T, d *database) {
		v := d.accept(t, "e1", chain...)
		kill(t, d, v[0])
		refused(t, d, v[1].ID, time.Now())
		back, err := d.Redeliver(t.Context(), "default", v[0].ID, time.Now())
		if err != nil || back.Tried() != 1 || back.Before != 1 || d.states(t, v) != "[pending pending waits pending waits]" {
			t.Errorf("%s, %+v, %v", d.states(t, v), back, err)
		}
	}))
	t.Run("not what is nearly expired", withDatabase(func(t *testing.T, d *database) {
		v := d.accept(t, "e1", chain...)
		kill(t, d, v[0])
		refused(t, d, v[0].ID, time.Now().Add(rules().Retention-ledger.Margin))
	}))
	t.Run("not what was deleted", withDatabase(func(t *testing.T, d *database) {
		v := d.accept(t, "e1", chain...)
		if err := d.DeleteEvent(t.Context(), "default", v[0].Event, time.Now()); err != nil || d.states(t, v) != "[dead dead dead]" {
			t.Errorf("%s, %v", d.states(t, v), err)
		}
		refused(t, d, v[0].ID, time.Now())
	}))
	t.Run("many, into their lanes", withDatabase(func(t *testing.T, d *database) {
		var dead []ledger.Version
		for i := range 20 {
			v := d.accept(t, action.EventID(fmt.Sprint(i)), chain...)
			kill(t, d, v[0])
			one, err := d.Delivery(t.Context(), "default", v[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			dead = append(dead, one)
		}
		if n, err := d.RedeliverAll(t.Context(), dead, time.Now()); n != 20 || err != nil {
			t.Errorf("moved %d, %v", n, err)
		}
		if got := d.states(t, dead[:1]); got != "[pending redelivery]" {
			t.Errorf("%s", got)
		}
		if v, err := d.Valve(t.Context(), "default", "a"); v.State != action.ValveDraining || err != nil {
			t.Errorf("valve %+v, %v", v, err)
		}
		if n, err := d.RedeliverAll(t.Context(), dead, time.Now()); n != 0 || err != nil {
			t.Errorf("moved %d twice, %v", n, err)
		}
	}))
}
