package action

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/callout-dev/callout/shared/errs"
)

// wireEvent is an event as senders write it: the keys of the payload that targets receive, and an id (callout.md section 5).
type wireEvent struct {
	ID            *string         `json:"id"`
	AggregateID   *string         `json:"aggregateID"`
	AggregateType *string         `json:"aggregateType"`
	ResourceOwner *string         `json:"resourceOwner"`
	InstanceID    *string         `json:"instanceID"`
	Version       *string         `json:"version"`
	Sequence      json.RawMessage `json:"sequence"`
	Type          *string         `json:"event_type"`
	CreatedAt     *string         `json:"created_at"`
	UserID        *string         `json:"userID"`
	Payload       json.RawMessage `json:"event_payload"`
}

// ParseEvents reads one event, or {"events":[…]}. Errors name the event by its index and the field.
func ParseEvents(data []byte) ([]Occurrence, error) {
	var body struct {
		Events json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, errs.Newf(errs.InvalidArgument, "body: %s", jsonProblem(err))
	}
	if body.Events == nil || string(body.Events) == "null" {
		event, err := ParseEvent(data)
		if err != nil {
			return nil, AtIndex(0, err)
		}
		return []Occurrence{event}, nil
	}
	return EachEvent(body.Events, ParseEvent)
}

// EachEvent reads a JSON array of 1 to MaxEvents events with parse. It stops at the first one too many, so that a body full of commas
// costs no more memory than itself. Errors name the event by its index.
func EachEvent(array []byte, parse func([]byte) (Occurrence, error)) ([]Occurrence, error) {
	count := errs.Newf(errs.InvalidArgument, "events: there must be 1 to %d", MaxEvents)
	decoder := json.NewDecoder(bytes.NewReader(array))
	if open, err := decoder.Token(); err != nil || open != json.Delim('[') {
		return nil, errs.Newf(errs.InvalidArgument, "events must be a JSON array")
	}
	var events []Occurrence
	for decoder.More() {
		if len(events) == MaxEvents {
			return nil, count
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return nil, errs.Newf(errs.InvalidArgument, "events: %s", jsonProblem(err))
		}
		event, err := parse(raw)
		if err != nil {
			return nil, AtIndex(len(events), err)
		}
		events = append(events, event)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errs.Newf(errs.InvalidArgument, "events: %s", jsonProblem(err))
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errs.Newf(errs.InvalidArgument, "events: there is something after the array")
	}
	if len(events) == 0 {
		return nil, count
	}
	return events, nil
}

// AtIndex says which of several events an error is about.
func AtIndex(index int, err error) error {
	e, ok := errs.As(err)
	if !ok {
		return fmt.Errorf("events[%d]: %w", index, err)
	}
	at := *e
	at.Message = fmt.Sprintf("events[%d]: %s", index, e.Message)
	return &at
}

// ParseEvent reads one event. It checks the form of the fields, not yet their content: that is Validate's. The payload keeps every digit.
func ParseEvent(data []byte) (Occurrence, error) {
	if !utf8.Valid(data) { // the decoder would replace what is not, and make two ids one
		return Occurrence{}, errs.Newf(errs.InvalidArgument, "this is not UTF-8")
	}
	var w wireEvent
	if err := json.Unmarshal(data, &w); err != nil {
		return Occurrence{}, errs.Newf(errs.InvalidArgument, "%s", jsonProblem(err))
	}
	o := Occurrence{
		ID: EventID(value(w.ID)), AggregateID: value(w.AggregateID), AggregateType: value(w.AggregateType),
		ResourceOwner: value(w.ResourceOwner), Instance: InstanceID(value(w.InstanceID)), Version: value(w.Version),
		Type: value(w.Type), UserID: value(w.UserID), Payload: bytes.Clone(w.Payload),
	}
	var err error
	if o.Sequence, err = parseSequence(w.Sequence); err != nil {
		return Occurrence{}, err
	}
	if o.CreatedAt, err = parseTime(value(w.CreatedAt)); err != nil {
		return Occurrence{}, err
	}
	return o, nil
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// parseSequence reads a JSON number or a text that holds one; null is 0.
func parseSequence(raw json.RawMessage) (uint64, error) {
	text := string(raw)
	if text == "null" {
		return 0, nil
	}
	if inner, ok := strings.CutPrefix(text, `"`); ok {
		text = strings.TrimSuffix(inner, `"`)
	}
	return ParseSequence(text)
}

// ParseSequence reads a decimal number; "" is 0.
func ParseSequence(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, errs.Newf(errs.InvalidArgument, "sequence must be a decimal number of at most 64 bits")
	}
	return n, nil
}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, errs.Newf(errs.InvalidArgument, "created_at must be an RFC 3339 time")
	}
	return t.UTC(), nil
}

// jsonProblem words what encoding/json found, with the field where it knows it.
func jsonProblem(err error) string {
	if e, ok := err.(*json.UnmarshalTypeError); ok {
		if e.Field == "" {
			return "a JSON object is expected, not " + article(e.Value)
		}
		return fmt.Sprintf("%s must be a %s, not %s", e.Field, e.Type, article(e.Value))
	}
	return "this is not JSON: " + err.Error()
}

func article(kind string) string {
	if strings.HasPrefix(kind, "a") || strings.HasPrefix(kind, "o") {
		return "an " + kind
	}
	return "a " + kind
}

// message is an event on its way through the queue: what targets will receive, and its id.
type message struct {
	ID EventID `json:"id,omitempty"`
	body
}

// Message is the JSON of an event on the events topic; ParseEvent reads it. The source is not in it.
func (o Occurrence) Message() ([]byte, error) { return encode(message{o.ID, o.body()}) }
