package store

import (
	"context"
	"crypto/rsa"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/seal"
)

func (s *Store) mustAddWebKey(t *testing.T, instance action.InstanceID, want func(action.WebKeys, time.Time) bool) action.WebKeys {
	t.Helper()
	keys, err := s.AddWebKey(t.Context(), instance, want)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func kids(keys action.WebKeys) (ids []action.WebKeyID) {
	for _, k := range keys {
		ids = append(ids, k.ID)
	}
	return ids
}

func TestWebKeyLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, nil), t.Context()
		var told []action.Change
		s.OnChange = func(changes ...action.Change) { told = append(told, changes...) }
		if keys, err := s.WebKeys(ctx, here, nil); keys != nil || err != nil {
			t.Fatal(keys, err)
		}
		first := s.mustAddWebKey(t, here, action.WebKeys.None)
		if again := s.mustAddWebKey(t, here, action.WebKeys.None); len(first) != 1 || !slices.Equal(kids(first), kids(again)) || len(told) != 1 {
			t.Errorf("%v, then %v, and %d changes", kids(first), kids(again), len(told))
		}
		if other, err := s.WebKeys(ctx, "there", nil); other != nil || err != nil {
			t.Errorf("another instance has %v, %v", kids(other), err)
		}
		read, err := s.WebKeys(ctx, here, nil)
		if err != nil || !slices.Equal(kids(first), kids(read)) {
			t.Fatal(kids(read), err)
		}
		k := read[0]
		if public, ok := k.Public.(*rsa.PublicKey); !ok || public.N.BitLen() != 2048 || k.Algorithm != "RS256" || k.Err != nil || !k.Private.Signer().(*rsa.PrivateKey).PublicKey.Equal(public) {
			t.Errorf("the key is %+v", k)
		}
		if known, err := s.WebKeys(ctx, here, read); err != nil || known[0].Private.Signer() != k.Private.Signer() {
			t.Errorf("what is known was opened again: %v", err)
		}
		if err := s.RotateOldWebKeys(ctx); err != nil || len(told) != 1 {
			t.Errorf("%v, %d changes", err, len(told))
		}

		s.ageWebKeys(t)
		if err := s.RotateOldWebKeys(ctx); err != nil || len(told) != 2 {
			t.Errorf("%v, %d changes", err, len(told))
		}
		rotated := s.mustAddWebKey(t, here, action.WebKeys.Settled) // one waits already
		if len(rotated) != 2 || rotated[0].ID != k.ID || !rotated[1].Signs.Equal(now().Add(action.WebKeyAhead)) || !rotated[0].Ends.Equal(rotated[1].Signs.Add(action.WebKeyKept)) {
			t.Errorf("rotated: %+v", rotated)
		}
		if err := s.RotateOldWebKeys(ctx); err != nil || len(told) != 2 {
			t.Errorf("rotated again: %v, %d changes", err, len(told))
		}
		time.Sleep(action.WebKeyAhead + action.WebKeyKept)
		last := s.mustAddWebKey(t, here, action.WebKeys.Settled)
		if len(last) != 2 || last[0].ID != rotated[1].ID {
			t.Errorf("after the first one's end there are %v", kids(last))
		}
		if read, err := s.WebKeys(ctx, here, nil); err != nil || !slices.Equal(kids(read), kids(last)) {
			t.Errorf("stored are %v, %v", kids(read), err)
		}
	})
}

// ageWebKeys makes the only key as old as keys become: months of virtual time take their seconds.
func (s *Store) ageWebKeys(t *testing.T) {
	t.Helper()
	snapshot, err := s.webKeys(here).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := decodeWebKeys(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	doc.Keys[0].Signs, doc.Due = now().Add(-action.WebKeyAge), now()
	if _, err := s.webKeys(here).Set(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
}

// TestWebKeysAtRest: nothing of a private key is in the clear, a foreign seal key opens none, and a sealed key opens in its own place alone.
func TestWebKeysAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, nil), t.Context()
		keys := s.mustAddWebKey(t, here, action.WebKeys.None)
		snapshot, err := s.webKeys(here).Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := decodeWebKeys(snapshot)
		if err != nil || strings.Count(doc.Keys[0].Sealed, ".") != 4 {
			t.Fatalf("%+v, %v", doc, err)
		}
		foreign := *s
		foreign.sealer, err = seal.New(seal.NewKey("k2"))
		if err != nil {
			t.Fatal(err)
		}
		read, err := foreign.WebKeys(ctx, here, nil)
		if err != nil || len(read) != 1 || read[0].Err == nil || read[0].Private.Signer() != nil || read[0].Public == nil {
			t.Errorf("with another seal key: %+v, %v", read, err)
		}
		// Whoever can write documents, and not seal, gains nothing by moving or exchanging keys.
		if _, err := s.webKeys("there").Set(ctx, doc); err != nil {
			t.Fatal(err)
		}
		if moved, err := s.WebKeys(ctx, "there", nil); err != nil || moved[0].Err == nil {
			t.Errorf("moved to another instance: %v", err)
		}
		second, err := action.NewWebKey(now())
		if err != nil {
			t.Fatal(err)
		}
		exchanged, err := s.encodeWebKey(here, second)
		if err != nil {
			t.Fatal(err)
		}
		doc.Keys[0].Public = exchanged.Public
		if _, err := s.webKeys(here).Set(ctx, doc); err != nil {
			t.Fatal(err)
		}
		if read, err := s.WebKeys(ctx, here, nil); err != nil || read[0].Err == nil || read[0].ID != keys[0].ID {
			t.Errorf("with another public part: %v", err)
		}
		doc.Keys[0].Public = []byte("x")
		if _, err := s.webKeys(here).Set(ctx, doc); err != nil {
			t.Fatal(err)
		}
		if _, err := s.WebKeys(ctx, here, nil); !errs.Is(err, errs.Internal) {
			t.Errorf("with a public part that is none: %v", err)
		}
	})
}

// TestWebKeysAtOnce: many that rotate at once, on a database that loses commits and answers, publish one key.
func TestWebKeysAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("makes many keys")
	}
	for round := range 3 {
		synctest.Test(t, func(t *testing.T) {
			s := open(t, hostile(round))
			for _, want := range []func(action.WebKeys, time.Time) bool{action.WebKeys.None, action.WebKeys.Settled} {
				before := stubborn(t, s)
				said := atOnce(3, func(int) error {
					_, err := s.AddWebKey(t.Context(), here, want)
					return err
				})
				for _, err := range said {
					if err != nil && !errs.Is(err, errs.Unavailable) {
						t.Errorf("round %d: %v", round, err)
					}
				}
				after := stubborn(t, s)
				if added := len(after) - len(before); added > 1 || added == 0 && !slices.ContainsFunc(said, func(err error) bool { return err != nil }) {
					t.Errorf("round %d: %d keys were added by %v", round, added, said)
				}
				if len(after) == 2 && (after[0].Ends.IsZero() || !after[1].Ends.IsZero()) {
					t.Errorf("round %d: the keys are %+v", round, after)
				}
			}
		})
	}
}

// stubborn reads until the database answers.
func stubborn(t *testing.T, s *Store) action.WebKeys {
	t.Helper()
	for {
		keys, err := s.WebKeys(context.WithoutCancel(t.Context()), here, nil)
		if err == nil {
			return keys
		}
		if !errs.Is(err, errs.Unavailable) {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}
