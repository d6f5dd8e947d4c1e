package local_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/option"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/shared/action"
)

var newRelease = flag.String("release", "", "write what this version stores and sends to testdata/releases/`version`, which must not be there")

// release is what a version of Callout left behind: documents and messages, each with a field that this version does not know, as a newer
// one would put it there, and what that version's API said of them. It is never written again: testdata/releases holds those of the past.
type release struct {
	// At is when the documents were as they are.
	At        time.Time         `json:"at"`
	Documents []json.RawMessage `json:"documents"` // google.firestore.v1.Document, named from "instances" on
	Messages  []releasedMessage `json:"messages"`
	Answers   []releasedAnswer  `json:"answers"`
	// Names are the ids of what tests use.
	Names map[string]string `json:"names"`
}

type releasedMessage struct {
	Topic      string            `json:"topic"`
	Data       json.RawMessage   `json:"data"`
	Attributes map[string]string `json:"attributes"`
}

type releasedAnswer struct {
	Verb   string          `json:"verb"`
	Path   string          `json:"path"`
	Body   map[string]any  `json:"body,omitempty"`
	Answer json.RawMessage `json:"answer"`
}

const fromNewer = "fromANewerVersion"

// inRelease is the installation of all releases: its key opens what they sealed.
func inRelease(c *local.Config) {
	c.Environ = []string{"CALLOUT_SEAL_KEYS=k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "CALLOUT_RETRY_SCHEDULE=5m,1h"}
}

// TestNewRelease writes a release. It makes one of everything: a target with all settings and keys, one that was removed and two that fail,
// executions, one of which calls nobody any more, a host's names, and events that were delivered, that wait for a retry and that are held.
func TestNewRelease(t *testing.T) {
	if *newRelease == "" {
		t.Skip("-release=v1.2.3 writes one")
	}
	folder := filepath.Join("testdata/releases", *newRelease)
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	inBubble(t, inRelease, func(t *testing.T, i *installation) {
		b := newBench(t, i, func(_ int, r received) int {
			if r.Path == "/hook" || r.Path == "/jwt" {
				return http.StatusOK
			}
			return http.StatusInternalServerError
		})
		messages := b.record(t, "events", "deliveries", "deliveries-slow", "dead-letters")
		r := release{Names: map[string]string{}}
		create := func(name, path string, more map[string]any) string {
			settle(time.Second) // so that all dates differ, in this and in what follows
			target := map[string]any{"name": name, "restWebhook": map[string]any{}, "timeout": "5s", "endpoint": "http://" + receiverAddress + path}
			maps.Copy(target, more)
			r.Names[name] = b.api.must(t, 200, "POST", "/v2/actions/targets", target)["id"].(string)
			return r.Names[name]
		}
		set := func(condition map[string]any, targets ...string) {
			settle(time.Second)
			b.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": condition, "targets": targets})
		}
		event := func(kind, name string) map[string]any { return map[string]any{"event": map[string]any{kind: name}} }
		full := create("full", "/hook", map[string]any{"payloadType": "PAYLOAD_TYPE_JSON"})
		flaky, removed := create("flaky", "/flaky", nil), create("removed", "/hook", nil)
		broken := create("broken", "/broken", map[string]any{"restWebhook": map[string]any{"interruptOnError": true}})
		b.api.must(t, 200, "POST", "/v2/actions/targets/"+full, map[string]any{"expirationSigningKey": "604800s"})
		rules := map[string]any{"ratePerSecond": 100, "concurrency": 10, "schedule": []string{"60s", "3600s"}}
		b.api.must(t, 200, "PATCH", "/v1/targets/"+full+"/delivery", rules)
		for _, name := range []string{"active", "inactive", "removed"} {
			settle(time.Second)
			key := map[string]any{"publicKey": pemJSON(aKey), "expirationDate": "2999-01-01T00:00:00Z"}
			r.Names["key "+name] = b.api.must(t, 200, "POST", "/v2/actions/targets/"+full+"/publickeys", key)["keyId"].(string)
		}
		settle(time.Second)
		keys := "/v2/actions/targets/" + full + "/publickeys/"
		b.api.must(t, 200, "POST", keys+r.Names["key active"]+"/activate", nil)
		b.api.must(t, 200, "DELETE", keys+r.Names["key removed"], nil)
		b.api.must(t, 200, "DELETE", "/v2/actions/targets/"+removed, nil)
		names := map[string]any{"services": []string{"orders.v1.Orders"}, "methods": []string{"/orders.v1.Orders/Place"},
			"events": []string{"order.created"}, "functions": []string{"price"}}
		b.api.must(t, 200, "PUT", "/v1/catalog/orders", names)
		set(event("group", "order"), full, flaky)
		set(event("event", "broken.always"), broken, full)
		set(map[string]any{"request": map[string]any{"method": "/orders.v1.Orders/Place"}}, full)
		set(map[string]any{"response": map[string]any{"all": true}}, full)
		set(map[string]any{"function": map[string]any{"name": "price"}}, full)
		set(event("event", "ended.once"), full)
		set(event("event", "ended.once"))
		set(event("event", "signed.once"), create("jwt", "/jwt", map[string]any{"payloadType": "PAYLOAD_TYPE_JWT"}))
		b.publish(t, map[string]any{"id": "j1", "event_type": "signed.once"})
		b.publish(t, map[string]any{"id": "o1", "event_type": "order.created", "aggregateID": "1", "event_payload": map[string]any{"n": 1}})
		for n := range 6 {
			b.publish(t, map[string]any{"id": fmt.Sprint("b", n), "event_type": "broken.always"})
			settle(time.Second)
		}
		settle(20 * time.Second)
		for _, ask := range []releasedAnswer{
			{"GET", "/v2/actions/targets/" + full, nil, nil},
			{"POST", "/v2/actions/targets/search", map[string]any{}, nil},
			{"POST", "/v2/actions/targets/" + full + "/publickeys/search", map[string]any{}, nil},
			{"POST", "/v2/actions/executions/search", map[string]any{}, nil},
			{"DELETE", "/v2/actions/targets/" + removed, nil, nil},
			{"DELETE", keys + r.Names["key removed"], nil, nil},
			{"PUT", "/v2/actions/executions", map[string]any{"condition": event("event", "ended.once")}, nil},
			{"GET", "/v1/catalog?host=orders", nil, nil},
			{"GET", "/v1/targets/" + full + "/delivery", nil, nil},
			{"GET", "/v1/targets/" + broken + "/delivery", nil, nil},
			{"POST", "/v1/deliveries/search", map[string]any{"counts": true}, nil},
			{"GET", "/v1/events/o1:explain", nil, nil},
			{"GET", "/v1/events/b0:explain", nil, nil},
			{"GET", "/oauth/v2/keys", nil, nil},
		} {
			ask.Answer = b.ask(t, ask)
			r.Answers = append(r.Answers, ask)
		}
		r.At = time.Now().UTC()
		for _, doc := range b.documents(t) {
			doc.CreateTime, doc.UpdateTime = nil, nil
			doc.Fields[fromNewer] = &firestorepb.Value{ValueType: &firestorepb.Value_StringValue{StringValue: "kept"}}
			r.Documents = append(r.Documents, json.RawMessage(asJSON(t, doc)))
		}
		settle(3 * time.Hour) // the retries, and the end of what had some
		r.Messages = messages()
		write(t, folder, "release.json", r)
	})
}

func write(t *testing.T, folder, name string, content any) {
	t.Helper()
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ask makes one call that must succeed, and gives its answer as it came.
func (b *bench) ask(t *testing.T, a releasedAnswer) json.RawMessage {
	t.Helper()
	var body []byte
	if a.Body != nil {
		body, _ = json.Marshal(a.Body)
	}
	response, answer := b.post(t, a.Verb, a.Path, bearer(b.token(t, "admin")), "application/json", body)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s", a.Verb, a.Path, response.StatusCode, answer)
	}
	return json.RawMessage(compact(t, answer))
}

// record subscribes to topics; what it gives tells what was sent, one message of each kind, with more in it than this version knows.
func (b *bench) record(t *testing.T, topics ...string) func() []releasedMessage {
	t.Helper()
	subscriber := pubsubpb.NewSubscriberClient(b.pubsub)
	project := "projects/" + local.Project
	for _, topic := range topics {
		s := &pubsubpb.Subscription{Name: project + "/subscriptions/record-" + topic, Topic: project + "/topics/" + topic}
		if _, err := subscriber.CreateSubscription(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return func() []releasedMessage {
		var all []releasedMessage
		for _, topic := range topics {
			pull := &pubsubpb.PullRequest{Subscription: project + "/subscriptions/record-" + topic, MaxMessages: 1000}
			answer, err := subscriber.Pull(t.Context(), pull)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range answer.ReceivedMessages {
				var data map[string]any
				if err := json.Unmarshal(got.Message.Data, &data); err != nil {
					t.Fatal(err)
				}
				data[fromNewer] = map[string]any{"x": 1}
				text, _ := json.Marshal(data)
				m := releasedMessage{Topic: topic, Data: text, Attributes: map[string]string{fromNewer: "x"}}
				maps.Copy(m.Attributes, got.Message.Attributes)
				all = append(all, m)
			}
		}
		return all
	}
}

func (b *bench) firestore(t *testing.T) *firestore.Client {
	t.Helper()
	client, err := firestore.NewClient(t.Context(), option.WithGRPCConn(b.conn(t, b.Info.Firestore)), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

const inDatabase = "projects/" + local.Project + "/databases/(default)"

// documents are all that there are, by their names from "instances" on.
func (b *bench) documents(t *testing.T) []*firestorepb.Document {
	t.Helper()
	stream, err := b.firestore(t).RunQuery(t.Context(), &firestorepb.RunQueryRequest{
		Parent: inDatabase + "/documents",
		QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: &firestorepb.StructuredQuery{
			From: []*firestorepb.StructuredQuery_CollectionSelector{{AllDescendants: true}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []*firestorepb.Document
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if doc := answer.GetDocument(); doc != nil {
			doc.Name = strings.TrimPrefix(doc.GetName(), inDatabase+"/documents/")
			all = append(all, doc)
		}
	}
}

// put writes the documents that are wanted, and gives them by name.
func (b *bench) put(t *testing.T, r release, wanted func(collection string) bool) map[string]*firestorepb.Document {
	t.Helper()
	put := map[string]*firestorepb.Document{}
	var writes []*firestorepb.Write
	for _, text := range r.Documents {
		doc := &firestorepb.Document{}
		if err := protojson.Unmarshal(text, doc); err != nil {
			t.Fatal(err)
		}
		if !wanted(collectionOf(doc.GetName())) {
			continue
		}
		put[doc.GetName()] = proto.CloneOf(doc)
		doc.Name = inDatabase + "/documents/" + doc.GetName()
		writes = append(writes, &firestorepb.Write{Operation: &firestorepb.Write_Update{Update: doc}})
	}
	if _, err := b.firestore(t).Commit(t.Context(), &firestorepb.CommitRequest{Database: inDatabase, Writes: writes}); err != nil {
		t.Fatal(err)
	}
	return put
}

// collectionOf is the collection of instances/{instance}/{collection}/…, or of what lies deeper.
func collectionOf(name string) string {
	parts := strings.Split(name, "/")
	return parts[len(parts)-2]
}

func (b *bench) send(t *testing.T, r release, topic string) {
	t.Helper()
	publisher := pubsubpb.NewPublisherClient(b.pubsub)
	for _, m := range r.Messages {
		if m.Topic != topic {
			continue
		}
		request := &pubsubpb.PublishRequest{Topic: "projects/" + local.Project + "/topics/" + topic,
			Messages: []*pubsubpb.PubsubMessage{{Data: m.Data, Attributes: m.Attributes}}}
		if _, err := publisher.Publish(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
}

// onEachRelease runs a test on what each release left behind, at the time when it did.
func onEachRelease(t *testing.T, test func(*testing.T, *bench, release)) {
	files, err := filepath.Glob("testdata/releases/*/release.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no releases", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var r release
			if err := json.Unmarshal(text, &r); err != nil {
				t.Fatal(err)
			}
			inBubble(t, inRelease, func(t *testing.T, i *installation) {
				time.Sleep(time.Until(r.At))
				test(t, newBench(t, i, nil), r)
			})
		})
	}
}

// TestReleasesAreRead: what a former version stored is told as that version told it. What it did not tell may come on top.
func TestReleasesAreRead(t *testing.T) {
	onEachRelease(t, func(t *testing.T, b *bench, r release) {
		b.put(t, r, func(string) bool { return true })
		for _, a := range r.Answers {
			var told, tells any
			answer := b.ask(t, a)
			if err := json.Unmarshal(a.Answer, &told); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(answer, &tells); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(told, among(told, tells)); diff != "" {
				t.Errorf("%s %s (-as told +as it is):\n%s", a.Verb, a.Path, diff)
			}
		}
	})
}

// among leaves out the fields that were not told.
func among(told, tells any) any {
	switch was := told.(type) {
	case map[string]any:
		is, ok := tells.(map[string]any)
		if !ok {
			return tells
		}
		kept := map[string]any{}
		for name, value := range is {
			if _, ok := was[name]; ok {
				kept[name] = among(was[name], value)
			}
		}
		return kept
	case []any:
		is, ok := tells.([]any)
		if !ok || len(is) != len(was) {
			return tells
		}
		kept := make([]any, len(is))
		for n := range is {
			kept[n] = among(was[n], is[n])
		}
		return kept
	default:
		return tells
	}
}

// TestUpdatesKeepWhatTheyDoNotKnow: whatever is done to what a newer version wrote, its fields stay, in every document that is not removed.
func TestUpdatesKeepWhatTheyDoNotKnow(t *testing.T) {
	onEachRelease(t, func(t *testing.T, b *bench, r release) {
		before := b.put(t, r, func(string) bool { return true })
		full, broken := "/v2/actions/targets/"+r.Names["full"], "/v1/targets/"+r.Names["broken"]
		event := func(name string) map[string]any { return map[string]any{"event": map[string]any{"event": name}} }
		b.api.must(t, 200, "POST", full, map[string]any{"name": "another", "restAsync": map[string]any{}, "expirationSigningKey": "3600s"})
		b.api.must(t, 200, "PATCH", "/v1/targets/"+r.Names["full"]+"/delivery", map[string]any{"ratePerSecond": 50})
		for _, act := range []string{"/activate", "/deactivate"} {
			b.api.must(t, 200, "POST", full+"/publickeys/"+r.Names["key inactive"]+act, nil)
		}
		set := func(condition map[string]any, targets ...string) {
			b.api.must(t, 200, "PUT", "/v2/actions/executions", map[string]any{"condition": condition, "targets": targets})
		}
		set(event("broken.always"), r.Names["full"])
		set(event("ended.once"), r.Names["full"])
		set(map[string]any{"response": map[string]any{"all": true}})
		b.api.must(t, 200, "PUT", "/v1/catalog/orders", map[string]any{"events": []string{"order.paid"}})
		b.api.must(t, 200, "POST", broken+":pause", map[string]any{})
		b.api.must(t, 200, "POST", broken+":resume", map[string]any{})
		b.api.must(t, 200, "DELETE", "/v2/actions/targets/"+r.Names["flaky"], nil)
		b.api.must(t, 200, "DELETE", "/v1/events/o1", nil)
		changed := map[string]int{}
		for range 2 { // at once, and after what is due was done: deliveries that were held or due again
			for _, doc := range b.documents(t) {
				was := before[doc.GetName()]
				if was == nil {
					continue
				}
				if got := doc.GetFields()[fromNewer].GetStringValue(); got != "kept" {
					t.Errorf("%s lost it: %v", doc.GetName(), doc.GetFields())
				}
				if diff := cmp.Diff(was.GetFields(), doc.GetFields(), protocmp.Transform()); diff != "" {
					changed[collectionOf(doc.GetName())]++
				}
			}
			settle(10 * time.Minute)
		}
		for _, collection := range []string{"targets", "publicKeys", "executions", "events", "deliveries", "valves", "catalogue"} {
			if changed[collection] == 0 {
				t.Errorf("nothing of %s was changed: %v", collection, changed)
			}
		}
	})
}

// TestReleasedMessagesAreRead: messages of a former version about events are dispatched, and those about deliveries ask for attempts.
func TestReleasedMessagesAreRead(t *testing.T) {
	configuration := []string{"targets", "executions", "names", "publicKeys", "catalogue", "catalogueParts", "webKeys"}
	onEachRelease(t, func(t *testing.T, b *bench, r release) {
		b.put(t, r, func(collection string) bool { return slices.Contains(configuration, collection) })
		b.send(t, r, "events")
		settle(time.Minute)
		var got []string
		for range b.receiver.count() {
			sent := <-b.receiver.all
			got = append(got, sent.Path+" "+sent.Header.Get("webhook-id"))
		}
		slices.Sort(got)
		want := []string{"/flaky o1", "/hook o1", "/jwt j1"}
		for n := range 6 {
			want = append(want, fmt.Sprint("/broken b", n), fmt.Sprint("/hook b", n))
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
	onEachRelease(t, func(t *testing.T, b *bench, r release) {
		b.put(t, r, func(string) bool { return true })
		if d := b.delivery(t, "o1", r.Names["flaky"]); d.State != action.Retrying || d.Tried() != 1 {
			t.Fatalf("before: %+v", d)
		}
		for _, topic := range []string{"deliveries", "deliveries-slow"} {
			b.send(t, r, topic)
		}
		settle(10 * time.Second) // long before it is due
		if d := b.delivery(t, "o1", r.Names["flaky"]); d.State != action.Delivered || d.Tried() != 2 {
			t.Errorf("after its message: %+v", d)
		}
	})
}
