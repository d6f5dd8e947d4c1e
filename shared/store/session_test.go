package store

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/seal"
)

func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		ends := time.Now().Add(time.Hour)
		if err := s.PutSession(t.Context(), here, "reference", "a token", ends); err != nil {
			t.Fatal(err)
		}
		content, until, err := s.Session(t.Context(), here, "reference")
		if content != "a token" || !until.Equal(ends) || err != nil {
			t.Errorf("got %q until %v, %v", content, until, err)
		}
		gone := func(what, reference string) {
			t.Helper()
			if content, _, err := s.Session(t.Context(), here, reference); !errs.Is(err, errs.NotFound) {
				t.Errorf("%s: got %q, %v", what, content, err)
			}
		}
		gone("another reference", "referenc")
		gone("none", "")
		if content, _, err := s.Session(t.Context(), "elsewhere", "reference"); !errs.Is(err, errs.NotFound) {
			t.Errorf("another instance: got %q, %v", content, err)
		}

		// What is stored gives away neither the token nor the reference, and is good for nothing elsewhere.
		all, err := s.collection(here, sessions).Documents(t.Context()).GetAll()
		if err != nil || len(all) != 1 {
			t.Fatal(len(all), err)
		}
		if stored := fmt.Sprint(all[0].Ref.Path, all[0].Data()); strings.Contains(stored, "token") || strings.Contains(stored, "reference") {
			t.Errorf("stored: %s", stored)
		}
		if _, err := s.session(here, "thief").Set(t.Context(), all[0].Data()); err != nil {
			t.Fatal(err)
		}
		gone("a copy under another name", "thief")

		if err := s.ReplaceSession(t.Context(), here, "reference", "a fresh token"); err != nil {
			t.Fatal(err)
		}
		content, until, err = s.Session(t.Context(), here, "reference")
		if content != "a fresh token" || !until.Equal(ends) || err != nil {
			t.Errorf("replaced: got %q until %v, %v", content, until, err)
		}

		time.Sleep(time.Hour)
		gone("an expired one that is still there", "reference")
		if err := s.PutSession(t.Context(), here, "reference", "another", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.RemoveSession(t.Context(), here, "reference"); err != nil {
				t.Error(err)
			}
		}
		gone("a removed one", "reference")
		if err := s.ReplaceSession(t.Context(), here, "reference", "a fresh token"); !errs.Is(err, errs.NotFound) {
			t.Errorf("replace a removed one: %v", err)
		}
		gone("a removed one that was to be replaced", "reference")
	})
}

func TestSessionOfALostKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil)
		if err := s.PutSession(t.Context(), here, "reference", "a token", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		s.sealer, _ = seal.New(seal.NewKey("k2"))
		if _, _, err := s.Session(t.Context(), here, "reference"); !errs.Is(err, errs.NotFound) {
			t.Errorf("got %v", err)
		}
	})
}
