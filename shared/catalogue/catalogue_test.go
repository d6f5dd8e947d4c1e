package catalogue_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/catalogue"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// hosts is a database of one instance.
type hosts struct {
	all   []action.HostNames
	err   error
	reads int
	types map[action.HostVersion][]byte
	// during runs while a read is under way, after it has seen what there is.
	during func()
}

func (h *hosts) HostNames(_ context.Context, instance action.InstanceID, _ []action.HostNames) ([]action.HostNames, error) {
	h.reads++
	all := slices.Clone(h.all)
	if during := h.during; during != nil {
		h.during = nil
		during()
	}
	if instance != here {
		return nil, h.err
	}
	return all, h.err
}

func (h *hosts) HostTypes(_ context.Context, _ action.InstanceID, v action.HostVersion) ([]byte, error) {
	if set, ok := h.types[v]; ok {
		return set, nil
	}
	return nil, errs.New(errs.NotFound, "", "replaced")
}

const here action.InstanceID = "here"

func host(version string, functions ...string) action.HostNames {
	return action.HostNames{HostVersion: action.HostVersion{Host: "h", Version: version}, Names: action.Names{Functions: functions}}
}

func inBubble(t *testing.T, test func(t *testing.T, h *hosts, k *catalogue.Keeper)) {
	synctest.Test(t, func(t *testing.T) {
		h := &hosts{types: map[action.HostVersion][]byte{}}
		test(t, h, catalogue.New(h, action.Namespaces, logging.Discard()))
	})
}

// knows says whether a function is known.
func knows(t *testing.T, k *catalogue.Keeper, instance action.InstanceID, function string) bool {
	t.Helper()
	view, err := k.Of(t.Context(), instance)
	if err != nil {
		t.Fatal(err)
	}
	return view.Check(action.Condition{Kind: action.Function, Scope: action.Exact, Name: function}) == nil
}

func TestChangeElsewhereIsSeenInTwoSeconds(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hosts, k *catalogue.Keeper) {
		h.all = []action.HostNames{host("1", "f")}
		for range 10 {
			if !knows(t, k, here, "f") || knows(t, k, here, "g") || !knows(t, k, here, "preuserinfo") || knows(t, k, "there", "f") {
				t.Fatal("wrong names")
			}
		}
		if h.reads != 2 {
			t.Errorf("two instances were read %d times", h.reads)
		}
		h.all = []action.HostNames{host("2", "g")}
		time.Sleep(2 * time.Second)
		if knows(t, k, here, "f") || !knows(t, k, here, "g") {
			t.Error("two seconds later the former names hold")
		}
	})
}

func TestOwnChangeIsSeenAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hosts, k *catalogue.Keeper) {
		written := action.Change{Instance: here, Kind: action.ChangeCatalogue, ID: "h"}
		if knows(t, k, here, "f") {
			t.Fatal("known too early")
		}
		h.all = []action.HostNames{host("1", "f")}
		k.Forget(action.Change{Instance: here, Kind: action.ChangeTarget, ID: "h"}, action.Change{Instance: "there", Kind: action.ChangeCatalogue})
		if knows(t, k, here, "f") {
			t.Error("other changes made it look")
		}
		k.Forget(written)
		if !knows(t, k, here, "f") {
			t.Error("not seen")
		}
		time.Sleep(time.Second)
		h.during = func() { // the commit comes while what was before it is being read
			h.all = []action.HostNames{host("2", "g")}
			k.Forget(written)
		}
		knows(t, k, here, "g")
		if !knows(t, k, here, "g") {
			t.Error("a read that began before the commit hides it")
		}
	})
}

func TestKnownNamesHoldWhileTheDatabaseFails(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hosts, k *catalogue.Keeper) {
		h.err = errors.New("down")
		if _, err := k.Of(t.Context(), here); !errors.Is(err, h.err) {
			t.Errorf("nothing known: %v", err)
		}
		h.all, h.err = []action.HostNames{host("1", "f")}, nil
		if !knows(t, k, here, "f") {
			t.Fatal("not read")
		}
		h.err = errors.New("down again")
		time.Sleep(time.Hour)
		before := h.reads
		for range 10 {
			if !knows(t, k, here, "f") {
				t.Error("forgotten")
			}
		}
		if h.reads != before+1 {
			t.Errorf("a failing database is asked %d times at once", h.reads-before)
		}
		h.all, h.err = nil, nil
		time.Sleep(time.Second)
		if knows(t, k, here, "f") {
			t.Error("not read again")
		}
	})
}

func TestTypesOfAMethod(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hosts, k *catalogue.Keeper) {
		plain := action.HostNames{HostVersion: action.HostVersion{Host: "a", Version: "1"}, Names: action.Names{Methods: []string{"/a.A/M", "/b.B/M"}}}
		typed := action.HostNames{HostVersion: action.HostVersion{Host: "b", Version: "1"}, Names: action.Names{Methods: []string{"/a.A/M", "/c.C/M"}}, Described: []string{"a.A"}}
		h.all = []action.HostNames{plain, typed}
		h.types[typed.HostVersion] = []byte("first")
		for method, want := range map[string]bool{"/a.A/M": true, "/a.A/N": false, "/b.B/M": false, "/c.C/M": false, "/zitadel.action.v2.ActionService/CreateTarget": false, "": false} {
			host, ok, err := k.Describer(t.Context(), here, method)
			if ok != want || ok && host != typed.HostVersion || err != nil {
				t.Errorf("%s: %v %t, %v", method, host, ok, err)
			}
		}
		if set, err := k.Types(t.Context(), here, typed.HostVersion); string(set) != "first" || err != nil {
			t.Errorf("%q, %v", set, err)
		}
		old := typed.HostVersion
		delete(h.types, old) // replaced meanwhile
		typed.Version = "2"
		h.all, h.types[typed.HostVersion] = []action.HostNames{plain, typed}, []byte("second")
		if _, err := k.Types(t.Context(), here, old); !errs.Is(err, errs.NotFound) {
			t.Errorf("types that were replaced: %v", err)
		}
		if host, _, err := k.Describer(t.Context(), here, "/a.A/M"); host != typed.HostVersion || err != nil {
			t.Errorf("after it was replaced: %v, %v", host, err)
		}
	})
}
