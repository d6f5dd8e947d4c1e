package deliveries

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
)

var (
	start = time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	place = ledger.Position{Created: start, ID: action.DeliveryOf("event", "target")}
)

func TestTokenComesBack(t *testing.T) {
	f := action.DeliveryFilter{States: []action.State{action.Dead, action.Pending}, Target: "t", EventType: "a.b", From: start, To: start.Add(1e9), Held: new(true), Text: "x"}
	token := encodeToken("i", f, place)
	got, err := decodeToken("i", f, token)
	if err != nil || got != place {
		t.Errorf("got %+v, %v", got, err)
	}
	f.States = []action.State{action.Pending, action.Dead, action.Dead}
	f.From = f.From.In(time.FixedZone("somewhere", 3600))
	if _, err := decodeToken("i", f, token); err != nil {
		t.Errorf("the same filter in other words: %v", err)
	}
	if got, err := decodeToken("i", f, ""); err != nil || got != (ledger.Position{}) {
		t.Errorf("the beginning is %+v, %v", got, err)
	}
}

func TestTokenIsOfOneFilter(t *testing.T) {
	f := action.DeliveryFilter{Target: "t", Text: "x"}
	token := encodeToken("i", f, place)
	changes := map[string]func(*action.DeliveryFilter){
		"a state":             func(f *action.DeliveryFilter) { f.States = []action.State{action.Dead} },
		"the target":          func(f *action.DeliveryFilter) { f.Target = "u" },
		"the type":            func(f *action.DeliveryFilter) { f.EventType = "a" },
		"a beginning":         func(f *action.DeliveryFilter) { f.From = time.UnixMicro(0) },
		"an end":              func(f *action.DeliveryFilter) { f.To = time.UnixMicro(0) },
		"held":                func(f *action.DeliveryFilter) { f.Held = new(false) },
		"the text":            func(f *action.DeliveryFilter) { f.Text = "" },
		"a border that moved": func(f *action.DeliveryFilter) { f.Target, f.EventType = "", "t" },
	}
	for name, change := range changes {
		other := f
		change(&other)
		if _, err := decodeToken("i", other, token); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("with %s changed: %v", name, err)
		}
	}
	if _, err := decodeToken("j", f, token); !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("on another instance: %v", err)
	}
}

// FuzzToken: what was not given is refused, in every character, and what is taken is exactly what would be given.
func FuzzToken(f *testing.F) {
	filter := action.DeliveryFilter{Target: "t"}
	good := encodeToken("i", filter, place)
	f.Add(good)
	f.Add("")
	f.Add(good[:len(good)-1])
	f.Add(good + "A")
	f.Add(strings.ToLower(good))
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, tokenLength)))
	for i := range good {
		for _, c := range []byte("A_9z") {
			if c != good[i] {
				f.Add(good[:i] + string(c) + good[i+1:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := decodeToken("i", filter, token)
		switch {
		case err != nil && !errs.Is(err, errs.InvalidArgument):
			t.Errorf("%q: %v", token, err)
		case err == nil && token != "" && encodeToken("i", filter, got) != token:
			t.Errorf("%q is taken for %+v", token, got)
		case err == nil && token != "" && token != good && got == place:
			t.Errorf("%q is taken for another token", token)
		}
	})
}
