package store

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func (s *Store) mustAddKey(t *testing.T, target action.TargetID, id action.PublicKeyID, expires time.Time) action.PublicKey {
	t.Helper()
	k, err := s.AddPublicKey(t.Context(), here, target, action.PublicKey{ID: id, PEM: []byte("PEM of " + id), Fingerprint: "print of " + string(id), Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// keys lists a target's keys, the oldest first.
func (s *Store) keys(t *testing.T, target action.TargetID) []action.PublicKey {
	t.Helper()
	q := action.PublicKeyQuery{Page: action.Page{Limit: 1000, Ascending: true}, Sort: action.SortCreated}
	found, total, err := s.ListPublicKeys(t.Context(), here, target, q)
	if err != nil || total != len(found) {
		t.Fatal(total, err)
	}
	return found
}

func TestPublicKeyLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, nil), t.Context()
		created := s.mustCreate(t, "t")
		s.mustCreate(t, "u")
		a := s.mustAddKey(t, "t", "a", time.Time{})
		time.Sleep(time.Second)
		b := s.mustAddKey(t, "t", "b", now().Add(time.Hour))
		if diff := cmp.Diff([]action.PublicKey{a, b}, s.keys(t, "t")); diff != "" || a.Active || b.Active {
			t.Errorf("added (-want +got):\n%s", diff)
		}
		step := func(name string, do func() (time.Time, error), want time.Time) {
			t.Helper()
			if got, err := do(); err != nil || !got.Equal(want) {
				t.Errorf("%s: %v, %v, want %v", name, got, err, want)
			}
		}
		on := func(id action.PublicKeyID) func() (time.Time, error) {
			return func() (time.Time, error) { return s.ActivatePublicKey(ctx, here, "t", id) }
		}
		off := func(id action.PublicKeyID) func() (time.Time, error) {
			return func() (time.Time, error) { return s.DeactivatePublicKey(ctx, here, "t", id) }
		}
		gone := func(target action.TargetID, id action.PublicKeyID) func() (time.Time, error) {
			return func() (time.Time, error) { return s.RemovePublicKey(ctx, here, target, id) }
		}
		step("deactivate what is inactive", off("a"), a.Changed)
		time.Sleep(time.Second)
		first := now()
		step("activate", on("a"), first)
		time.Sleep(time.Second)
		step("activate what is active", on("a"), first)
		if _, err := s.RemovePublicKey(ctx, here, "t", "a"); !errs.Is(err, errs.FailedPrecondition) {
			t.Errorf("remove what is active: %v", err)
		}
		second := now()
		step("activate another", on("b"), second)
		a.Changed, b.Changed, b.Active = second, second, true
		if diff := cmp.Diff([]action.PublicKey{a, b}, s.keys(t, "t")); diff != "" {
			t.Errorf("switched (-want +got):\n%s", diff)
		}
		got, err := s.Target(ctx, here, "t")
		want := action.PublicKey{ID: "b", PEM: b.PEM, Active: true, Expires: b.Expires}
		if diff := cmp.Diff(want, got.PublicKey); diff != "" || err != nil || !got.Changed.Equal(created.Changed) || got.SigningKey() != "secret" {
			t.Errorf("the target %+v, %v (-want +got):\n%s", got, err, diff)
		}
		time.Sleep(time.Second)
		third := now()
		step("remove what is inactive", gone("t", "a"), third)
		time.Sleep(time.Hour)
		step("remove it again", gone("t", "a"), third)
		step("remove what never was", gone("t", "x"), time.Time{})
		step("remove of another target", gone("u", "b"), time.Time{})
		step("remove what cannot be", gone("t", "a/b"), time.Time{})
		step("remove of what cannot be", gone("a/b", "b"), time.Time{})
		if _, err := s.ActivatePublicKey(ctx, here, "t", "b"); err != errKeyExpired {
			t.Errorf("activate what is expired: %v", err)
		}
		step("deactivate what is expired", off("b"), now())
		if got, err := s.Target(ctx, here, "t"); err != nil || got.PublicKey.ID != "" {
			t.Errorf("still active: %+v, %v", got.PublicKey, err)
		}
		removed, err := s.DeleteTarget(ctx, here, "t")
		if err != nil {
			t.Fatal(err)
		}
		step("remove of a target that is gone", gone("t", "b"), removed)
		if left := s.keys(t, "t"); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		left, err := s.target(here, "t").Collection(publicKeys).Documents(ctx).GetAll()
		if err != nil || len(left) != 0 {
			t.Errorf("documents left behind: %d, %v", len(left), err)
		}
	})
}

func TestPublicKeyRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.mustCreate(t, "t")
		s.mustCreate(t, "u")
		s.mustAddKey(t, "t", "k", time.Time{})
		for _, target := range []action.TargetID{"none", "a/b"} {
			if _, err := s.AddPublicKey(t.Context(), here, target, action.PublicKey{ID: "k"}); err != errAddKeyMissing {
				t.Errorf("add to %s: %v", target, err)
			}
		}
		for _, tt := range []struct {
			target action.TargetID
			key    action.PublicKeyID
			want   error
		}{{"none", "k", errNoKeyTarget}, {"a/b", "k", errNoKeyTarget}, {"t", "none", errNoKey}, {"t", "a/b", errNoKey}, {"u", "k", errNoKey}} {
			if _, err := s.ActivatePublicKey(t.Context(), here, tt.target, tt.key); err != tt.want {
				t.Errorf("activate %s of %s: %v", tt.key, tt.target, err)
			}
			if _, err := s.DeactivatePublicKey(t.Context(), here, tt.target, tt.key); err != tt.want {
				t.Errorf("deactivate %s of %s: %v", tt.key, tt.target, err)
			}
		}
		if found := s.keys(t, "none"); len(found) != 0 {
			t.Errorf("of none: %v", found)
		}
		if _, total, err := s.ListPublicKeys(t.Context(), here, "a/b", action.PublicKeyQuery{}); total != 0 || err != nil {
			t.Errorf("of what cannot be: %d, %v", total, err)
		}
		if _, total, err := s.ListPublicKeys(t.Context(), "there", "t", action.PublicKeyQuery{}); total != 0 || err != nil {
			t.Errorf("of another instance: %d, %v", total, err)
		}
	})
}

// TestUpdateLeavesAloneWhatItDoesNotKnow: the active key, and fields that a newer version wrote.
func TestUpdateLeavesAloneWhatItDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.mustCreate(t, "t")
		s.mustAddKey(t, "t", "k", time.Time{})
		if _, err := s.ActivatePublicKey(t.Context(), here, "t", "k"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.target(here, "t").Set(t.Context(), map[string]any{"newer": "x"}, firestore.MergeAll); err != nil {
			t.Fatal(err)
		}
		_, err := s.UpdateTarget(t.Context(), here, "t", func(old action.Target) (action.Target, bool, error) {
			old.Name, old.PublicKey = "another", action.PublicKey{}
			return old, true, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := s.target(here, "t").Get(t.Context())
		if err != nil || snapshot.Data()["newer"] != "x" || snapshot.Data()["name"] != "another" {
			t.Errorf("%v, %v", snapshot.Data(), err)
		}
		if got, err := s.Target(t.Context(), here, "t"); err != nil || got.PublicKey.ID != "k" {
			t.Errorf("%+v, %v", got.PublicKey, err)
		}
	})
}

// TestManyKeys: all of them go with their target.
func TestManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		s.mustCreate(t, "t")
		for i := range 60 {
			s.mustAddKey(t, "t", action.PublicKeyID(fmt.Sprint("k", i)), time.Time{})
		}
		if n := len(s.keys(t, "t")); n != 60 {
			t.Errorf("%d", n)
		}
		if _, err := s.DeleteTarget(t.Context(), here, "t"); err != nil {
			t.Fatal(err)
		}
		left, err := s.target(here, "t").Collection(publicKeys).Documents(t.Context()).GetAll()
		if err != nil || len(left) != 0 {
			t.Errorf("documents left behind: %d, %v", len(left), err)
		}
	})
}
