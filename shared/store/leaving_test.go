package store

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
)

// lists is what a list of executions says, in the order of their creation: "id: targets".
func (s *Store) lists(t *testing.T, q action.ExecutionQuery) []string {
	t.Helper()
	q.Page = action.Page{Limit: 1000, Ascending: true}
	found, total, err := s.ListExecutions(t.Context(), here, q)
	if err != nil || total != len(found) {
		t.Fatal(len(found), total, err)
	}
	var texts []string
	for _, e := range found {
		texts = append(texts, fmt.Sprint(e.Condition.ID(), ": ", e.Targets))
	}
	return texts
}

func (s *Store) set(t *testing.T, id action.ExecutionID, targets ...action.TargetID) time.Time {
	t.Helper()
	at, err := s.SetExecution(t.Context(), here, condition(t, id), targets)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestRemovedTargetsLeaveExecutions: what called others too goes on calling them, what called nobody else is in no list, and neither was
// changed by that.
func TestRemovedTargetsLeaveExecutions(t *testing.T) {
	scan := action.ExecutionQuery{Sort: action.SortID}
	page := action.ExecutionQuery{Sort: action.SortCreated}
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.mustCreate(t, "stays")
		s.mustCreate(t, "goes")
		alone := s.set(t, "event/alone", "goes")
		time.Sleep(time.Second)
		s.set(t, "event/both", "goes", "stays")
		time.Sleep(time.Second)
		s.set(t, "event/other", "stays")
		time.Sleep(time.Minute)
		if _, err := s.DeleteTarget(t.Context(), here, "goes"); err != nil {
			t.Fatal(err)
		}
		wanted := []string{"event/both: [stays]", "event/other: [stays]"}
		if diff := cmp.Diff(wanted, s.lists(t, page)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(wanted, s.lists(t, scan)); diff != "" {
			t.Error(diff)
		}
		if leaves, err := s.anyLeaving(t.Context(), here); leaves || err != nil {
			t.Error(leaves, err)
		}
		if at := s.set(t, "event/alone"); !at.Equal(alone) {
			t.Errorf("empty since %v, which it was set at %v", at, alone)
		}
		time.Sleep(time.Minute)
		s.set(t, "event/alone", "stays")
		wanted = []string{"event/alone: [stays]", "event/both: [stays]", "event/other: [stays]"} // it was created first
		if diff := cmp.Diff(wanted, s.lists(t, page)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestListsWhileATargetLeaves: whoever removed it stopped before it was out of the executions. Lists do not show it, and who sweeps ends it.
func TestListsWhileATargetLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.mustCreate(t, "stays")
		s.mustCreate(t, "goes")
		const n = leaveBatch + 1
		for i := range n {
			s.set(t, action.ExecutionID(fmt.Sprint("event/e", i)), "goes")
		}
		s.set(t, "event/both", "goes", "stays")
		batch := s.client.BulkWriter(t.Context()) // the commit of a removal, and no more
		if _, err := batch.Delete(s.target(here, "goes")); err != nil {
			t.Fatal(err)
		}
		if _, err := batch.Create(s.collection(here, removals).Doc("goes"), removalDoc{Removed: now(), Leaving: true}); err != nil {
			t.Fatal(err)
		}
		batch.End()
		time.Sleep(2 * settled) // the feed is calm, and totals are remembered
		wanted := []string{"event/both: [stays]"}
		for _, sort := range []action.Sort{action.SortCreated, action.SortChanged, action.SortID} {
			if diff := cmp.Diff(wanted, s.lists(t, action.ExecutionQuery{Sort: sort})); diff != "" {
				t.Error(sort, diff)
			}
		}
		if err := s.FinishRemovals(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wanted, s.lists(t, action.ExecutionQuery{Sort: action.SortCreated})); diff != "" {
			t.Error(diff)
		}
		left, err := s.collection(here, executions).Where("targets", "array-contains", "goes").Documents(t.Context()).GetAll()
		if leaves, leaveErr := s.anyLeaving(t.Context(), here); leaves || len(left) > 0 || err != nil || leaveErr != nil {
			t.Error(leaves, len(left), err, leaveErr)
		}
	})
}

// TestTotals: whoever changes something, wherever, a list says how many there are.
func TestTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		other := New(s.client, s.raw, s.sealer)
		for i, step := range []struct {
			name   string
			change func()
			wanted int
		}{
			{"nothing", func() {}, 0},
			{"the first", func() { s.mustCreate(t, "a") }, 1},
			{"at once by another process", func() { other.mustCreate(t, "b") }, 2},
			{"much later", func() { time.Sleep(action.ChangeKept); other.mustCreate(t, "c") }, 3},
			{"removed", func() {
				if _, err := other.DeleteTarget(t.Context(), here, "a"); err != nil {
					t.Fatal(err)
				}
			}, 2},
			{"the feed is forgotten", func() { time.Sleep(action.ChangeKept); s.forgetFeed(t) }, 2},
			{"and again after a change", func() { other.mustCreate(t, "d"); time.Sleep(2 * action.ChangeKept); s.forgetFeed(t) }, 3},
		} {
			step.change()
			for _, wait := range []time.Duration{0, time.Millisecond, 2 * settled} { // the last one is remembered, and the next step has it
				time.Sleep(wait)
				for range 2 {
					found, total, err := s.ListTargets(t.Context(), here, action.TargetQuery{Page: action.Page{Limit: 1}, Sort: action.SortCreated})
					if total != step.wanted || len(found) != min(total, 1) || err != nil {
						t.Errorf("%d %s: %d of %d, %v", i, step.name, len(found), total, err)
					}
				}
			}
		}
	})
}

// forgetFeed does what the database does with documents that expired.
func (s *Store) forgetFeed(t *testing.T) {
	t.Helper()
	found, err := s.collection(here, changes).Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	for snapshot := range slices.Values(found) {
		if _, err := snapshot.Ref.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
