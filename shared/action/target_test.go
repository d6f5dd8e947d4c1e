package action_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func goodTarget() action.Target {
	return action.Target{ID: "t1", Name: "n", Type: action.Webhook, Timeout: time.Second, Endpoint: "https://example.org/hook",
		SigningKeys: []action.SigningKey{{Value: "first"}}}
}

func TestValidateTarget(t *testing.T) {
	tests := []struct {
		name string
		edit func(*action.Target)
		id   string
	}{
		{"a good one", func(*action.Target) {}, ""},
		{"no name is found first", func(x *action.Target) { *x = action.Target{} }, "COMMAND-ddqbm9us5p"},
		{"no timeout before no URL", func(x *action.Target) { x.Timeout, x.Endpoint = 0, "" }, "COMMAND-39f35d8uri"},
		{"a negative timeout", func(x *action.Target) { x.Timeout = -1 }, "COMMAND-39f35d8uri"},
		{"no URL", func(x *action.Target) { x.Endpoint = "" }, "COMMAND-1r2k6qo6wg"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := goodTarget()
			tt.edit(&target)
			kind := errs.InvalidArgument
			if tt.id == "" {
				kind = ""
			}
			wantError(t, target.Validate(), kind, tt.id)
		})
	}
}

func TestParseEndpoint(t *testing.T) {
	good := []string{"http://a", "https://a:443/x?y=z#f", "HTTPS://EXAMPLE.org", "http://[::1]:8080/", "http://127.0.0.1:1", "http://a:", "http://a:65535", "https://bücher.example/"}
	for _, e := range good {
		if u, err := action.ParseEndpoint(e); err != nil || u.Hostname() == "" {
			t.Errorf("%s: %v, %v", e, u, err)
		}
	}
	bad := []string{"", "a", "/x", "//a/x", "ftp://a", "file:///etc/passwd", "http:", "http://", "http:///x", "http://:80", "http:a", "https://u@a", "https://u:p@a",
		"https://@a", "http://a:0", "http://a:65536", "http://a:http", "http://a b", "http://a\n", "http://[::1", "http://%zz", "javascript:alert(1)", "gopher://a", "unix:///x"}
	for _, e := range bad {
		u, err := action.ParseEndpoint(e)
		if !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%q: got %v, %v", e, u, err)
		}
	}
	if _, err := action.ParseEndpoint("https://user:hunter2@a"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestApplyChange(t *testing.T) {
	now := minute(0)
	failing := func() (action.Secret, error) { return "", errors.New("no key") }
	name, empty, endpoint, bad := "m", "", "https://example.org/other", "ftp://a"
	timeout, none := 2*time.Second, time.Duration(0)
	tests := []struct {
		name    string
		change  action.TargetChange
		want    func(*action.Target)
		changed bool
		id      string
	}{
		{name: "nothing", want: func(*action.Target) {}},
		{name: "the same again", change: action.TargetChange{Type: &action.TargetTypeChange{Type: action.Webhook}}, want: func(*action.Target) {}},
		{name: "the name", change: action.TargetChange{Name: &name}, want: func(x *action.Target) { x.Name = "m" }, changed: true},
		{name: "the type", change: action.TargetChange{Type: &action.TargetTypeChange{Type: action.Call, InterruptOnError: true}},
			want: func(x *action.Target) { x.Type, x.InterruptOnError = action.Call, true }, changed: true},
		{name: "only the interruption", change: action.TargetChange{Type: &action.TargetTypeChange{Type: action.Webhook, InterruptOnError: true}},
			want: func(x *action.Target) { x.InterruptOnError = true }, changed: true},
		{name: "the timeout", change: action.TargetChange{Timeout: &timeout}, want: func(x *action.Target) { x.Timeout = timeout }, changed: true},
		{name: "the endpoint", change: action.TargetChange{Endpoint: &endpoint}, want: func(x *action.Target) { x.Endpoint = endpoint }, changed: true},
		{name: "the payload type", change: action.TargetChange{PayloadType: action.PayloadJSON}, want: func(x *action.Target) { x.PayloadType = action.PayloadJSON }, changed: true},
		{name: "an empty name", change: action.TargetChange{Name: &empty}, id: "COMMAND-d1wx4lm0zr"},
		{name: "no timeout", change: action.TargetChange{Timeout: &none}, id: "COMMAND-08b39vdi57"},
		{name: "a bad URL", change: action.TargetChange{Endpoint: &bad}, id: "COMMAND-jsbaera7b6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			old := goodTarget()
			got, changed, err := tt.change.Apply(old, now, failing)
			if tt.id != "" {
				wantError(t, err, errs.InvalidArgument, tt.id)
				tt.want = func(*action.Target) {}
			} else if err != nil {
				t.Fatal(err)
			}
			want := goodTarget()
			tt.want(&want)
			if diff := cmp.Diff(want, got); diff != "" || changed != tt.changed {
				t.Errorf("changed %v (-want +got):\n%s", changed, diff)
			}
			if diff := cmp.Diff(goodTarget(), old); diff != "" {
				t.Errorf("the old one was touched:\n%s", diff)
			}
		})
	}
	if _, changed, err := (action.TargetChange{RotateKey: &none}).Apply(goodTarget(), now, failing); err == nil || changed {
		t.Error("rotated without a key")
	}
}

func TestRotation(t *testing.T) {
	now := minute(0)
	key := func(k action.Secret) func() (action.Secret, error) {
		return func() (action.Secret, error) { return k, nil }
	}
	rotate := func(target action.Target, at time.Time, overlap time.Duration, k action.Secret) action.Target {
		t.Helper()
		got, changed, err := action.TargetChange{RotateKey: &overlap}.Apply(target, at, key(k))
		if err != nil || !changed {
			t.Fatalf("changed %v, %v", changed, err)
		}
		return got
	}
	at := rotate(goodTarget(), now, 0, "second")
	if diff := cmp.Diff([]action.SigningKey{{Value: "second"}}, at.SigningKeys); diff != "" {
		t.Errorf("without overlap (-want +got):\n%s", diff)
	}
	slow := rotate(goodTarget(), now, time.Hour, "second")
	if diff := cmp.Diff([]action.SigningKey{{Value: "second"}, {Value: "first", Expires: now.Add(time.Hour)}}, slow.SigningKeys); diff != "" {
		t.Errorf("with overlap (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]action.Secret{"second", "first"}, slow.KeysAt(now.Add(time.Hour-1))); diff != "" {
		t.Errorf("during overlap (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]action.Secret{"second"}, slow.KeysAt(now.Add(time.Hour))); diff != "" {
		t.Errorf("after overlap (-want +got):\n%s", diff)
	}
	longer := rotate(slow, now.Add(time.Minute), 100*time.Hour, "third")
	want := []action.SigningKey{{Value: "third"}, {Value: "second", Expires: now.Add(100*time.Hour + time.Minute)}, {Value: "first", Expires: now.Add(time.Hour)}}
	if diff := cmp.Diff(want, longer.SigningKeys); diff != "" {
		t.Errorf("an earlier end stays (-want +got):\n%s", diff)
	}
	if all := rotate(longer, now.Add(2*time.Minute), 0, "fourth"); len(all.SigningKeys) != 1 {
		t.Errorf("a rotation without overlap leaves %d keys", len(all.SigningKeys))
	}
	if (action.Target{}).SigningKey() != "" || slow.SigningKey() != "second" {
		t.Error("the current key is the first one")
	}
}

func TestSecretHides(t *testing.T) {
	target := goodTarget()
	target.SigningKeys[0].Value = "hunter2"
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", target.SigningKey(), "target", target)
	encoded, err := json.Marshal(target)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(target), fmt.Sprintf("%v %+v %#v %s %q", target, target, target, target.SigningKey(), target.SigningKey()), string(encoded), log.String()} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "[hidden]") {
			t.Errorf("shown in %s", text)
		}
	}
	if string(target.SigningKey()) != "hunter2" {
		t.Error("string does not tell it")
	}
}

func TestNewSigningKey(t *testing.T) {
	letters := regexp.MustCompile(`^[a-zA-Z0-9]{36}$`)
	seen := map[action.Secret]bool{}
	for range 50 {
		k, err := action.NewSigningKey()
		if err != nil || !letters.MatchString(string(k)) || seen[k] {
			t.Fatalf("made %q, %v", string(k), err)
		}
		seen[k] = true
	}
}

func TestStatesAndAttempts(t *testing.T) {
	for s, final := range map[action.State]bool{action.Pending: false, action.Retrying: false, action.Delivered: true, action.Dead: true, action.Skipped: true} {
		if s.Final() != final {
			t.Errorf("%s: final %v", s, !final)
		}
	}
	if n := (action.Delivery{}).Tried(); n != 0 {
		t.Errorf("tried %d", n)
	}
	if n := (action.Delivery{Attempts: []action.Attempt{{Number: 30}, {Number: 31}}}).Tried(); n != 31 {
		t.Errorf("tried %d", n)
	}
}

// Each key adds a signature to three headers, and receivers bound headers: rotation stops before that hurts, and 0s always works.
func TestOverlappingKeysAreBounded(t *testing.T) {
	n := 0
	newKey := func() (action.Secret, error) { n++; return action.Secret(strings.Repeat("k", n)), nil }
	target := action.Target{Name: "t", Timeout: time.Second, Endpoint: "https://example.com/", SigningKeys: []action.SigningKey{{Value: "first"}}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	week, zero := action.MaxKeyOverlap, time.Duration(0)
	for len(target.SigningKeys) < action.MaxSigningKeys {
		var err error
		if target, _, err = (action.TargetChange{RotateKey: &week}).Apply(target, now, newKey); err != nil {
			t.Fatal(err)
		}
	}
	if same, changed, err := (action.TargetChange{RotateKey: &week}).Apply(target, now, newKey); !errs.Is(err, errs.FailedPrecondition) || changed || len(same.SigningKeys) != action.MaxSigningKeys {
		t.Errorf("one more: %d keys, %v", len(same.SigningKeys), err)
	}
	ended, _, err := (action.TargetChange{RotateKey: &zero}).Apply(target, now, newKey)
	if err != nil || len(ended.SigningKeys) != 1 {
		t.Errorf("0s: %d keys, %v", len(ended.SigningKeys), err)
	}
}
