package receiver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/callout-dev/callout/scripts/callout/terminal"
)

// Kind is what the call is about, in the words of conditions: an event's type, "request /a.B/C", "response /a.B/C" or "function/name".
// It is empty where the body does not say.
func (a Arrival) Kind() string {
	var body struct {
		EventType  string          `json:"event_type"`
		FullMethod string          `json:"fullMethod"`
		Function   string          `json:"function"`
		Response   json.RawMessage `json:"response"`
	}
	_ = json.Unmarshal(a.payload(), &body) // what it cannot read stays empty
	switch {
	case body.EventType != "":
		return body.EventType
	case body.FullMethod != "" && body.Response != nil:
		return "response " + body.FullMethod
	case body.FullMethod != "":
		return "request " + body.FullMethod
	default:
		return body.Function
	}
}

// Verdict says in words whether the request was taken.
func (a Arrival) Verdict() string {
	switch {
	case a.Refused != nil:
		return fmt.Sprintf("REFUSED with %d: %v", a.Status, a.Refused)
	case a.Target == "":
		return "verified"
	default:
		return "verified, " + a.Target
	}
}

// Line is the request in one line that is safe on a terminal.
func (a Arrival) Line() string {
	parts := []string{a.Time.Format("15:04:05.000"), a.Kind()}
	if a.Kind() == "" {
		parts[1] = "(unknown)"
	}
	switch {
	case a.Delivery != "" || a.Attempt != "":
		parts = append(parts, fmt.Sprintf("delivery %s attempt %s", a.Delivery, a.Attempt))
	case a.WebhookID != "":
		parts = append(parts, "id "+a.WebhookID)
	}
	parts = append(parts, a.Verdict())
	if a.Refused == nil && a.Status != http.StatusOK {
		parts = append(parts, fmt.Sprintf("answered %d", a.Status))
	}
	return terminal.Line(strings.Join(parts, "  "))
}

// Text is the body, indented if it is JSON, in a form that is safe on a terminal.
func (a Arrival) Text() string {
	var out bytes.Buffer
	if payload := a.payload(); json.Valid(payload) && json.Indent(&out, payload, "", "  ") == nil {
		return terminal.Text(out.String())
	}
	return terminal.Text(string(a.Body))
}

// MarshalJSON writes the request for programs. The body is JSON where it is JSON, else a string.
func (a Arrival) MarshalJSON() ([]byte, error) {
	shown := struct {
		Time      string          `json:"time"`
		Kind      string          `json:"kind,omitempty"`
		Verified  bool            `json:"verified"`
		Target    string          `json:"target,omitempty"`
		Error     string          `json:"error,omitempty"`
		Status    int             `json:"status"`
		WebhookID string          `json:"webhookId,omitempty"`
		Delivery  string          `json:"delivery,omitempty"`
		Attempt   string          `json:"attempt,omitempty"`
		Body      json.RawMessage `json:"body,omitempty"`
	}{Time: a.Time.UTC().Format(time.RFC3339Nano), Kind: a.Kind(), Verified: a.Refused == nil, Target: a.Target, Status: a.Status,
		WebhookID: a.WebhookID, Delivery: a.Delivery, Attempt: a.Attempt, Body: a.Body}
	if a.Refused != nil {
		shown.Error = a.Refused.Error()
	}
	if len(a.Body) > 0 && !json.Valid(a.Body) {
		shown.Body, _ = json.Marshal(string(a.Body)) // a string can always be written
	}
	return json.Marshal(shown)
}

// payload is the JSON of the body: itself, or what a JWS in compact form holds. That the JWS is signed needs no look here: the header's
// signature is over all of it.
func (a Arrival) payload() []byte {
	parts := bytes.Split(a.Body, []byte("."))
	if len(parts) != 3 || bytes.ContainsAny(a.Body, "{ \n") {
		return a.Body
	}
	payload, err := base64.RawURLEncoding.DecodeString(string(parts[1]))
	if err != nil || !json.Valid(payload) {
		return a.Body
	}
	return payload
}
