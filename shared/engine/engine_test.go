package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/errs"
)

// TestWhatTargetsReceive: the frames of actions-v2.md section 6, the message in them byte for byte.
func TestWhatTargetsReceive(t *testing.T) {
	const odd = `{ "big":123456789012345678901234567890.10, "b":1,"a":2,  "text":"\u003cü ✓<&>" }`
	headers := map[string][]string{
		"content-type": {"application/grpc"}, "X-Forwarded-For": {"203.0.113.7", "198.51.100.1"}, "Host": {"id.example.org"}, "Origin": nil,
		"Authorization": {"Bearer s3cret"}, "Cookie": {"s3cret"}, "User-Agent": {"x"}, "X-Tenant": {"t"},
	}
	full := request(odd)
	full.ProjectID, full.Headers = "p", headers
	answered := full
	answered.Kind, answered.Response = action.Response, json.RawMessage(odd)
	bare := engine.Hook{Kind: action.Request, FullMethod: "/a.A/\"M", Request: json.RawMessage("[]")}
	const shown = `"headers":{"Content-Type":["application/grpc"],"Host":["id.example.org"],"X-Forwarded-For":["203.0.113.7","198.51.100.1"]}}`
	tests := []struct {
		name string
		hook engine.Hook
		want string
	}{
		{"6.1 a request", full, `{"fullMethod":"/a.A/M","instanceID":"here","orgID":"o","projectID":"p","userID":"u","request":` + odd + `,` + shown},
		{"6.1 a request of which little is known", bare, `{"fullMethod":"/a.A/\"M","request":[]}`},
		{"6.2 a response", answered, `{"fullMethod":"/a.A/M","instanceID":"here","orgID":"o","projectID":"p","userID":"u","request":` + odd + `,"response":` + odd + `,` + shown},
		{"6.4 a function", function(" {\"user\": {\"id\":\"404\"} } "), `{"function":"function/preaccesstoken","user": {"id":"404"},"response":{}}`},
		{"6.4 a function without a payload", function("{ }"), `{"function":"function/preaccesstoken","response":{}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				s.target(action.Webhook, true, says(200, ""))
				result, err := s.engine.Run(t.Context(), tt.hook)
				if err != nil {
					t.Fatal(err)
				}
				if len(s.sent()) != 1 || s.sent()[0] != tt.want || !json.Valid([]byte(s.sent()[0])) {
					t.Errorf("got  %s\nwant %s", s.sent(), tt.want)
				}
				if m := tt.hook.Request; tt.hook.Kind == action.Request && string(result.Message) != string(m) {
					t.Errorf("the message became %s", result.Message)
				}
			})
		})
	}
}

// TestNothingMatches: the very same bytes come back, and nothing is called.
func TestNothingMatches(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		for _, h := range []engine.Hook{request(`{ "a" : 1e400 }`), response(`[ ]`), function(`{}`)} {
			result, err := s.engine.Run(t.Context(), h)
			want := engine.Result{Message: map[action.Kind]json.RawMessage{action.Request: h.Request, action.Response: h.Response}[h.Kind]}
			if diff := cmp.Diff(want, result); diff != "" || err != nil {
				t.Errorf("%s: %v %s", h.Kind, err, diff)
			}
		}
		s.routes.err = errs.New(errs.Unavailable, "", "the database does not answer")
		if _, err := s.engine.Run(t.Context(), request(`{}`)); !errs.Is(err, errs.Unavailable) {
			t.Error(err)
		}
	})
}

func TestMalformedHooks(t *testing.T) {
	large := `"` + strings.Repeat("x", engine.MaxMessage) + `"`
	with := func(h engine.Hook, change func(*engine.Hook)) engine.Hook { change(&h); return h }
	tests := []struct {
		name string
		hook engine.Hook
		want string
	}{
		{"of no kind", engine.Hook{}, "invalid_argument : there must be one of request, response and function"},
		{"of an event", engine.Hook{Kind: action.Event}, "invalid_argument : there must be one of request, response and function"},
		{"no method", with(request("{}"), func(h *engine.Hook) { h.FullMethod = "" }), "invalid_argument : fullMethod is required"},
		{"no method of a response", with(response("{}"), func(h *engine.Hook) { h.FullMethod = "" }), "invalid_argument : fullMethod is required"},
		{"a long user", with(request("{}"), func(h *engine.Hook) { h.UserID = large }), "invalid_argument : userID must be UTF-8 of at most 8192 bytes"},
		{"a method that is no text", with(request("{}"), func(h *engine.Hook) { h.FullMethod = "/\xff" }), "invalid_argument : fullMethod must be UTF-8 of at most 8192 bytes"},
		{"no message", request(""), "invalid_argument : request is required"},
		{"no JSON", request("{} {}"), "invalid_argument : request is not JSON in UTF-8"},
		{"no UTF-8", request("\"\xff\""), "invalid_argument : request is not JSON in UTF-8"},
		{"a large message", request(large), "too_large : request is larger than 1024 KiB"},
		{"a response without one", response(""), "invalid_argument : response is required"},
		{"a response without its request", with(response("{}"), func(h *engine.Hook) { h.Request = nil }), "invalid_argument : request is required"},
		{"a function without a name", with(function("{}"), func(h *engine.Hook) { h.Function = "" }), "invalid_argument : name is required"},
		{"a payload that is a list", function("[]"), "invalid_argument : payload must be an object"},
		{"a payload that is null", function("null"), "invalid_argument : payload must be an object"},
		{"a payload with a response", function(`{"response":{}}`), `invalid_argument : payload must not have "response": it is put in for each target`},
		{"a payload with a function", function(`{"\u0066unction":1}`), `invalid_argument : payload must not have "function": it is put in for each target`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				s.target(action.Call, true, says(200, ""))
				if _, err := s.engine.Run(t.Context(), tt.hook); told(err) != tt.want || len(s.sent()) > 0 {
					t.Errorf("%s, %d calls", told(err), len(s.sent()))
				}
			})
		})
	}
}

// TestChainCarriesChanges: each target gets what those before it left.
func TestChainCarriesChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.target(action.Call, true, says(200, ` {"a":1.0} `))
		s.target(action.Webhook, true, says(200, `{"a":"of a webhook"}`))
		s.target(action.Call, true, says(204, ""))
		s.target(action.Async, true, nil)
		s.target(action.Call, true, says(201, `{"a":2}`))
		result, err := s.engine.Run(t.Context(), request(`{"a":0}`))
		if err != nil {
			t.Fatal(err)
		}
		frame := func(m string) string {
			return `{"fullMethod":"/a.A/M","instanceID":"here","orgID":"o","userID":"u","request":` + m + `}`
		}
		if diff := cmp.Diff([]string{frame(`{"a":0}`), frame(`{"a":1.0}`), frame(`{"a":1.0}`), frame(`{"a":1.0}`)}, s.sent()); diff != "" {
			t.Error(diff)
		}
		if len(s.queued) != 1 || string(s.queued[0].Payload) != frame(`{"a":1.0}`) || s.queued[0].Hook != "request/a.A/M" || s.queued[0].Type != "hook.request" {
			t.Errorf("queued %+v", s.queued)
		}
		want := []engine.Called{
			{Target: "t0", Outcome: engine.Success, Status: 200}, {Target: "t1", Outcome: engine.Success, Status: 200}, {Target: "t2", Outcome: engine.Success, Status: 204},
			{Target: "t3", Outcome: engine.Queued}, {Target: "t4", Outcome: engine.Success, Status: 201},
		}
		if diff := cmp.Diff(want, result.Calls); diff != "" || string(result.Message) != `{"a":2}` || result.Execution != "request/a.A/M" {
			t.Errorf("%s, %s", result.Message, diff)
		}
	})
}

// TestFunctionsGatherAnswers: what one target asks for the next one sees, and nothing is asked for twice.
func TestFunctionsGatherAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.target(action.Call, true, says(200, `{"append_claims":[{"key":"tier","value":{"n":12345678901234567890}}],"append_log_claims":["one"],"else":1}`))
		s.target(action.Call, true, says(200, `{"append_claims":[{"key":"tier","value":{"n":12345678901234567890}},{"key":"x","value":null}],"set_user_metadata":[{"key":"plan","value":"Z29sZA=="}]}`))
		s.target(action.Call, true, says(200, ``))
		s.target(action.Call, true, says(200, `{"append_attribute":[{"name":"tier","name_format":"basic","value":["gold"]}]}`))
		result, err := s.engine.Run(t.Context(), function(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		const first = `{"append_claims":[{"key":"tier","value":{"n":12345678901234567890}}],"append_log_claims":["one"]}`
		const second = `{"set_user_metadata":[{"key":"plan","value":"Z29sZA=="}],"append_claims":[{"key":"tier","value":{"n":12345678901234567890}},{"key":"x","value":null}],"append_log_claims":["one"]}`
		frame := func(m string) string { return `{"function":"function/preaccesstoken","response":` + m + `}` }
		if diff := cmp.Diff([]string{frame(`{}`), frame(first), frame(second), frame(second)}, s.sent()); diff != "" {
			t.Error(diff)
		}
		want := engine.Answer{
			SetUserMetadata: []engine.Metadata{{Key: "plan", Value: []byte("gold")}}, AppendLogClaims: []string{"one"},
			AppendClaims:    []engine.Claim{{Key: "tier", Value: json.RawMessage(`{"n":12345678901234567890}`)}, {Key: "x", Value: json.RawMessage("null")}},
			AppendAttribute: []engine.Attribute{{Name: "tier", NameFormat: "basic", Value: []string{"gold"}}},
		}
		if diff := cmp.Diff(want, result.Answer); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRefusedAnswers change nothing, neither the message nor what was asked for.
func TestRefusedAnswers(t *testing.T) {
	const message, ours = "unknown EXEC-m3ssage001: Execution failed: the target's answer cannot be the message", "failed_precondition ACTION-4m9s2: Response is not valid JSON"
	const large = "unknown EXEC-t00large01: Execution failed: the target's answer is too large"
	many := `{"append_log_claims":["x"` + strings.Repeat(`,"x"`, 1000) + `]}`
	refused := func(h engine.Hook) engine.Hook {
		h.Check = func(json.RawMessage) error { return errBroken }
		return h
	}
	tests := []struct {
		name, answer string
		hook         engine.Hook
		want         string
	}{
		{"no JSON", `not`, request(`{}`), message},
		{"more than JSON", `{} {}`, request(`{}`), message},
		{"it would end the frame", `{}},"instanceID":"other"`, request(`{}`), message},
		{"no UTF-8", "{\"a\":\"\xff\"}", response(`{}`), message},
		{"a list for an object", `[]`, request(`{}`), message},
		{"null for an object", `null`, response(`{}`), message},
		{"the host knows better", `{}`, refused(request(`{}`)), message},
		{"larger than may be", `{"a":"` + strings.Repeat("x", engine.MaxMessage) + `"}`, request(`{}`), large},
		{"a function's is no JSON", `not`, function(`{}`), ours},
		{"a function's is a list", `[]`, function(`{}`), ours},
		{"a claim without a key", `{"append_claims":[{"value":1}]}`, function(`{}`), ours},
		{"a claim without a value", `{"append_claims":[{"key":"a"}]}`, function(`{}`), ours},
		{"metadata that is no base64", `{"set_user_metadata":[{"key":"a","value":"*"}]}`, function(`{}`), ours},
		{"metadata without a key", `{"set_user_metadata":[{"value":"MQ=="}]}`, function(`{}`), ours},
		{"an attribute whose value is a text", `{"append_attribute":[{"name":"a","value":"x"}]}`, function(`{}`), ours},
		{"an attribute without a name", `{"append_attribute":[{"value":["x"]}]}`, function(`{}`), ours},
		{"more than anybody asks for", many, function(`{}`), large},
	}
	for _, tt := range tests {
		for _, interrupts := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, interrupts %t", tt.name, interrupts), func(t *testing.T) {
				inBubble(t, func(t *testing.T, s *site) {
					s.target(action.Call, interrupts, says(200, tt.answer))
					s.target(action.Call, true, says(200, ``))
					result, err := s.engine.Run(t.Context(), tt.hook)
					want, calls := "", []engine.Called{{Target: "t0", Outcome: engine.Failed, Status: 200}}
					if interrupts {
						want = tt.want
					} else {
						calls = append(calls, engine.Called{Target: "t1", Outcome: engine.Success, Status: 200})
					}
					if told(err) != want {
						t.Errorf("told %q", told(err))
					}
					if diff := cmp.Diff(calls, result.Calls); diff != "" {
						t.Error(diff)
					}
					if tt.hook.Kind != action.Function && !bytes.Equal(result.Message, []byte(`{}`)) || !cmp.Equal(result.Answer, engine.Answer{}) {
						t.Errorf("changed to %s, %+v", result.Message, result.Answer)
					}
					if strings.Contains(s.log.String()+told(err), "s3cret") {
						t.Error("the log or the error tells the endpoint")
					}
				})
			})
		}
	}
}

// TestDeadline: the caller's time is the whole chain's. What is left undone for want of it has failed, and interrupts or not as it says.
func TestDeadline(t *testing.T) {
	late := func(d time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
			}
		}
	}
	tests := []struct {
		name     string
		timeout  time.Duration
		last     bool // interrupts
		outcomes []engine.Outcome
		took     time.Duration
		fails    bool
	}{
		{"time for all", 3 * time.Second, true, []engine.Outcome{engine.Success, engine.Timeout, engine.Success}, 2200 * time.Millisecond, false},
		{"none for the last", 1300 * time.Millisecond, true, []engine.Outcome{engine.Success, engine.Timeout, engine.Timeout}, 1300 * time.Millisecond, true},
		{"none for the last, which may fail", 1300 * time.Millisecond, false, []engine.Outcome{engine.Success, engine.Timeout, engine.Timeout}, 1300 * time.Millisecond, false},
		{"cut in the last", 2 * time.Second, true, []engine.Outcome{engine.Success, engine.Timeout, engine.Timeout}, 2 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				s.target(action.Call, true, late(600*time.Millisecond))
				s.target(action.Webhook, false, late(time.Hour))
				s.target(action.Call, tt.last, late(600*time.Millisecond))
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				start := time.Now()
				result, err := s.engine.Run(ctx, request(`{}`))
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %s", took)
				}
				var outcomes []engine.Outcome
				for _, c := range result.Calls {
					outcomes = append(outcomes, c.Outcome)
				}
				if diff := cmp.Diff(tt.outcomes, outcomes); diff != "" || (err != nil) != tt.fails {
					t.Errorf("%v %s", err, diff)
				}
			})
		})
	}
	t.Run("the caller goes", func(t *testing.T) {
		inBubble(t, func(t *testing.T, s *site) {
			s.target(action.Webhook, false, late(time.Hour))
			s.target(action.Webhook, false, says(200, ""))
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			if _, err := s.engine.Run(ctx, request(`{}`)); !errs.Is(err, errs.Canceled) || len(s.sent()) != 1 {
				t.Errorf("%v, %d called", err, len(s.sent()))
			}
		})
	})
}

// TestHeadersThatTargetsSee: an operator may choose others, and nobody those that tell who somebody is.
func TestHeadersThatTargetsSee(t *testing.T) {
	var h engine.Headers
	if err := h.UnmarshalText([]byte(" x-tenant,,Origin ")); err != nil || !cmp.Equal(h, engine.Headers{"X-Tenant", "Origin"}) {
		t.Error(h, err)
	}
	for _, text := range []string{"cookie", "x,AUTHORIZATION", "proxy-authorization", "set-cookie", "a b", "ä"} {
		if err := h.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	inBubble(t, func(t *testing.T, s *site) {
		s.engine.Headers = engine.Headers{"X-Tenant", "Cookie"}
		s.target(action.Webhook, true, says(200, ""))
		hook := request(`{}`)
		hook.Headers = map[string][]string{"x-tenant": {"t"}, "Host": {"h"}, "Cookie": {"c"}}
		if _, err := s.engine.Run(t.Context(), hook); err != nil || !strings.HasSuffix(s.sent()[0], `"headers":{"X-Tenant":["t"]}}`) {
			t.Error(s.sent(), err)
		}
	})
}
