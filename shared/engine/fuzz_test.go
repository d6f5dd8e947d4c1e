package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"unicode/utf8"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/routing"
)

// said answers every call with the next of some bodies, and keeps what was sent.
type said struct {
	answers [][]byte
	sent    [][]byte
}

func (s *said) Call(_ context.Context, r call.Request) call.Result {
	answer := s.answers[len(s.sent)]
	s.sent = append(s.sent, r.Body)
	return call.Result{Status: 200, Outcome: action.Success, Answer: answer}
}

// FuzzAnswers: whatever two targets answer, what they and the host get is JSON of the shape that the host sent, and nothing but the message,
// or what is asked for, differs.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte(`{"forwardedStatusCode":403,"forwardedErrorMessage":"no"}`), uint8(0))
	f.Add([]byte(`{}},"instanceID":"x"`), []byte("\xff"), uint8(1))
	f.Add([]byte(`{"append_claims":[{"key":"a","value":{}}]}`), []byte(`{"append_claims":[{"key":"a","value":{}}],"append_attribute":[{"name":"n","value":[]}]}`), uint8(2))
	f.Add([]byte(` null`), []byte(`[[[[`), uint8(3))
	f.Fuzz(func(t *testing.T, first, second []byte, which uint8) {
		hook := []engine.Hook{request(`{"a":0}`), response(`{"a":0}`), function(`{"user":{}}`), request(`[1]`)}[which%4]
		var route routing.Route
		route.Execution = "request"
		for range 2 {
			route.Destinations = append(route.Destinations, &routing.Destination{Target: action.Target{ID: "t", Type: action.Call}})
		}
		s := &said{answers: [][]byte{first, second}}
		e := engine.Engine{Routes: &table{route: route}, Caller: s, Log: slog.New(slog.DiscardHandler)}
		result, err := e.Run(t.Context(), hook)
		if err != nil || len(s.sent) != 2 {
			t.Fatal(err)
		}
		var frames [2]map[string]json.RawMessage
		for i, body := range s.sent {
			if err := json.Unmarshal(body, &frames[i]); err != nil || !utf8.Valid(body) {
				t.Fatalf("%v: %q", err, body)
			}
		}
		if hook.Kind == action.Function {
			if len(frames[1]) != 3 || string(frames[1]["user"]) != "{}" || string(frames[1]["function"]) != `"function/preaccesstoken"` {
				t.Errorf("%s", s.sent[1])
			}
			if text, err := json.Marshal(result.Answer); err != nil || !json.Valid(text) {
				t.Error(err)
			}
			return
		}
		changing := string(hook.Kind)
		for name, value := range frames[0] {
			if name != changing && !bytes.Equal(frames[1][name], value) {
				t.Errorf("%s became %s", name, frames[1][name])
			}
		}
		if len(frames[0]) != len(frames[1]) || !json.Valid(result.Message) || result.Message[0] == '{' != (which%4 != 3) && which%4 != 3 {
			t.Errorf("%s, message %q", s.sent[1], result.Message)
		}
	})
}
