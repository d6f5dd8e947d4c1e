package store

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/seal"
)

func TestDeliverySettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		created := s.mustCreate(t, "t")
		for _, want := range []action.DeliverySettings{
			{Schedule: []time.Duration{time.Second, time.Minute}, Limits: action.Limits{Rate: 5, Concurrency: 2}},
			{Limits: action.Limits{Concurrency: 1}},
			{Schedule: []time.Duration{time.Hour}},
			{},
			{Limits: action.Limits{Rate: 1}},
		} {
			time.Sleep(time.Second)
			if err := s.SetDelivery(t.Context(), here, "t", want); err != nil {
				t.Fatal(err)
			}
			got, err := s.Target(t.Context(), here, "t")
			if diff := cmp.Diff(want, got.Delivery); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if !got.Changed.Equal(created.Changed) || got.SigningKey() != "secret" || got.Name != created.Name {
				t.Errorf("something else changed: %+v", got)
			}
		}
	})
}

// TestUpdateKeepsDeliverySettings: the Action API knows nothing of them.
func TestUpdateKeepsDeliverySettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.mustCreate(t, "t")
		want := action.DeliverySettings{Schedule: []time.Duration{time.Second}, Limits: action.Limits{Rate: 5}}
		if err := s.SetDelivery(t.Context(), here, "t", want); err != nil {
			t.Fatal(err)
		}
		name, zero := "another", time.Duration(0)
		_, err := s.UpdateTarget(t.Context(), here, "t", func(old action.Target) (action.Target, bool, error) {
			return action.TargetChange{Name: &name, RotateKey: &zero}.Apply(old, time.Now(), action.NewSigningKey)
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Target(t.Context(), here, "t")
		if diff := cmp.Diff(want, got.Delivery); diff != "" || err != nil || got.Name != name {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestReadsOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.mustCreate(t, "a")
		s.mustCreate(t, "c")
		for _, id := range []action.ExecutionID{"event/x.*", "request/p.S/M"} {
			if _, err := s.SetExecution(t.Context(), here, condition(t, id), []action.TargetID{"c", "a"}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.execution(here, "event/broken").Set(t.Context(), map[string]any{"id": "event/other"}); err != nil {
			t.Fatal(err)
		}
		executions, bad, err := s.Executions(t.Context(), here, []action.ExecutionID{"event/none", "request/p.S/M", "event/broken", "event/x.*"})
		var got []action.ExecutionID
		for _, e := range executions {
			got = append(got, e.Condition.ID())
			if !cmp.Equal(e.Targets, []action.TargetID{"c", "a"}) {
				t.Errorf("%s of %v", e.Condition.ID(), e.Targets)
			}
		}
		if diff := cmp.Diff([]action.ExecutionID{"request/p.S/M", "event/x.*"}, got); diff != "" || err != nil || len(bad) != 1 || bad["event/broken"] == nil {
			t.Errorf("%v, %v (-want +got):\n%s", err, bad, diff)
		}

		sealer, err := seal.New("k2:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=")
		if err != nil {
			t.Fatal(err)
		}
		other := New(s.client, s.raw, sealer)
		other.mustCreate(t, "b")
		targets, unreadable, err := s.Targets(t.Context(), here, []action.TargetID{"c", "b", "none", "a"})
		var ids []action.TargetID
		for _, target := range targets {
			ids = append(ids, target.ID)
			if known := target.SigningKey() == "secret"; known == (target.ID == "b") || target.Endpoint == "" {
				t.Errorf("%+v", target)
			}
		}
		if diff := cmp.Diff([]action.TargetID{"c", "b", "a"}, ids); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if len(unreadable) != 1 || !errs.Is(unreadable["b"], errs.Internal) {
			t.Errorf("unreadable: %v", unreadable)
		}
	})
}
