package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/hook"
)

// answering is an engine whose functions' targets ask for something.
type answering struct {
	answer *calloutv1.FunctionAnswer
	err    error
	got    *calloutv1.FunctionHook
}

func (a *answering) Invoke(_ context.Context, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	a.got = r.GetFunction()
	return &calloutv1.InvokeResponse{Message: &calloutv1.InvokeResponse_Function{Function: a.answer}}, a.err
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func TestClaims(t *testing.T) {
	e := &answering{answer: &calloutv1.FunctionAnswer{
		AppendClaims: []*calloutv1.Claim{
			{Key: "tier", ValueJson: `{"n":12345678901234567890}`}, {Key: "sub", ValueJson: `"other"`}, {Key: "tier", ValueJson: `2`},
			{Key: "urn:zitadel:iam:org:project:roles", ValueJson: `{"IAM_OWNER":{}}`}, {Key: "urn:zitadel:iam", ValueJson: `1`},
		},
		SetUserMetadata: []*calloutv1.UserMetadata{{Key: "plan", Value: []byte("gold")}, {Key: "bad", Value: nil}},
		AppendLogClaims: []string{"looked up tier"},
	}}
	answer, err := (&hook.Host{Engine: e}).Function(t.Context(), "preaccesstoken", map[string]any{"user": map[string]any{"id": "404"}})
	if err != nil || e.got.GetName() != "preaccesstoken" || e.got.GetPayloadJson() != `{"user":{"id":"404"}}` {
		t.Fatal(e.got, err)
	}
	set := map[string]string{}
	before := map[string]any{"sub": "404"}
	got := answer.Claims(t.Context(), before, func(_ context.Context, key string, value []byte) error {
		if key == "bad" {
			return errors.New("broken")
		}
		set[key] = string(value)
		return nil
	})
	text, err := json.Marshal(got)
	const want = `{"sub":"404","tier":{"n":12345678901234567890},"urn:zitadel:iam:action:function/preaccesstoken:log":["failed to set user metadata key \"bad\"","key \"sub\" already exists","key \"tier\" already exists","looked up tier"]}`
	if err != nil || string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if diff := cmp.Diff(map[string]string{"plan": "gold"}, set); diff != "" || len(before) != 1 {
		t.Error(diff, before)
	}
}

func TestAttributes(t *testing.T) {
	e := &answering{answer: &calloutv1.FunctionAnswer{
		AppendAttribute: []*calloutv1.SAMLAttribute{
			{Name: "tier", NameFormat: "basic", Value: []string{"gold"}}, {Name: "Email", Value: []string{"new"}}, {Name: "urn:zitadel:iam:x", Value: []string{"y"}},
		},
		SetUserMetadata: []*calloutv1.UserMetadata{{Key: "seen"}},
		AppendLogClaims: []string{"done"},
	}}
	answer, err := (&hook.Host{Engine: e}).Function(t.Context(), "presamlresponse", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	before := []hook.Attribute{{Name: "Email", Value: []string{"old"}}}
	want := []hook.Attribute{
		{Name: "Email", Value: []string{"new"}}, {Name: "tier", NameFormat: "basic", Value: []string{"gold"}},
		{Name: "urn:zitadel:iam:action:function/presamlresponse:log", Value: []string{"done"}},
	}
	if diff := cmp.Diff(want, answer.Attributes(t.Context(), before, nil)); diff != "" || before[0].Value[0] != "old" {
		t.Error(diff, before)
	}
}

// TestFunctionsThatAskForNothing: no execution, or an engine that cannot be asked and a host that goes on then.
func TestFunctionsThatAskForNothing(t *testing.T) {
	for name, e := range map[string]*answering{"nothing": {}, "fail open": {err: connect.NewError(connect.CodeUnavailable, errors.New("away"))}} {
		answer, err := (&hook.Host{Engine: e, FailOpen: true}).Function(t.Context(), "f", nil)
		if err != nil {
			t.Fatal(err)
		}
		claims := answer.Claims(t.Context(), nil, nil)
		if attributes := answer.Attributes(t.Context(), nil, nil); len(claims)+len(attributes) != 0 {
			t.Errorf("%s: %v %v", name, claims, attributes)
		}
	}
	e := &answering{err: connect.NewError(connect.CodeUnavailable, errors.New("away"))}
	if _, err := (&hook.Host{Engine: e}).Function(t.Context(), "f", nil); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Error(err)
	}
	if _, err := (&hook.Host{Engine: e}).Function(t.Context(), "f", func() {}); err == nil {
		t.Error("a payload that is no JSON is taken")
	}
}
