package api

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// read makes a message from its JSON.
func read[M proto.Message](t testing.TB, m M, text string) M {
	t.Helper()
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// wantRefusal wants InvalidArgument with that id and, where it has none, that text; "" and "" want no error.
func wantRefusal(t *testing.T, err error, id, text string) {
	t.Helper()
	e, ok := errs.As(err)
	switch {
	case id == "" && text == "":
		if err != nil {
			t.Errorf("got %v", err)
		}
	case !ok || e.Kind != errs.InvalidArgument || e.ID != id || text != "" && e.Message != text:
		t.Errorf("got %v, want %s %s", err, id, text)
	}
}

func TestConditionsRoundTrip(t *testing.T) {
	for text, want := range map[string]action.Condition{
		`{"request":{"method":"/a.B/C"}}`:        {Kind: action.Request, Scope: action.Exact, Name: "/a.B/C"},
		`{"request":{"service":"a.B"}}`:          {Kind: action.Request, Scope: action.Service, Name: "a.B"},
		`{"request":{"all":true}}`:               {Kind: action.Request, Scope: action.All},
		`{"response":{"method":"/a.B/C"}}`:       {Kind: action.Response, Scope: action.Exact, Name: "/a.B/C"},
		`{"response":{"service":"a.B"}}`:         {Kind: action.Response, Scope: action.Service, Name: "a.B"},
		`{"response":{"all":true}}`:              {Kind: action.Response, Scope: action.All},
		`{"function":{"name":"preuserinfo"}}`:    {Kind: action.Function, Scope: action.Exact, Name: "preuserinfo"},
		`{"event":{"event":"user.human.added"}}`: {Kind: action.Event, Scope: action.Exact, Name: "user.human.added"},
		`{"event":{"group":"user.human"}}`:       {Kind: action.Event, Scope: action.Group, Name: "user.human"},
		`{"event":{"all":true}}`:                 {Kind: action.Event, Scope: action.All},
	} {
		m := read(t, &actionv2.Condition{}, text)
		got, err := Condition(m)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
		if diff := cmp.Diff(m, ConditionMessage(got), protocmp.Transform()); diff != "" {
			t.Errorf("%s and back (-want +got):\n%s", text, diff)
		}
		stored, err := action.ParseExecutionID(got.ID())
		if diff := cmp.Diff(m, ConditionMessage(stored), protocmp.Transform()); diff != "" || err != nil {
			t.Errorf("%s through its id: %v (-want +got):\n%s", text, err, diff)
		}
	}
	if c, err := Condition(read(t, &actionv2.Condition{}, `{"event":{"group":"user.human.*"}}`)); err != nil || c.Name != "user.human" {
		t.Errorf("a group with its star: %+v, %v", c, err)
	}
}

func TestConditionsRefused(t *testing.T) {
	long := strings.Repeat("é", 1001)
	const length = ": value length must be between 1 and 1000 runes, inclusive"
	for _, tt := range []struct{ text, id, message string }{
		{`{}`, "ACTION-5r5Ju", "Execution condition is invalid"},
		{`{"request":{}}`, "", "invalid RequestExecution.Condition: value is required"},
		{`{"response":{}}`, "", "invalid ResponseExecution.Condition: value is required"},
		{`{"event":{}}`, "COMMAND-w5smb6v7qu", "Execution is invalid"},
		{`{"function":{}}`, "COMMAND-5folwn5jws", "Execution condition is invalid"},
		{`{"request":{"all":false}}`, "", "invalid RequestExecution.All: value must equal true"},
		{`{"response":{"all":false}}`, "", "invalid ResponseExecution.All: value must equal true"},
		{`{"event":{"all":false}}`, "", "invalid EventExecution.All: value must equal true"},
		{`{"request":{"method":""}}`, "", "invalid RequestExecution.Method" + length},
		{`{"request":{"service":"` + long + `"}}`, "", "invalid RequestExecution.Service" + length},
		{`{"response":{"method":"` + long + `"}}`, "", "invalid ResponseExecution.Method" + length},
		{`{"response":{"service":""}}`, "", "invalid ResponseExecution.Service" + length},
		{`{"function":{"name":"` + long + `"}}`, "", "invalid FunctionExecution.Name" + length},
		{`{"event":{"event":"` + long + `"}}`, "", "invalid EventExecution.Event" + length},
		{`{"event":{"group":".*"}}`, "", "invalid EventExecution.Group" + length},
	} {
		_, err := Condition(read(t, &actionv2.Condition{}, tt.text))
		wantRefusal(t, err, tt.id, tt.message)
	}
	_, err := Condition(nil)
	wantRefusal(t, err, "ACTION-5r5Ju", "")
	_, err = Condition(&actionv2.Condition{ConditionType: &actionv2.Condition_Request{}})
	wantRefusal(t, err, "", "invalid RequestExecution.Condition: value is required")
}

func TestNewTarget(t *testing.T) {
	const rest = `"restCall":{"interruptOnError":true},"timeout":"10s","endpoint":"https://a"`
	for _, tt := range []struct {
		name, text string
		want       action.Target
		message    string
	}{
		{"call", `{"name":"n",` + rest + `}`, action.Target{Name: "n", Type: action.Call, InterruptOnError: true, Timeout: 10 * time.Second, Endpoint: "https://a"}, ""},
		{"webhook", `{"name":"n","restWebhook":{},"timeout":"0.5s","endpoint":"x","payloadType":"PAYLOAD_TYPE_JSON"}`,
			action.Target{Name: "n", Type: action.Webhook, Timeout: time.Second / 2, Endpoint: "x", PayloadType: action.PayloadJSON}, ""},
		{"async", `{"name":"n","restAsync":{},"timeout":"270s","endpoint":"x","payloadType":"PAYLOAD_TYPE_JWE"}`,
			action.Target{Name: "n", Type: action.Async, Timeout: 270 * time.Second, Endpoint: "x", PayloadType: action.PayloadJWE}, ""},
		{"no timeout is for the command to refuse", `{"name":"n","restAsync":{},"endpoint":"x"}`, action.Target{Name: "n", Type: action.Async, Endpoint: "x"}, ""},
		{"1000 runes", `{"name":"` + strings.Repeat("é", 1000) + `",` + rest + `}`, action.Target{Name: strings.Repeat("é", 1000), Type: action.Call, InterruptOnError: true, Timeout: 10 * time.Second, Endpoint: "https://a"}, ""},
		{"no name", `{` + rest + `}`, action.Target{}, "invalid CreateTargetRequest.Name: value length must be between 1 and 1000 runes, inclusive"},
		{"a long name", `{"name":"` + strings.Repeat("x", 1001) + `",` + rest + `}`, action.Target{}, "invalid CreateTargetRequest.Name: value length must be between 1 and 1000 runes, inclusive"},
		{"no type", `{"name":"n","timeout":"1s","endpoint":"x"}`, action.Target{}, "invalid CreateTargetRequest.TargetType: value is required"},
		{"an unknown payload type", `{"name":"n","payloadType":9,` + rest + `}`, action.Target{}, "invalid CreateTargetRequest.PayloadType: value must be one of the defined enum values"},
		{"too long a timeout", `{"name":"n","restCall":{},"timeout":"270.000000001s","endpoint":"x"}`, action.Target{}, "invalid CreateTargetRequest.Timeout: value must be inside range [0s, 4m30s]"},
		{"a negative timeout", `{"name":"n","restCall":{},"timeout":"-0.1s","endpoint":"x"}`, action.Target{}, "invalid CreateTargetRequest.Timeout: value must be inside range [0s, 4m30s]"},
		{"no endpoint is for the command to refuse", `{"name":"n","restCall":{},"timeout":"1s"}`, action.Target{Name: "n", Type: action.Call, Timeout: time.Second}, ""},
		{"a long endpoint", `{"name":"n","restCall":{},"timeout":"1s","endpoint":"` + strings.Repeat("x", 2049) + `"}`, action.Target{}, "invalid CreateTargetRequest.Endpoint: value length must be between 1 and 2048 runes, inclusive"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := newTarget(read(t, &actionv2.CreateTargetRequest{}, tt.text), maxEndpoint)
			wantRefusal(t, err, "", tt.message)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	_, err := newTarget(&actionv2.CreateTargetRequest{Name: "n", Endpoint: "x", TargetType: &actionv2.CreateTargetRequest_RestCall{}, Timeout: &durationpb.Duration{Seconds: math.MaxInt64, Nanos: math.MinInt32}}, maxEndpoint)
	wantRefusal(t, err, "", "invalid CreateTargetRequest.Timeout: value must be inside range [0s, 4m30s]")
}

func TestTargetChange(t *testing.T) {
	ptr := func(s string) *string { return &s }
	wait := func(d time.Duration) *time.Duration { return &d }
	for _, tt := range []struct {
		name, text string
		want       action.TargetChange
		message    string
	}{
		{"nothing", `{"id":"t"}`, action.TargetChange{}, ""},
		{"everything", `{"id":"t","name":"n","restWebhook":{"interruptOnError":true},"timeout":"1s","endpoint":"e","expirationSigningKey":"0s","payloadType":"PAYLOAD_TYPE_JWT"}`,
			action.TargetChange{Name: ptr("n"), Type: &action.TargetTypeChange{Type: action.Webhook, InterruptOnError: true}, Timeout: wait(time.Second), Endpoint: ptr("e"), PayloadType: action.PayloadJWT, RotateKey: wait(0)}, ""},
		{"an interruption that ends", `{"id":"t","restCall":{}}`, action.TargetChange{Type: &action.TargetTypeChange{Type: action.Call}}, ""},
		{"async", `{"id":"t","restAsync":{}}`, action.TargetChange{Type: &action.TargetTypeChange{Type: action.Async}}, ""},
		{"a week of overlap", `{"id":"t","expirationSigningKey":"604800s"}`, action.TargetChange{RotateKey: wait(168 * time.Hour)}, ""},
		{"no timeout is for the command to refuse", `{"id":"t","timeout":"0s"}`, action.TargetChange{Timeout: wait(0)}, ""},
		{"a long id", `{"id":"` + strings.Repeat("x", 201) + `"}`, action.TargetChange{}, "invalid UpdateTargetRequest.Id: value length must be between 1 and 200 runes, inclusive"},
		{"empty texts are for the command to refuse", `{"id":"t","name":"","endpoint":""}`, action.TargetChange{Name: ptr(""), Endpoint: ptr("")}, ""},
		{"a long name", `{"id":"t","name":"` + strings.Repeat("x", 1001) + `"}`, action.TargetChange{}, "invalid UpdateTargetRequest.Name: value length must be between 1 and 1000 runes, inclusive"},
		{"too long a timeout", `{"id":"t","timeout":"271s"}`, action.TargetChange{}, "invalid UpdateTargetRequest.Timeout: value must be inside range [0s, 4m30s]"},
		{"more than a week of overlap", `{"id":"t","expirationSigningKey":"604801s"}`, action.TargetChange{}, "invalid UpdateTargetRequest.ExpirationSigningKey: value must be inside range [0s, 168h0m0s]"},
		{"an unknown payload type", `{"id":"t","payloadType":4}`, action.TargetChange{}, "invalid UpdateTargetRequest.PayloadType: value must be one of the defined enum values"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := targetChange(read(t, &actionv2.UpdateTargetRequest{}, tt.text), maxEndpoint)
			wantRefusal(t, err, "", tt.message)
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTargetMessage(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for kind, text := range map[action.TargetType]string{action.Webhook: `"restWebhook":{"interruptOnError":true}`, action.Call: `"restCall":{"interruptOnError":true}`, action.Async: `"restAsync":{}`} {
		for payload, name := range map[action.PayloadType]string{action.PayloadUnspecified: "PAYLOAD_TYPE_UNSPECIFIED", action.PayloadJSON: "PAYLOAD_TYPE_JSON", action.PayloadJWT: "PAYLOAD_TYPE_JWT", action.PayloadJWE: "PAYLOAD_TYPE_JWE"} {
			got := targetMessage(action.Target{ID: "t", Name: "n", Type: kind, InterruptOnError: true, Timeout: 1500 * time.Millisecond, Endpoint: "e", PayloadType: payload,
				SigningKeys: []action.SigningKey{{Value: "new"}, {Value: "old", Expires: at}}, Created: at, Changed: at.Add(time.Second)})
			want := read(t, &actionv2.Target{}, `{"id":"t","creationDate":"2026-01-02T03:04:05.000006Z","changeDate":"2026-01-02T03:04:06.000006Z","name":"n",`+text+
				`,"timeout":"1.500s","endpoint":"e","signingKey":"new","payloadType":"`+name+`"}`)
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", kind, name, diff)
			}
		}
	}
	if timestamp(time.Time{}) != nil || !timestamp(at).AsTime().Equal(at) {
		t.Error("only the zero time is left out")
	}
}

func TestOccurrence(t *testing.T) {
	at := time.Date(2025, 1, 2, 3, 4, 5, 678901000, time.UTC)
	full := action.Occurrence{ID: "e", AggregateID: "1", AggregateType: "a", ResourceOwner: "2", Instance: "i", Version: "v", Sequence: 7, Type: "t", UserID: "3", CreatedAt: at, Payload: []byte(`{"n":12345678901234567890}`)}
	got, err := occurrence(eventMessage(full))
	if diff := cmp.Diff(full, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = occurrence(read(t, &calloutv1.Event{}, `{"event_type":"t","event_payload":{"a":[1,null]}}`))
	if err != nil || strings.ReplaceAll(string(got.Payload), " ", "") != `{"a":[1,null]}` || !got.CreatedAt.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = occurrence(&calloutv1.Event{EventType: "t", CreatedAt: &timestamppb.Timestamp{Seconds: math.MaxInt64}})
	wantRefusal(t, err, "", "created_at is not a valid time")
}

// FuzzCondition: what is read as a condition is written as the same one, and what may also be set comes back from its id, which is what is
// stored.
func FuzzCondition(f *testing.F) {
	for _, text := range []string{`{"request":{"method":"/a.B/C"}}`, `{"event":{"group":"user.*"}}`, `{"function":{"name":"f"}}`, `{"response":{"all":true}}`,
		`{"response":{"service":"a.B"}}`, `{"event":{"event":"a.b.c"}}`, `{"event":{"group":"a.*.*"}}`, `{"request":{"service":"/a.B/C"}}`, `{"event":{"all":false}}`} {
		f.Add([]byte(text))
	}
	names := action.NewCatalogue(action.Namespaces)
	f.Fuzz(func(t *testing.T, text []byte) {
		m := &actionv2.Condition{}
		if protojson.Unmarshal(text, m) != nil {
			return
		}
		c, err := Condition(m)
		if err != nil {
			if !errs.Is(err, errs.InvalidArgument) {
				t.Errorf("got %v", err)
			}
			return
		}
		if again, err := Condition(ConditionMessage(c)); (c.Scope != action.Group || names.Check(c) == nil) && (err != nil || again != c) {
			t.Errorf("%+v became %+v, %v", c, again, err)
		}
		if again, err := action.ParseExecutionID(c.ID()); names.Check(c) == nil && (err != nil || again != c) {
			t.Errorf("%+v became %+v by its id %s, %v", c, again, c.ID(), err)
		}
	})
}
