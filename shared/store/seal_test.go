package store

import (
	"testing"
	"testing/synctest"

	"cloud.google.com/go/firestore"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// TestSealedValuesStayWhereTheyAre: one that was copied to another target or instance does not open there.
func TestSealedValuesStayWhereTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ctx := open(t, nil), t.Context()
		s.mustCreate(t, "t")
		s.mustCreate(t, "u")
		if _, err := s.CreateTarget(ctx, "there", newTarget("t")); err != nil {
			t.Fatal(err)
		}
		snapshot, err := s.target(here, "t").Get(ctx)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := snapshot.DataAt("signingKeys")
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []struct {
			instance action.InstanceID
			id       action.TargetID
		}{{here, "u"}, {"there", "t"}} {
			if _, err := s.target(to.instance, to.id).Update(ctx, []firestore.Update{{Path: "signingKeys", Value: sealed}}); err != nil {
				t.Fatal(err)
			}
			got, err := s.Target(ctx, to.instance, to.id)
			wantKeyError(t, err)
			if got.SigningKey() != "" {
				t.Errorf("%s/%s has the key of another one", to.instance, to.id)
			}
			_, _, err = s.ListTargets(ctx, to.instance, action.TargetQuery{Page: action.Page{Limit: 1}})
			wantKeyError(t, err)
		}
		if got, err := s.Target(ctx, here, "t"); err != nil || got.SigningKey() != "secret" {
			t.Errorf("where it belongs: %v", err)
		}
	})
}

func wantKeyError(t *testing.T, err error) {
	t.Helper()
	if e, ok := errs.As(err); !ok || e.Kind != errs.Internal || e.ID != errKey.ID {
		t.Errorf("got %v, want %v", err, errKey)
	}
}
