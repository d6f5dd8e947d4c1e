package action

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

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
	var list struct {
		Events []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, errs.Newf(errs.InvalidArgument, "body: %s", jsonProblem(err))
	}
	if list.Events == nil {
		event, err := ParseEvent(data)
		if err != nil {
			return nil, AtIndex(0, err)
		}
		return []Occurrence{event}, nil
	}
	if len(list.Events) == 0 || len(list.Events) > MaxEvents {
		return nil, errs.Newf(errs.InvalidArgument, "events: there must be 1 to %d", MaxEvents)
	}
	events := make([]Occurrence, len(list.Events))
	for i, raw := range list.Events {
		var err error
		if events[i], err = ParseEvent(raw); err != nil {
			return nil, AtIndex(i, err)
		}
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
	if o.Sequence, err = ParseSequence(strings.Trim(string(w.Sequence), `"`)); err != nil {
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

// ParseSequence reads a decimal number; "" and null are 0.
func ParseSequence(text string) (uint64, error) {
	if text == "" || text == "null" {
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
