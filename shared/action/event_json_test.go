package action_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func TestParseEvents(t *testing.T) {
	typed := func(names ...string) (events []action.Occurrence) {
		for _, n := range names {
			events = append(events, action.Occurrence{Type: n})
		}
		return events
	}
	full := occurrence()
	tests := []struct {
		name, body string
		want       []action.Occurrence
	}{
		{"one", `{"event_type":"a"}`, typed("a")},
		{"several", `{"events":[{"event_type":"a"},{"event_type":"b"}]}`, typed("a", "b")},
		{"a list that is null is none", `{"events":null,"event_type":"a"}`, typed("a")},
		{"unknown fields are passed over", `{"event_type":"a","more":{"x":[1]}}`, typed("a")},
		{"nulls are absent", `{"event_type":"a","id":null,"sequence":null,"created_at":null,"aggregateID":null}`, typed("a")},
		{"white space around it", " \n{\"event_type\":\"a\"}\t", typed("a")},
		{"all fields", `{"id":"evt-1","aggregateID":"404","aggregateType":"user","resourceOwner":"202","instanceID":"default","version":"v2","sequence":1,` +
			`"event_type":"user.human.added","created_at":"2025-01-02T04:04:05.678901+01:00","userID":"303",` +
			`"event_payload":{"userName":"kim","email":"kim@example.org"}}`, []action.Occurrence{full}},
		{"a sequence in a text", `{"event_type":"a","sequence":"18446744073709551615"}`, []action.Occurrence{{Type: "a", Sequence: 1<<64 - 1}}},
		{"a payload of null", `{"event_type":"a","event_payload":null}`, []action.Occurrence{{Type: "a", Payload: []byte("null")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := action.ParseEvents([]byte(tt.body))
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParseEventsRefuses(t *testing.T) {
	thousandAndOne := `{"events":[` + strings.Repeat(`{"event_type":"a"},`, action.MaxEvents) + `{"event_type":"a"}]}`
	tests := []struct{ name, body, says string }{
		{"nothing", ``, "body: this is not JSON"},
		{"half of it", `{"event_type":`, "body: this is not JSON"},
		{"two", `{"event_type":"a"}{}`, "body: this is not JSON"},
		{"an array", `[{"event_type":"a"}]`, "body: a JSON object is expected, not an array"},
		{"a text", `"a"`, "body: a JSON object is expected, not a string"},
		{"an empty list", `{"events":[]}`, "events: there must be 1 to 1000"},
		{"a list too long", thousandAndOne, "events: there must be 1 to 1000"},
		{"a list that is an object", `{"events":{}}`, "events must be a JSON array"},
		{"a list that is a number", `{"events":3}`, "events must be a JSON array"},
		{"a type that is a number", `{"event_type":1}`, "events[0]: event_type must be a string, not a number"},
		{"the third of several", `{"events":[{},{},{"userID":[]}]}`, "events[2]: userID must be a string, not an array"},
		{"an event that is a number", `{"events":[1]}`, "events[0]: a JSON object is expected, not a number"},
		{"a sequence that is negative", `{"sequence":-1}`, "events[0]: sequence"},
		{"a sequence with a fraction", `{"sequence":1.5}`, "events[0]: sequence"},
		{"a sequence with an exponent", `{"sequence":1e3}`, "events[0]: sequence"},
		{"a sequence over 64 bits", `{"sequence":18446744073709551616}`, "events[0]: sequence"},
		{"a sequence that says null", `{"sequence":"null"}`, "events[0]: sequence"},
		{"a sequence in hexadecimal", `{"sequence":"0x10"}`, "events[0]: sequence"},
		{"a sequence that is an object", `{"sequence":{}}`, "events[0]: sequence"},
		{"a time without a zone", `{"created_at":"2025-01-02T03:04:05"}`, "events[0]: created_at"},
		{"a time that is a number", `{"created_at":1}`, "events[0]: created_at must be a string"},
		{"what is not UTF-8", "{\"id\":\"\xff\"}", "events[0]: this is not UTF-8"},
		{"what is not UTF-8, in a list", "{\"events\":[{},{\"id\":\"\xff\"}]}", "events[1]: this is not UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := action.ParseEvents([]byte(tt.body))
			if !errs.Is(err, errs.InvalidArgument) || !strings.HasPrefix(err.Error(), tt.says) {
				t.Errorf("got %v, want it to say %q", err, tt.says)
			}
		})
	}
}

func TestLongListsCostNoMoreThanTheyAre(t *testing.T) {
	body := []byte(`{"events":[` + strings.Repeat("0,", 1<<20) + `0]}`)
	zero := func([]byte) (action.Occurrence, error) { return action.Occurrence{}, nil }
	list := body[len(`{"events":`) : len(body)-1]
	if _, err := action.EachEvent(list, zero); !errs.Is(err, errs.InvalidArgument) {
		t.Errorf("got %v", err)
	}
	allocated := testing.AllocsPerRun(1, func() { _, _ = action.EachEvent(list, zero) })
	if allocated > 10*action.MaxEvents {
		t.Errorf("%.0f allocations for a list that is refused", allocated)
	}
}

func TestEachEventRefusesWhatIsNoArray(t *testing.T) {
	for _, array := range []string{"", "1", "{}", "[1", "[1 2]", "[1,]", "[1]x", "[1][2]", "null"} {
		if events, err := action.EachEvent([]byte(array), action.ParseEvent); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%q: got %v, %v", array, events, err)
		}
	}
}

func TestAtIndexKeepsKindAndID(t *testing.T) {
	err := action.AtIndex(7, errs.New(errs.TooLarge, "ID-1", "too much"))
	e, _ := errs.As(err)
	if e.Kind != errs.TooLarge || e.ID != "ID-1" || e.Message != "events[7]: too much" {
		t.Errorf("got %+v", e)
	}
	plain := errors.New("plain")
	if err := action.AtIndex(1, plain); !errors.Is(err, plain) || err.Error() != "events[1]: plain" {
		t.Errorf("got %v", err)
	}
}

// FuzzParseEvents: whatever is read and valid comes out of the queue as it went in, and its body is JSON that keeps the payload.
func FuzzParseEvents(f *testing.F) {
	f.Add([]byte(`{"event_type":"a.b","event_payload":{"n":12345678901234567890},"sequence":"7","created_at":"2025-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"events":[{"event_type":"a"},{"id":"x","event_type":"b"}]}`))
	f.Add([]byte(`{"events":[null]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, err := action.ParseEvents(data)
		if err != nil {
			if !errs.Is(err, errs.InvalidArgument) {
				t.Errorf("kind %s: %v", errs.KindOf(err), err)
			}
			return
		}
		for _, o := range events {
			if o.Validate() != nil {
				continue
			}
			o = o.Complete(time.Unix(1, 0).UTC())
			message, err := o.Message()
			if err != nil {
				t.Fatalf("valid, but %v", err)
			}
			again, err := action.ParseEvent(message)
			if err != nil {
				t.Fatalf("%s cannot be read again: %v", message, err)
			}
			var want bytes.Buffer
			if len(o.Payload) > 0 {
				_ = json.Compact(&want, o.Payload)
				o.Payload = want.Bytes()
			}
			if diff := cmp.Diff(o, again); diff != "" {
				t.Errorf("through the queue (-want +got):\n%s", diff)
			}
		}
	})
}
