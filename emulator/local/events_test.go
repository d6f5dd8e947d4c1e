package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/local"
)

// githubEvent is a line of testdata/github-events.jsonl.
type githubEvent struct {
	Type    string          `json:"type"`
	Subject string          `json:"subject"`
	Data    json.RawMessage `json:"data"`
}

func githubEvents(t *testing.T) []githubEvent {
	t.Helper()
	text, err := os.ReadFile("testdata/github-events.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var events []githubEvent
	for line := range bytes.Lines(text) {
		var e githubEvent
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if len(events) != 181 {
		t.Fatalf("%d events", len(events))
	}
	return events
}

// caller calls an installation's API, wherever it runs.
type caller struct {
	base string
	http *http.Client
}

// call sends JSON and reads JSON; body may be nil.
func (c caller) call(t *testing.T, method, path, contentType string, body any) (int, map[string]any) {
	t.Helper()
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, c.base+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	response, err := c.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s: %d, not JSON: %q", method, path, response.StatusCode, text)
	}
	return response.StatusCode, answer
}

func (c caller) must(t *testing.T, want int, method, path string, body any) map[string]any {
	t.Helper()
	status, answer := c.call(t, method, path, "application/json", body)
	if status != want {
		t.Fatalf("%s %s: %d, want %d: %v", method, path, status, want, answer)
	}
	return answer
}

// route makes a target at the receiver and the execution that calls it; it returns the target's id and signing key.
func (c caller) route(t *testing.T, endpoint string, condition map[string]any) (id, key string) {
	t.Helper()
	target := c.must(t, 200, "POST", "/v2/actions/targets", map[string]any{
		"name": "receiver " + endpoint, "restWebhook": map[string]any{}, "timeout": "10s", "endpoint": endpoint,
	})
	id, key = target["id"].(string), target["signingKey"].(string)
	c.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": condition, "targets": []string{id}})
	return id, key
}

func batch(events []githubEvent, source string) []map[string]any {
	var out []map[string]any
	for i, e := range events {
		out = append(out, map[string]any{
			"specversion": "1.0", "id": fmt.Sprintf("%s-%d", source, i), "source": source, "type": e.Type, "subject": e.Subject, "data": e.Data,
		})
	}
	return out
}

// checkRealEvents sends the real events in as a CloudEvents batch and straight through Pub/Sub, and checks all that a receiver gets: it
// is the same whether the functions share the emulator's process or have processes of their own.
func checkRealEvents(t *testing.T, api caller, topic *pubsub.Publisher, key string, got <-chan received) {
	t.Helper()
	events := githubEvents(t)
	status, answer := api.call(t, "POST", "/v1/events", "application/cloudevents-batch+json", batch(events, "batch"))
	if status != http.StatusAccepted || len(answer["ids"].([]any)) != len(events) {
		t.Fatalf("publish: %d %v", status, answer)
	}
	for _, e := range batch(events, "topic") {
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		result := topic.Publish(t.Context(), &pubsub.Message{Data: data, Attributes: map[string]string{"content-type": "application/cloudevents+json"}})
		if _, err := result.Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]githubEvent{}
	for i, e := range events {
		want[fmt.Sprintf("batch-%d", i)], want[fmt.Sprintf("topic-%d", i)] = e, e
	}
	timeout := time.After(time.Minute)
	for len(want) > 0 {
		select {
		case r := <-got:
			checkRealEvent(t, r, key, want)
		case <-timeout:
			t.Fatalf("%d events did not arrive", len(want))
		}
	}
}

func checkRealEvent(t *testing.T, r received, key string, want map[string]githubEvent) {
	t.Helper()
	id := r.Header.Get("webhook-id")
	sent, ok := want[id]
	if !ok {
		t.Errorf("webhook-id %q was not sent, or came twice", id)
		return
	}
	delete(want, id)
	if err := r.verify(key); err != nil {
		t.Errorf("%s: %v", id, err)
	}
	e := r.event(t)
	if e.Type != sent.Type || e.AggregateID != sent.Subject || e.AggregateType != "github" || e.InstanceID != "default" {
		t.Errorf("%s: %+v", id, e)
	}
	// reflect first: cmp takes a hundred times as long, and only has something to say where they differ.
	if want, got := exact(t, sent.Data), exact(t, e.Payload); !reflect.DeepEqual(want, got) {
		t.Errorf("%s: payload (-sent +got):\n%s", id, cmp.Diff(want, got))
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Callout-Attempt": "1"} {
		if r.Header.Get(name) != want {
			t.Errorf("%s: header %s is %q, want %q", id, name, r.Header.Get(name), want)
		}
	}
	if !strings.HasPrefix(r.Header.Get("User-Agent"), "Callout/") || r.Header.Get("Callout-Delivery") == "" || r.Header.Get("Traceparent") == "" {
		t.Errorf("%s: headers %v", id, r.Header)
	}
}

// exact decodes JSON without passing numbers through a double.
func exact(t *testing.T, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// topic is a publisher for straight publishing, as a host in the same project has one.
func topic(t *testing.T, conn *grpc.ClientConn) *pubsub.Publisher {
	t.Helper()
	client, err := pubsub.NewClient(t.Context(), local.Project, option.WithGRPCConn(conn), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	publisher := client.Publisher("events")
	t.Cleanup(publisher.Stop)
	return publisher
}

func TestRealEventsInOneProcess(t *testing.T) {
	if _, err := keys(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		i := start(t, nil)
		l, err := i.net.listen(receiverAddress)
		if err != nil {
			t.Fatal(err)
		}
		r := receive(t, l, nil)
		api := caller{i.Info.API, i.as(t.Context(), "admin")}
		_, key := api.route(t, "http://"+receiverAddress+"/hook", map[string]any{"event": map[string]any{"group": "github"}})
		conn, err := grpc.NewClient("passthrough:///pubsub", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return i.net.dial(ctx, "", i.Info.PubSub) }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		checkRealEvents(t, api, topic(t, conn), key, r.all)
	})
}
