package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/seal"
)

const (
	nextKey  = "k2:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
	otherKey = "k3:MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="
)

// with is the same store with other seal keys.
func (s *Store) with(t *testing.T, keys string) *Store {
	t.Helper()
	sealer, err := seal.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	with := *s
	with.sealer = sealer
	return &with
}

// reseals seals everything anew and gives what was found, and the documents that were told to be unreadable.
func (s *Store) reseals(t *testing.T, dryRun bool) (Resealed, []string) {
	t.Helper()
	var unreadable []string
	result, err := s.Reseal(t.Context(), Reseal{DryRun: dryRun, Unreadable: func(document string, err error) {
		unreadable = append(unreadable, document)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the secret is told: %v", err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	return result, unreadable
}

// edit changes the sealed keys of a stored target by hand.
func (s *Store) edit(t *testing.T, id action.TargetID, value any) {
	t.Helper()
	if _, err := s.target(here, id).Update(t.Context(), []firestore.Update{{Path: "signingKeys", Value: value}}); err != nil {
		t.Fatal(err)
	}
}

func (s *Store) stored(t *testing.T, id action.TargetID) *firestore.DocumentSnapshot {
	t.Helper()
	snapshot, err := s.target(here, id).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func TestReseal(t *testing.T) {
	const name = "instances/here/targets/t"
	// entry is a key of target t as it is stored.
	entry := func(t *testing.T, s *Store, value string) map[string]any {
		sealed, err := s.sealer.Seal(place(here, "t"), value)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"sealed": sealed}
	}
	tests := []struct {
		name       string
		prepare    func(t *testing.T, old, next *Store)
		keys       map[string]int
		stale      int
		unreadable []string
		left       []string // the keys of t that open with the new key alone
	}{
		{name: "nothing", prepare: func(*testing.T, *Store, *Store) {}, keys: map[string]int{}},
		{name: "one under the old key", keys: map[string]int{"k1": 1}, stale: 1, left: []string{"secret"},
			prepare: func(t *testing.T, old, _ *Store) { old.mustCreate(t, "t") }},
		{name: "one under the new key", keys: map[string]int{"k2": 1}, left: []string{"secret"},
			prepare: func(t *testing.T, _, next *Store) { next.mustCreate(t, "t") }},
		{name: "one under each", keys: map[string]int{"k1": 1, "k2": 1}, stale: 1, left: []string{"secret"},
			prepare: func(t *testing.T, old, next *Store) { old.mustCreate(t, "t"); next.mustCreate(t, "u") }},
		{name: "both in one target", keys: map[string]int{"k1": 1, "k2": 1}, stale: 1, left: []string{"secret-new", "secret-old"},
			prepare: func(t *testing.T, old, next *Store) {
				old.mustCreate(t, "t")
				old.edit(t, "t", []any{entry(t, next, "secret-new"), entry(t, old, "secret-old")})
			}},
		{name: "in two instances", keys: map[string]int{"k1": 2}, stale: 2, left: []string{"secret"},
			prepare: func(t *testing.T, old, _ *Store) {
				old.mustCreate(t, "t")
				if _, err := old.CreateTarget(t.Context(), "there", newTarget("t")); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "no keys", keys: map[string]int{},
			prepare: func(t *testing.T, old, _ *Store) { old.mustCreate(t, "t"); old.edit(t, "t", firestore.Delete) }},
		{name: "an unknown key id", keys: map[string]int{"k1": 1, "k3": 1}, stale: 1, unreadable: []string{name},
			prepare: func(t *testing.T, old, _ *Store) {
				old.with(t, otherKey).mustCreate(t, "t")
				old.mustCreate(t, "u")
			}},
		{name: "another key of the old id", keys: map[string]int{"k1": 2}, stale: 1, unreadable: []string{name},
			prepare: func(t *testing.T, old, _ *Store) {
				old.with(t, "k1:"+otherKey[3:]).mustCreate(t, "t")
				old.mustCreate(t, "u")
			}},
		{name: "a corrupted value beside a good one", keys: map[string]int{"k1": 2}, stale: 1, unreadable: []string{name},
			prepare: func(t *testing.T, old, _ *Store) {
				old.mustCreate(t, "t")
				bad := entry(t, old, "secret")
				bad["sealed"] = bad["sealed"].(string)[:len(bad["sealed"].(string))-4] + "AAAA"
				old.edit(t, "t", []any{bad, entry(t, old, "secret")})
			}},
		{name: "another target's value", keys: map[string]int{"k1": 2}, stale: 1, unreadable: []string{name},
			prepare: func(t *testing.T, old, _ *Store) {
				old.mustCreate(t, "t")
				old.mustCreate(t, "u")
				keys, err := old.stored(t, "u").DataAt("signingKeys")
				if err != nil {
					t.Fatal(err)
				}
				old.edit(t, "t", keys)
			}},
		{name: "clear text", keys: map[string]int{"": 1}, unreadable: []string{name},
			prepare: func(t *testing.T, old, _ *Store) {
				old.mustCreate(t, "t")
				old.edit(t, "t", []any{map[string]any{"sealed": "secret"}})
			}},
		{name: "something else", keys: map[string]int{"": 4}, unreadable: []string{name, name, name, "instances/here/targets/u"},
			prepare: func(t *testing.T, old, _ *Store) {
				old.mustCreate(t, "t")
				old.mustCreate(t, "u")
				old.edit(t, "t", []any{"secret", map[string]any{}, map[string]any{"sealed": 7}})
				old.edit(t, "u", "secret")
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := open(t, nil)
				next := old.with(t, nextKey+","+sealKey)
				tt.prepare(t, old, next)
				for _, dryRun := range []bool{true, false} {
					got, unreadable := next.reseals(t, dryRun)
					if diff := cmp.Diff(tt.keys, got.Keys); diff != "" || got.Stale != tt.stale || got.Unreadable != len(tt.unreadable) {
						t.Errorf("dry run %v: %+v (-want +got):\n%s", dryRun, got, diff)
					}
					if !slices.Equal(unreadable, tt.unreadable) {
						t.Errorf("dry run %v: unreadable are %q", dryRun, unreadable)
					}
				}
				again, unreadable := next.reseals(t, false)
				if again.Stale != 0 || !slices.Equal(unreadable, tt.unreadable) {
					t.Errorf("again: %+v, unreadable are %q", again, unreadable)
				}
				if tt.left == nil {
					return
				}
				read, err := old.with(t, nextKey).Target(t.Context(), here, "t")
				if err != nil {
					t.Fatal(err)
				}
				var left []string
				for _, k := range read.SigningKeys {
					left = append(left, string(k.Value))
				}
				if !slices.Equal(left, tt.left) {
					t.Errorf("the new key opens %q", left)
				}
			})
		})
	}
}

// TestResealWritesNothingElse: not in the target, nor in the feed, and nobody is told. A dry run writes nothing at all.
func TestResealWritesNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, nil), t.Context()
		target := newTarget("t")
		target.SigningKeys = []action.SigningKey{{Value: "new"}, {Value: "old", Expires: time.Now().Add(time.Hour)}}
		if _, err := s.CreateTarget(ctx, here, target); err != nil {
			t.Fatal(err)
		}
		if _, err := s.AddPublicKey(ctx, here, "t", action.PublicKey{ID: "p"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ActivatePublicKey(ctx, here, "t", "p"); err != nil {
			t.Fatal(err)
		}
		field, err := s.stored(t, "t").DataAt("signingKeys")
		if err != nil {
			t.Fatal(err)
		}
		field.([]any)[1].(map[string]any)["newer"] = map[string]any{"is": "kept"}
		unknown := []firestore.Update{{Path: "signingKeys", Value: field}, {Path: "newer", Value: "is kept"}}
		if _, err := s.target(here, "t").Update(ctx, unknown); err != nil {
			t.Fatal(err)
		}
		before := s.stored(t, "t")
		feed, _, err := s.Changes(ctx, time.Time{}.AddDate(1969, 0, 0))
		if err != nil {
			t.Fatal(err)
		}

		next := s.with(t, nextKey+","+sealKey)
		next.OnChange = func(c ...action.Change) { t.Errorf("told of %v", c) }
		next.Publish = func(_ context.Context, o ...action.Occurrence) error { t.Errorf("published %v", o); return nil }
		next.reseals(t, true)
		if now := s.stored(t, "t"); !now.UpdateTime.Equal(before.UpdateTime) {
			t.Error("a dry run wrote")
		}
		next.reseals(t, false)
		after := s.stored(t, "t")
		if after.UpdateTime.Equal(before.UpdateTime) {
			t.Error("nothing was written")
		}
		texts := map[any]bool{}
		blank := func(d *firestore.DocumentSnapshot) map[string]any {
			data := d.Data()
			for _, e := range data["signingKeys"].([]any) {
				texts[e.(map[string]any)["sealed"]] = true
				e.(map[string]any)["sealed"] = ""
			}
			return data
		}
		if diff := cmp.Diff(blank(before), blank(after)); diff != "" || len(texts) != 4 {
			t.Errorf("%d sealed texts; (-before +after):\n%s", len(texts), diff)
		}
		now, _, err := s.Changes(ctx, time.Time{}.AddDate(1969, 0, 0))
		if diff := cmp.Diff(feed, now); diff != "" || err != nil || len(feed) == 0 {
			t.Errorf("the feed, %v (-before +after):\n%s", err, diff)
		}
		next.reseals(t, false)
		if again := s.stored(t, "t"); !again.UpdateTime.Equal(after.UpdateTime) {
			t.Error("a second run wrote")
		}
	})
}

// TestResealBrokenOff goes on where it was when it is run again.
func TestResealBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		const n = 2*resealPage + resealPage/2
		for i := range n {
			s.mustCreate(t, action.TargetID(fmt.Sprintf("t%03d", i)))
		}
		next := s.with(t, nextKey+","+sealKey)
		ctx, cancel := context.WithCancel(t.Context())
		var seen []int
		result, err := next.Reseal(ctx, Reseal{Progress: func(r Resealed) { seen = append(seen, r.Documents); cancel() }})
		if err == nil || result.Documents != resealPage || !slices.Equal(seen, []int{resealPage}) {
			t.Fatalf("broken off: %+v, %v, %v", result, seen, err)
		}
		seen = nil
		result, err = next.Reseal(t.Context(), Reseal{Progress: func(r Resealed) { seen = append(seen, r.Documents) }})
		want := Resealed{Documents: n, Keys: map[string]int{"k2": resealPage, "k1": n - resealPage}, Stale: n - resealPage}
		if diff := cmp.Diff(want, result); diff != "" || err != nil || !slices.Equal(seen, []int{resealPage, 2 * resealPage, n}) {
			t.Errorf("run again: %v, %v (-want +got):\n%s", seen, err, diff)
		}
		_, total, err := s.with(t, nextKey).ListTargets(t.Context(), here, action.TargetQuery{Page: action.Page{Limit: n}})
		if err != nil || total != n {
			t.Errorf("%d targets, %v", total, err)
		}
	})
}

// TestResealAgainstRotation: keys are replaced while everything is sealed anew, some by processes whose first key is still the old one. No
// key that was told to be there is lost, and afterwards a quiet run leaves nothing under the old key.
func TestResealAgainstRotation(t *testing.T) {
	races(t, func(t *testing.T, s *Store) {
		const targets, rotations = 3, 4
		id := func(i int) action.TargetID { return action.TargetID(fmt.Sprint("t", i)) }
		for i := range targets {
			_, err := surely(t, func() (action.Target, error) { return s.CreateTarget(t.Context(), here, newTarget(id(i))) })
			if err != nil && !errors.Is(err, errNameTaken) {
				t.Fatal(err)
			}
		}
		before, next := s.with(t, sealKey+","+nextKey), s.with(t, nextKey+","+sealKey)
		key := func(i int) action.Secret { return action.Secret(fmt.Sprint("key", i)) }
		said := atOnce(targets*rotations+2, func(i int) error {
			if i >= targets*rotations {
				_, err := next.Reseal(t.Context(), Reseal{})
				return err
			}
			by := before
			if i%2 == 0 {
				by = next
			}
			_, err := by.UpdateTarget(t.Context(), here, id(i%targets), func(old action.Target) (action.Target, bool, error) {
				old.SigningKeys = append([]action.SigningKey{{Value: key(i)}}, old.SigningKeys...)
				return old, true, nil
			})
			return err
		})
		for i, err := range said {
			if err != nil && !errs.Is(err, errs.Unavailable) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		_, err := surely(t, func() (Resealed, error) { return next.Reseal(t.Context(), Reseal{}) })
		if err != nil {
			t.Fatal(err)
		}
		alone := s.with(t, nextKey)
		for i := range targets {
			target, err := alone.Target(t.Context(), here, id(i))
			if err != nil {
				t.Fatal(err)
			}
			has := func(v action.Secret) bool {
				return slices.ContainsFunc(target.SigningKeys, func(k action.SigningKey) bool { return k.Value == v })
			}
			for n := i; n < targets*rotations; n += targets {
				if said[n] == nil && !has(key(n)) {
					t.Errorf("%s has lost %s", id(i), string(key(n)))
				}
			}
			if !has("secret") {
				t.Errorf("%s has lost its first key", id(i))
			}
		}
	})
}

// TestResealWebKeys: they are opened with the new key alone then, and are the same keys.
func TestResealWebKeys(t *testing.T) {
	s := open(t, nil)
	before, err := s.AddWebKey(t.Context(), here, func(k action.WebKeys, _ time.Time) bool { return len(k) == 0 })
	if err != nil {
		t.Fatal(err)
	}
	result, unreadable := s.with(t, nextKey+","+sealKey).reseals(t, false)
	want := Resealed{Documents: 1, Keys: map[string]int{"k1": 1}, Stale: 1}
	if diff := cmp.Diff(want, result); diff != "" || len(unreadable) > 0 {
		t.Error(diff, unreadable)
	}
	after, err := s.with(t, nextKey).WebKeys(t.Context(), here, nil)
	if err != nil || len(after) != 1 || after[0].Err != nil || after[0].ID != before[0].ID || !after[0].Signs.Equal(before[0].Signs) {
		t.Errorf("%+v, %v", after, err)
	}
}
