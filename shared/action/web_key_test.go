package action_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

func TestWebKeysFollowOneAnother(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var none action.WebKeys
	if _, ok := none.Signing(now); ok || !none.None(now) || !none.Settled(now) || none.Old(now) || !none.Due().IsZero() || none.Published(now) != nil {
		t.Error("no keys are some")
	}
	first := none.Rotate(action.WebKey{ID: "a", Created: now}, now)
	if k, _ := first.Signing(now); k.ID != "a" || !first.Settled(now) || first.None(now) {
		t.Errorf("the first one does not sign at once: %v", first)
	}
	second := first.Rotate(action.WebKey{ID: "b", Created: now}, now.Add(time.Minute))
	if !first[0].Ends.IsZero() {
		t.Error("the keys of before have changed")
	}
	signs := now.Add(time.Minute + action.WebKeyAhead)
	ends := signs.Add(action.WebKeyKept)
	tests := []struct {
		name      string
		at        time.Time
		signing   action.WebKeyID
		published int
		settled   bool
		old       bool
	}{
		{"before all", now.Add(-time.Hour), "a", 2, false, false},
		{"just rotated", now.Add(time.Minute), "a", 2, false, false},
		{"just before the next", signs.Add(-1), "a", 2, false, false},
		{"the next", signs, "b", 2, true, false},
		{"just before the end", ends.Add(-1), "b", 2, true, false},
		{"the end", ends, "b", 1, true, false},
		{"nearly old", signs.Add(action.WebKeyAge - 1), "b", 1, true, false},
		{"old", signs.Add(action.WebKeyAge), "b", 1, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, _ := second.Signing(tt.at)
			if n := len(second.Published(tt.at)); k.ID != tt.signing || n != tt.published || second.Settled(tt.at) != tt.settled || second.Old(tt.at) != tt.old {
				t.Errorf("%s signs, %d published, settled %t, old %t", k.ID, n, second.Settled(tt.at), second.Old(tt.at))
			}
		})
	}
	if third := second.Rotate(action.WebKey{ID: "c"}, ends); len(third) != 2 || third[0].ID != "b" || !second[1].Ends.IsZero() {
		t.Errorf("what has ended is kept: %v", third)
	}
}

// TestNobodySignsUnpublished: processes read the keys when they can, sign with what they know for as long as they may, and receivers keep the
// published ones for as long as they may. Whatever is signed is among what its receiver has, or gets when it asks, until it has arrived.
func TestNobodySignsUnpublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const step = 7 * time.Minute
		rotations := []time.Duration{0, 3 * time.Hour, 5 * time.Hour, 30 * time.Hour, 31*time.Hour + time.Minute, 60 * time.Hour}
		begin := time.Now()
		states := map[time.Duration]action.WebKeys{} // since then
		var keys action.WebKeys
		for i, at := range rotations {
			if now := begin.Add(at); keys.Settled(now) {
				keys = keys.Rotate(action.WebKey{ID: action.WebKeyID(rune('a' + i))}, now)
				states[at] = keys
			}
		}
		stored := func(at time.Duration) (found action.WebKeys) {
			latest := time.Duration(-1)
			for since, keys := range states {
				if since <= at && since > latest {
					latest, found = since, keys
				}
			}
			return found
		}
		has := func(keys action.WebKeys, id action.WebKeyID, at time.Duration) bool {
			for _, k := range keys.Published(begin.Add(at)) {
				if k.ID == id {
					return true
				}
			}
			return false
		}
		for at := time.Duration(0); at < 120*time.Hour; at += step {
			for age := time.Duration(0); age <= min(at, action.WebKeyStale); age += step {
				k, _ := stored(at - age).Signing(begin.Add(at))
				// The receiver looks when the call comes, or has looked WebKeySetAge before; the call is under way for MaxTimeout.
				arrives := at + action.MaxTimeout
				if !has(stored(arrives), k.ID, arrives) {
					t.Fatalf("%v: %s, signed with keys of %v before, is not published on arrival", at, k.ID, age)
				}
				looked := max(0, at-action.WebKeySetAge)
				if !has(stored(looked), k.ID, looked) {
					t.Fatalf("%v: %s, signed with keys of %v before, is not among what a receiver knows since %v", at, k.ID, age, looked)
				}
			}
		}
	})
}
