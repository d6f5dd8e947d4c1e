package action_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func occurrence() action.Occurrence {
	return action.Occurrence{
		Instance: "default", ID: "evt-1", Type: "user.human.added", AggregateID: "404", AggregateType: "user", ResourceOwner: "202",
		Version: "v2", Sequence: 1, UserID: "303", CreatedAt: time.Date(2025, 1, 2, 3, 4, 5, 678901000, time.UTC),
		Payload: []byte(`{"userName":"kim","email":"kim@example.org"}`),
	}
}

// TestBody is the example of actions-v2.md section 6.3, key by key and in its order.
func TestBody(t *testing.T) {
	o := occurrence()
	o.Instance = "101"
	want := `{"aggregateID":"404","aggregateType":"user","resourceOwner":"202","instanceID":"101","version":"v2","sequence":1,` +
		`"event_type":"user.human.added","created_at":"2025-01-02T03:04:05.678901Z","userID":"303",` +
		`"event_payload":{"userName":"kim","email":"kim@example.org"}}`
	got, err := o.Body()
	if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestPayloadSurvivesUntouched(t *testing.T) {
	payloads := []string{
		`{"big":12345678901234567890123,"dec":0.10,"exp":1E400,"neg":-0}`, `{"z":1,"a":2,"z":3}`, `"<b>&\u2028 é"`, `"\ud83d\ude00 \u003c"`, "\"\u2028\u2029\"",
		`null`, `[]`, `0`, `"kein \\ und \" mehr"`,
	}
	for _, p := range payloads {
		o := occurrence()
		o.Payload = []byte(p)
		body, err := o.Body()
		if err != nil || !strings.HasSuffix(string(body), `"event_payload":`+p+`}`) {
			t.Errorf("%s: %v in %s", p, err, body)
		}
		message, err := o.Message()
		if err != nil {
			t.Fatal(err)
		}
		again, err := action.ParseEvent(message)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(o, again); diff != "" {
			t.Errorf("%s through the queue (-want +got):\n%s", p, diff)
		}
	}
}

func TestComplete(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := action.Occurrence{Type: "order.created"}.Complete(now)
	if diff := cmp.Diff(action.Occurrence{Type: "order.created", AggregateType: "order", CreatedAt: now}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	full := occurrence()
	if diff := cmp.Diff(full, full.Complete(now)); diff != "" {
		t.Errorf("what is there was changed (-want +got):\n%s", diff)
	}
}

func TestValidateOccurrence(t *testing.T) {
	long := strings.Repeat("x", 1025)
	tests := []struct {
		name string
		edit func(*action.Occurrence)
		kind errs.Kind
		says string
	}{
		{"a good one", func(*action.Occurrence) {}, "", ""},
		{"only a type", func(o *action.Occurrence) { *o = action.Occurrence{Type: "a"} }, "", ""},
		{"no type", func(o *action.Occurrence) { o.Type = "" }, errs.InvalidArgument, "event_type is required"},
		{"a type with a space", func(o *action.Occurrence) { o.Type = "a b" }, errs.InvalidArgument, "event_type"},
		{"the longest id", func(o *action.Occurrence) { o.ID = action.EventID(long[:1024]) }, "", ""},
		{"an id too long", func(o *action.Occurrence) { o.ID = action.EventID(long) }, errs.InvalidArgument, "id is longer"},
		{"an id that is not UTF-8", func(o *action.Occurrence) { o.ID = "\xff" }, errs.InvalidArgument, "id is not UTF-8"},
		{"a long source", func(o *action.Occurrence) { o.Source = long }, errs.InvalidArgument, "source"},
		{"a long aggregate id", func(o *action.Occurrence) { o.AggregateID = long }, errs.InvalidArgument, "aggregateID"},
		{"a long aggregate type", func(o *action.Occurrence) { o.AggregateType = long }, errs.InvalidArgument, "aggregateType"},
		{"a long resource owner", func(o *action.Occurrence) { o.ResourceOwner = long }, errs.InvalidArgument, "resourceOwner"},
		{"a long version", func(o *action.Occurrence) { o.Version = long }, errs.InvalidArgument, "version"},
		{"a user that is not UTF-8", func(o *action.Occurrence) { o.UserID = "\xc3" }, errs.InvalidArgument, "userID"},
		{"the largest payload", func(o *action.Occurrence) { o.Payload = []byte(`"` + strings.Repeat("x", 512<<10-2) + `"`) }, "", ""},
		{"a payload too large", func(o *action.Occurrence) { o.Payload = []byte(`"` + strings.Repeat("x", 512<<10-1) + `"`) }, errs.TooLarge, "event_payload"},
		{"a payload that is not JSON", func(o *action.Occurrence) { o.Payload = []byte(`{`) }, errs.InvalidArgument, "event_payload"},
		{"two payloads", func(o *action.Occurrence) { o.Payload = []byte(`1 2`) }, errs.InvalidArgument, "event_payload"},
		{"a payload that is not UTF-8", func(o *action.Occurrence) { o.Payload = []byte("\"\xff\"") }, errs.InvalidArgument, "event_payload"},
		{"year 10000", func(o *action.Occurrence) { o.CreatedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }, errs.InvalidArgument, "created_at"},
		{"year 0", func(o *action.Occurrence) { o.CreatedAt = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }, errs.InvalidArgument, "created_at"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := occurrence()
			tt.edit(&o)
			err := o.Validate()
			wantError(t, err, tt.kind, "")
			if err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not name %q", err, tt.says)
			}
		})
	}
}

func TestNotAllPublishedKeepsItsCause(t *testing.T) {
	cause := errors.New("queue away")
	err := fmt.Errorf("publish: %w", &action.NotAllPublished{IDs: []action.EventID{"a"}, Cause: cause})
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), "queue away") {
		t.Errorf("got %v", err)
	}
}
