package store

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	emulator "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

var (
	withoutPlace = cmpopts.IgnoreFields(action.Change{}, "At", "Key")
	ofTarget     = action.Change{Instance: here, Kind: action.ChangeTarget, ID: "t"}
	ofExecution  = action.Change{Instance: here, Kind: action.ChangeExecution, ID: "event/a.b"}
)

// TestEachCommitIsInTheFeed once, and what writes nothing is not.
func TestEachCommitIsInTheFeed(t *testing.T) {
	rename := func(name string) func(action.Target) (action.Target, bool, error) {
		return func(old action.Target) (action.Target, bool, error) {
			differs := old.Name != name
			old.Name = name
			return old, differs, nil
		}
	}
	set := func(t *testing.T, s *Store, targets ...action.TargetID) error {
		_, err := s.SetExecution(t.Context(), here, condition(t, "event/a.b"), targets)
		return err
	}
	limits := action.DeliverySettings{Limits: action.Limits{Rate: 3}}
	tests := []struct {
		name   string
		do     func(*testing.T, *Store) error
		want   []action.Change
		err    errs.Kind
		silent bool // nobody in this process is told either
	}{
		{name: "create a target", want: []action.Change{{Instance: here, Kind: action.ChangeTarget, ID: "new"}},
			do: func(t *testing.T, s *Store) error { s.mustCreate(t, "new"); return nil }},
		{name: "create one of a taken name", err: errs.AlreadyExists,
			do: func(t *testing.T, s *Store) error {
				taken := newTarget("new")
				taken.Name = "name of t"
				_, err := s.CreateTarget(t.Context(), here, taken)
				return err
			}},
		{name: "update a target", want: []action.Change{ofTarget},
			do: func(t *testing.T, s *Store) error {
				_, err := s.UpdateTarget(t.Context(), here, "t", rename("x"))
				return err
			}},
		{name: "update it to what it is", silent: true,
			do: func(t *testing.T, s *Store) error {
				_, err := s.UpdateTarget(t.Context(), here, "t", rename("name of t"))
				return err
			}},
		{name: "update none", err: errs.NotFound,
			do: func(t *testing.T, s *Store) error {
				_, err := s.UpdateTarget(t.Context(), here, "none", rename("x"))
				return err
			}},
		{name: "set delivery settings", want: []action.Change{ofTarget},
			do: func(t *testing.T, s *Store) error { return s.SetDelivery(t.Context(), here, "t", limits) }},
		{name: "set those it has", silent: true,
			do: func(t *testing.T, s *Store) error {
				return s.SetDelivery(t.Context(), here, "t", action.DeliverySettings{})
			}},
		{name: "set them of none", err: errs.NotFound,
			do: func(t *testing.T, s *Store) error { return s.SetDelivery(t.Context(), here, "none", limits) }},
		{name: "set them of what cannot be", err: errs.NotFound, silent: true,
			do: func(t *testing.T, s *Store) error { return s.SetDelivery(t.Context(), here, "a/b", limits) }},
		{name: "remove a target", want: []action.Change{ofTarget},
			do: func(t *testing.T, s *Store) error { _, err := s.DeleteTarget(t.Context(), here, "t"); return err }},
		{name: "remove none", silent: true,
			do: func(t *testing.T, s *Store) error { _, err := s.DeleteTarget(t.Context(), here, "none"); return err }},
		{name: "set an execution", want: []action.Change{ofExecution}, do: func(t *testing.T, s *Store) error { return set(t, s, "t") }},
		{name: "set it twice", want: []action.Change{ofExecution},
			do: func(t *testing.T, s *Store) error { return errors.Join(set(t, s, "t"), set(t, s, "t")) }},
		{name: "set it and set nothing", want: []action.Change{ofExecution, ofExecution},
			do: func(t *testing.T, s *Store) error { return errors.Join(set(t, s, "t"), set(t, s)) }},
		{name: "set nothing where nothing is", silent: true, do: func(t *testing.T, s *Store) error { return set(t, s) }},
		{name: "set a target that is none", err: errs.NotFound, do: func(t *testing.T, s *Store) error { return set(t, s, "none") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t, nil)
				s.mustCreate(t, "t")
				_, begin, err := s.Changes(t.Context(), time.Now())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				told := 0
				s.OnChange = func(...action.Change) { told++ }
				if err := tt.do(t, s); (tt.err != "" || err != nil) && !errs.Is(err, tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				got, _, err := s.Changes(t.Context(), begin)
				if diff := cmp.Diff(tt.want, got, withoutPlace); diff != "" || err != nil {
					t.Errorf("%v (-want +got):\n%s", err, diff)
				}
				if (told == 0) != tt.silent {
					t.Errorf("told %d times", told)
				}
			})
		})
	}
}

func TestChangesGivesTheNewOnesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openOutbox(t, &topic{}, nil)
		start := time.Now()
		found, empty, err := s.Changes(t.Context(), time.Unix(0, 0))
		if err != nil || len(found) != 0 || empty.Before(start.Add(-time.Second)) || empty.After(start.Add(time.Second)) {
			t.Errorf("of an empty feed: %v, %v after the start, %v", found, empty.Sub(start), err)
		}
		for i := range 5 {
			time.Sleep(time.Second)
			instance := action.InstanceID(fmt.Sprint("i", i%2))
			if _, err := s.CreateTarget(t.Context(), instance, newTarget(action.TargetID(fmt.Sprint("t", i)))); err != nil {
				t.Fatal(err)
			}
		}
		all, asOf, err := s.Changes(t.Context(), empty)
		if err != nil || len(all) != 5 {
			t.Fatalf("%v, %v", all, err)
		}
		keys := map[string]bool{}
		for i, c := range all {
			want := action.Change{Instance: action.InstanceID(fmt.Sprint("i", i%2)), Kind: action.ChangeTarget, ID: fmt.Sprint("t", i)}
			if diff := cmp.Diff(want, c, withoutPlace); diff != "" {
				t.Errorf("%d (-want +got):\n%s", i, diff)
			}
			if age := c.At.Sub(start) - time.Duration(i+1)*time.Second; age < 0 || age > time.Millisecond || c.At.After(asOf) {
				t.Errorf("%d is of %v after it was written, and seen at %v", i, age, asOf)
			}
			keys[c.Key] = true
		}
		if len(keys) != 5 {
			t.Errorf("keys %v", keys)
		}
		if rest, _, err := s.Changes(t.Context(), all[2].At); err != nil || !cmp.Equal(all[3:], rest) {
			t.Errorf("after the third: %v, %v", rest, err)
		}
		if rest, _, err := s.Changes(t.Context(), asOf); err != nil || len(rest) != 0 {
			t.Errorf("after the last: %v, %v", rest, err)
		}
		time.Sleep(action.ChangeKept + 25*time.Hour)
		if old, _, err := s.Changes(t.Context(), empty); err != nil || len(old) != 0 {
			t.Errorf("a day later: %v, %v", old, err)
		}
	})
}

func TestChangesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		writer := s.client.BulkWriter(t.Context())
		for i := range action.MaxChanges + 5 {
			if _, err := writer.Create(s.collection(here, changes).NewDoc(), changeDoc{Kind: "target", ID: fmt.Sprint(i), Expire: now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
		writer.End()
		found, _, err := s.Changes(t.Context(), time.Unix(0, 0))
		if err != nil || len(found) != action.MaxChanges {
			t.Errorf("%d, %v", len(found), err)
		}
	})
}

// TestChangeOfAForeignForm stands for everything rather than for nothing.
func TestChangeOfAForeignForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		_, err := s.collection(here, changes).Doc("x").Create(t.Context(), map[string]any{"kind": 7, "id": []string{"t"}, "at": firestore.ServerTimestamp})
		if err != nil {
			t.Fatal(err)
		}
		found, _, err := s.Changes(t.Context(), time.Unix(0, 0))
		if diff := cmp.Diff([]action.Change{{Instance: here, Key: "x"}}, found, cmpopts.IgnoreFields(action.Change{}, "At")); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// TestUnknownOutcomeIsTold: the commit was applied and its answer lost, so the process must not trust what it keeps.
func TestUnknownOutcomeIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, &emulator.Hostile{Seed: 1, After: 1})
		var told []action.Change
		s.OnChange = func(c ...action.Change) { told = append(told, c...) }
		if _, err := s.CreateTarget(t.Context(), here, newTarget("t")); err == nil {
			t.Error("the answer was not lost")
		}
		if diff := cmp.Diff([]action.Change{ofTarget}, told); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}
