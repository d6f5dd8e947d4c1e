package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
	"github.com/callout-dev/callout/shared/logging"
)

type fakeEvents struct {
	err    error
	events []action.Occurrence
	key    string
}

func (f *fakeEvents) Publish(_ context.Context, _ auth.Caller, events []action.Occurrence, key string) ([]action.EventID, error) {
	f.events, f.key = events, key
	return []action.EventID{"a", "b"}, f.err
}

func TestPublishOverEveryFace(t *testing.T) {
	operations := &fakeEvents{}
	h := Border{Guard: ownerGuard(t), Log: logging.Discard()}.ServeEvents(operations, func(_ http.Header, body []byte) ([]action.Occurrence, error) { return action.ParseEvents(body) })
	const body = `{"events":[{"event_type":"t","sequence":"7","event_payload":{"n":12345678901234567890}}]}`
	want := []action.Occurrence{{Type: "t", Sequence: 7, Payload: []byte(`{"n":12345678901234567890}`)}}
	for path, code := range map[string]int{"/v1/events": 202, "/callout.v1.EventService/Publish": 200} {
		wantJSON(t, send(h, "POST", path, body, "Idempotency-Key", "k1"), code, `{"ids":["a","b"]}`)
		if diff := cmp.Diff(want, operations.events); diff != "" || operations.key != "k1" {
			t.Errorf("%s: key %q (-want +got):\n%s", path, operations.key, diff)
		}
	}
	server := httptest.NewServer(h)
	defer server.Close()
	client := calloutv1connect.NewEventServiceClient(withToken{server.Client()}, server.URL) // protobuf
	response, err := client.Publish(t.Context(), &calloutv1.PublishRequest{Events: []*calloutv1.Event{{EventType: "t", Sequence: 7, EventPayloadJson: `{"n":12345678901234567890}`}}})
	if err != nil || len(response.GetIds()) != 2 {
		t.Errorf("got %v, %v", response, err)
	}
	if diff := cmp.Diff(want, operations.events); diff != "" {
		t.Errorf("protobuf (-want +got):\n%s", diff)
	}
	if _, err := client.Publish(t.Context(), &calloutv1.PublishRequest{}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("no events: %v", err)
	}

	wantJSON(t, send(h, "POST", "/v1/events", `{"events":[{},{"userID":1}]}`), 400, `{"code":3,"message":"events[1]: userID must be a string, not a number"}`)
	wantJSON(t, send(h, "GET", "/v1/events", ``), 405, `{"code":12,"message":"Method Not Allowed"}`)
	wantJSON(t, send(h, "POST", "/v1/events", strings.Repeat(" ", MaxEventsBody+1)), 413, fmt.Sprintf(`{"code":8,"message":"the body is larger than %d bytes"}`, MaxEventsBody))
	operations.err = &action.NotAllPublished{IDs: []action.EventID{"a", "b"}, Cause: errors.New("secret")}
	wantJSON(t, send(h, "POST", "/v1/events", body), 503, `{"code":14,"message":"not all events were published; sending them again with the ids in the details is safe","details":[{"@type":"type.googleapis.com/callout.v1.PublishResponse","ids":["a","b"]}]}`)
}

type withToken struct{ client *http.Client }

func (c withToken) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer owner")
	return c.client.Do(r)
}
