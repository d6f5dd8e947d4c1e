package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	emulator "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// The races of this file run on a database that aborts commits, loses them, and loses answers. What it says of a call may then be
// Unavailable, which tells nothing; what it tells otherwise must be so.

const rounds = 12

func hostile(round int) *emulator.Hostile {
	return &emulator.Hostile{Seed: uint64(round), Abort: 0.3, Before: 0.05, After: 0.05}
}

// atOnce runs n calls at once and gives what they said.
func atOnce(n int, call func(i int) error) []error {
	said := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { said[i] = call(i) })
	}
	wait.Wait()
	return said
}

func races(t *testing.T, race func(*testing.T, *Store)) {
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { race(t, open(t, hostile(round))) })
		})
	}
}

// surely repeats a call until the database says what became of it.
func surely[T any](t *testing.T, call func() (T, error)) (T, error) {
	t.Helper()
	for range 100 {
		if result, err := call(); !errs.Is(err, errs.Unavailable) {
			return result, err
		}
	}
	t.Fatal("the database never answers")
	panic("not reached")
}

// TestOneNameIsTakenOnce: of many creations of one name one wins, and the others are told that it is taken.
func TestOneNameIsTakenOnce(t *testing.T) {
	races(t, func(t *testing.T, s *Store) {
		said := atOnce(4, func(i int) error {
			target := newTarget(action.TargetID(fmt.Sprint("t", i)))
			target.Name = "the one name"
			_, err := s.CreateTarget(t.Context(), here, target)
			return err
		})
		found, _, err := s.ListTargets(t.Context(), here, action.TargetQuery{Page: action.Page{Limit: 10}})
		if err != nil || len(found) > 1 {
			t.Fatalf("%d targets have the name, %v", len(found), err)
		}
		for i, err := range said {
			won := len(found) == 1 && found[0].ID == action.TargetID(fmt.Sprint("t", i))
			switch {
			case err == nil && !won:
				t.Errorf("t%d was told it won", i)
			case err != nil && !errors.Is(err, errNameTaken) && !errs.Is(err, errs.Unavailable):
				t.Errorf("t%d was told %v", i, err)
			case errors.Is(err, errNameTaken) && len(found) == 0:
				t.Errorf("t%d was told of a name that nobody has", i)
			}
		}
	})
}

// TestRenamesToOneName: the same when targets that exist take the name.
func TestRenamesToOneName(t *testing.T) {
	races(t, func(t *testing.T, s *Store) {
		for i := range 4 {
			id := action.TargetID(fmt.Sprint("t", i))
			_, err := surely(t, func() (action.Target, error) { return s.CreateTarget(t.Context(), here, newTarget(id)) })
			if err != nil && !errors.Is(err, errNameTaken) { // its own, from a try whose answer was lost
				t.Fatal(err)
			}
		}
		atOnce(4, func(i int) error {
			_, err := s.UpdateTarget(t.Context(), here, action.TargetID(fmt.Sprint("t", i)), func(old action.Target) (action.Target, bool, error) {
				old.Name = "the one name"
				return old, true, nil
			})
			return err
		})
		found, _, err := s.ListTargets(t.Context(), here, action.TargetQuery{Page: action.Page{Limit: 10}})
		if err != nil || len(found) != 4 {
			t.Fatal(len(found), err)
		}
		names := map[string]bool{}
		for _, target := range found {
			names[target.Name] = true
		}
		documents, err := s.collection(here, "names").Documents(t.Context()).GetAll()
		if err != nil || len(names) != 4 || len(documents) != 4 {
			t.Errorf("%d names, %d documents of names, %v", len(names), len(documents), err)
		}
	})
}

// TestDeletionAgainstSetExecution: no execution is set with a target that is gone by then. The feed has the order of the commits.
func TestDeletionAgainstSetExecution(t *testing.T) {
	races(t, func(t *testing.T, s *Store) {
		for _, id := range []action.TargetID{"stays", "goes"} {
			if _, err := surely(t, func() (action.Target, error) { return s.CreateTarget(t.Context(), here, newTarget(id)) }); err != nil && !errors.Is(err, errNameTaken) {
				t.Fatal(err)
			}
		}
		said := atOnce(4, func(i int) error {
			if i == 0 {
				_, err := s.DeleteTarget(t.Context(), here, "goes")
				return err
			}
			_, err := s.SetExecution(t.Context(), here, condition(t, action.ExecutionID(fmt.Sprint("event/e", i))), []action.TargetID{"stays", "goes"})
			return err
		})
		for i, err := range said[1:] {
			if err != nil && !errors.Is(err, action.ErrExecutionTarget) && !errs.Is(err, errs.Unavailable) {
				t.Errorf("execution %d: %v", i+1, err)
			}
		}
		changes, _, err := s.Changes(t.Context(), time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Target(t.Context(), here, "goes"); err == nil {
			return // the deletion was lost
		}
		last, removal := -1, -1
		for i, c := range changes {
			switch {
			case c.Kind == action.ChangeExecution:
				last = i
			case c.ID == "goes":
				removal = i // the first one is its creation, the last its removal
			}
		}
		if last > removal {
			t.Errorf("an execution was set after its target was removed: %v", changes)
		}
		q := action.ExecutionQuery{Page: action.Page{Limit: 10}}
		found, _, err := s.ListExecutions(t.Context(), here, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			if !slices.Equal(e.Targets, []action.TargetID{"stays"}) {
				t.Errorf("%s lists %v", e.Condition.ID(), e.Targets)
			}
		}
		_, err = surely(t, func() (time.Time, error) {
			return s.SetExecution(t.Context(), here, condition(t, "event/late"), []action.TargetID{"goes"})
		})
		if !errors.Is(err, action.ErrExecutionTarget) {
			t.Errorf("set with a target that is gone: %v", err)
		}
	})
}

// TestParallelActivations: of keys that are activated at once one is active in the end, and the list and the target agree which.
func TestParallelActivations(t *testing.T) {
	races(t, func(t *testing.T, s *Store) {
		if _, err := surely(t, func() (action.Target, error) { return s.CreateTarget(t.Context(), here, newTarget("t")) }); err != nil && !errors.Is(err, errNameTaken) {
			t.Fatal(err)
		}
		const n = 4
		key := func(i int) action.PublicKeyID { return action.PublicKeyID(fmt.Sprint("k", i)) }
		for i := range n {
			_, err := surely(t, func() (action.PublicKey, error) {
				return s.AddPublicKey(t.Context(), here, "t", action.PublicKey{ID: key(i)})
			})
			if err != nil && !errs.Is(err, errs.AlreadyExists) {
				t.Fatal(err)
			}
		}
		said := atOnce(n, func(i int) error {
			_, err := s.ActivatePublicKey(t.Context(), here, "t", key(i))
			return err
		})
		var active []action.PublicKeyID
		for _, k := range s.keys(t, "t") {
			if k.Active {
				active = append(active, k.ID)
			}
		}
		if some := slices.Contains(said, nil); len(active) > 1 || some && len(active) != 1 {
			t.Errorf("active %v, told %v", active, said)
		}
		target, err := s.Target(t.Context(), here, "t")
		if err != nil || len(active) == 1 && target.PublicKey.ID != active[0] {
			t.Errorf("the target has %q, %v", target.PublicKey.ID, err)
		}
	})
}

// TestKeyAddedToATargetThatGoes leaves nothing behind.
func TestKeyAddedToATargetThatGoes(t *testing.T) {
	races(t, func(t *testing.T, s *Store) {
		if _, err := surely(t, func() (action.Target, error) { return s.CreateTarget(t.Context(), here, newTarget("t")) }); err != nil && !errors.Is(err, errNameTaken) {
			t.Fatal(err)
		}
		atOnce(4, func(i int) error {
			if i == 0 {
				_, err := s.DeleteTarget(t.Context(), here, "t")
				return err
			}
			_, err := s.AddPublicKey(t.Context(), here, "t", action.PublicKey{ID: action.PublicKeyID(fmt.Sprint("k", i))})
			return err
		})
		_, err := s.Target(t.Context(), here, "t")
		left, listErr := s.target(here, "t").Collection(publicKeys).Documents(t.Context()).GetAll()
		if listErr != nil || errs.Is(err, errs.NotFound) && len(left) != 0 {
			t.Errorf("%d keys of a target that is gone, %v", len(left), listErr)
		}
	})
}
