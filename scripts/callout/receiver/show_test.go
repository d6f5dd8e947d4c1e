package receiver_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/scripts/callout/receiver"
	"github.com/callout-dev/callout/shared/signature"
)

func jws(payload string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestKind(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"an event":             {`{"event_type":"user.added","event_payload":{"fullMethod":"/x"}}`, "user.added"},
		"a request":            {`{"fullMethod":"/a.B/C","request":{}}`, "request /a.B/C"},
		"a response":           {`{"fullMethod":"/a.B/C","request":{},"response":{}}`, "response /a.B/C"},
		"a function":           {`{"function":"function/preuserinfo","response":{}}`, "function/preuserinfo"},
		"an event in a JWS":    {jws(`{"event_type":"user.added"}`), "user.added"},
		"a JWE":                {"a.b.c.d.e", ""},
		"something else":       {`[1]`, ""},
		"a type that is none":  {`{"event_type":7}`, ""},
		"JSON with two dots":   {`{"event_type":"a.b.c"}`, "a.b.c"},
		"nothing":              {``, ""},
		"a JWS of what is not": {"a." + base64.RawURLEncoding.EncodeToString([]byte("text")) + ".c", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := (receiver.Arrival{Body: []byte(test.body)}).Kind(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestLineAndText(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
	tests := map[string]struct {
		arrival    receiver.Arrival
		line, text string
	}{
		"a delivery": {receiver.Arrival{Time: at, Target: "demo", Status: 200, Delivery: "d", Attempt: "3", WebhookID: "w", Body: []byte(`{"event_type":"a","n":1.10}`)},
			"03:04:05.678  a  delivery d attempt 3  verified, demo", "{\n  \"event_type\": \"a\",\n  \"n\": 1.10\n}"},
		"a hook, by a key without a name": {receiver.Arrival{Time: at, Status: 200, WebhookID: "w", Body: []byte(`{"function":"function/f"}`)},
			"03:04:05.678  function/f  id w  verified", "{\n  \"function\": \"function/f\"\n}"},
		"another status": {receiver.Arrival{Time: at, Target: "demo", Status: 503, Body: []byte(jws(`{"event_type":"a"}`))},
			"03:04:05.678  a  verified, demo  answered 503", "{\n  \"event_type\": \"a\"\n}"},
		"refused": {receiver.Arrival{Time: at, Status: 401, Refused: signature.ErrMismatch},
			"03:04:05.678  (unknown)  REFUSED with 401: no signature matches: wrong key, or a changed body", ""},
		"hostile": {receiver.Arrival{Time: at, Status: 401, Refused: errors.New("x\n"), Delivery: "\x1b[2J", Body: []byte("{\"event_type\":\"a\\nb\",\"x\":\"\u202e\"}")},
			`03:04:05.678  a\u000ab  delivery \u001b[2J attempt   REFUSED with 401: x\u000a`, "{\n  \"event_type\": \"a\\nb\",\n  \"x\": \"\\u202e\"\n}"},
		"hostile and no JSON": {receiver.Arrival{Time: at, Status: 401, Refused: errors.New("x"), Body: []byte("\x1b]0;title\x07\n")},
			"03:04:05.678  (unknown)  REFUSED with 401: x", `\u001b]0;title\u0007` + "\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.arrival.Line(); got != test.line {
				t.Errorf("line %q\nwant %q", got, test.line)
			}
			if got := test.arrival.Text(); got != test.text {
				t.Errorf("text %q\nwant %q", got, test.text)
			}
		})
	}
}

func TestJSONHoldsTheBodyAsItIs(t *testing.T) {
	for body, want := range map[string]string{`{"n":12345678901234567890}`: `{"n":12345678901234567890}`, "a.b.c.d.e": `"a.b.c.d.e"`, "": ""} {
		text, err := json.Marshal(receiver.Arrival{Status: 401, Refused: errors.New("why"), Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Body     json.RawMessage
			Verified *bool
			Error    string
		}
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if string(got.Body) != want || got.Error != "why" || got.Verified == nil || *got.Verified {
			t.Errorf("%q becomes %s", body, text)
		}
	}
}

func TestReceiver(t *testing.T) {
	tests := map[string]struct {
		method, body string
		header       http.Header
		status       int
		verified     bool
	}{
		"a good call":      {http.MethodPost, body, signed("k"), 204, true},
		"a wrong key":      {http.MethodPost, body, signed("other"), 401, false},
		"a changed body":   {http.MethodPost, body + " ", signed("k"), 401, false},
		"no signature":     {http.MethodPost, body, http.Header{}, 401, false},
		"another method":   {http.MethodGet, "", signed("k"), 405, false},
		"a body too large": {http.MethodPost, strings.Repeat(" ", receiver.MaxBody+1), signed("k"), 413, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var arrivals []receiver.Arrival
			r := &receiver.Receiver{Keys: receiver.NewKeyring([]receiver.Key{{Target: "demo", Value: "k"}}, nil), Status: 204,
				Report: func(a receiver.Arrival) { arrivals = append(arrivals, a) }}
			request := httptest.NewRequestWithContext(t.Context(), test.method, "/", strings.NewReader(test.body))
			request.Header = test.header
			answer := httptest.NewRecorder()
			r.ServeHTTP(answer, request)
			if answer.Code != test.status || len(arrivals) != 1 || arrivals[0].Status != test.status {
				t.Fatalf("answered %d and reported %+v, want %d", answer.Code, arrivals, test.status)
			}
			a := arrivals[0]
			if (a.Refused == nil) != test.verified || (a.Target == "demo") != test.verified {
				t.Errorf("reported %+v", a)
			}
			if test.verified && answer.Body.Len() != 0 {
				t.Errorf("answered %q: a body would replace a payload", answer.Body)
			}
			if diff := cmp.Diff(test.body, string(a.Body)); diff != "" && test.status != 413 {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}
