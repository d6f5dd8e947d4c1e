package queue_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/queue"
)

var published = time.Date(2026, 2, 3, 4, 5, 6, 7000, time.UTC)

// ce makes the attributes of the binary Pub/Sub binding from pairs; what is needed is there already.
func ce(pairs ...string) map[string]string {
	a := map[string]string{"ce-specversion": "1.0", "ce-id": "e1", "ce-source": "urn:shop", "ce-type": "order.created"}
	for i := 0; i < len(pairs); i += 2 {
		a[pairs[i]] = pairs[i+1]
	}
	return a
}

func TestDecodeEvent(t *testing.T) {
	order := action.Occurrence{Instance: "default", Source: "urn:shop", ID: "e1", Type: "order.created", AggregateType: "order", CreatedAt: published, Payload: []byte(`{"n":1}`)}
	with := func(edit func(*action.Occurrence)) action.Occurrence {
		o := order
		edit(&o)
		return o
	}
	tests := []struct {
		name string
		m    queue.Message
		want action.Occurrence
	}{
		{"the reference's JSON", queue.Message{ID: "m1", Data: []byte(`{"event_type":"order.created","event_payload":{"n":1}}`)},
			with(func(o *action.Occurrence) { o.ID, o.Source = "m1", "" })},
		{"an id and an instance of its own", queue.Message{ID: "m1", Data: []byte(`{"id":"x","instanceID":"i2","event_type":"order.created","event_payload":{"n":1}}`)},
			with(func(o *action.Occurrence) { o.ID, o.Source, o.Instance = "x", "", "i2" })},
		{"a source beside it", queue.Message{ID: "m1", Data: []byte(`{"event_type":"order.created","event_payload":{"n":1}}`), Attributes: map[string]string{"source": "urn:shop"}},
			with(func(o *action.Occurrence) { o.ID = "m1" })},
		{"structured", queue.Message{ID: "m1", Attributes: map[string]string{"content-type": "application/cloudevents+json; charset=utf-8"},
			Data: []byte(`{"specversion":"1.0","id":"e1","source":"urn:shop","type":"order.created","data":{"n":1}}`)}, order},
		{"structured, as the SDK for Go sends it", queue.Message{ID: "m1", Attributes: map[string]string{"Content-Type": "application/cloudevents+json"},
			Data: []byte(`{"specversion":"1.0","id":"e1","source":"urn:shop","type":"order.created","data":{"n":1}}`)}, order},
		{"binary", queue.Message{ID: "m1", Attributes: ce(), Data: []byte(`{"n":1}`)}, order},
		{"binary with a content type", queue.Message{ID: "m1", Attributes: ce("content-type", "application/vnd.acme+json"), Data: []byte(`{"n":1}`)}, order},
		{"binary as the SDK for Go sends it", queue.Message{ID: "m1", Attributes: ce("Content-Type", "application/json"), Data: []byte(`{"n":1}`)}, order},
		{"binary without data", queue.Message{ID: "m1", Attributes: ce()}, with(func(o *action.Occurrence) { o.Payload = nil })},
		{"binary with everything", queue.Message{ID: "m1", Data: []byte(`{"n":1}`), Attributes: ce("ce-subject", "404", "ce-time", "2025-01-02T04:04:05.5+01:00", "ce-aggregatetype", "cart",
			"ce-resourceowner", "202", "ce-userid", "303", "ce-aggregateversion", "v2", "ce-instanceid", "i2", "ce-sequence", "18446744073709551615", "ce-dataschema", "urn:x", "ce-other", "y")},
			with(func(o *action.Occurrence) {
				o.AggregateID, o.AggregateType, o.ResourceOwner, o.UserID, o.Version, o.Instance = "404", "cart", "202", "303", "v2", "i2"
				o.Sequence, o.CreatedAt = 1<<64-1, time.Date(2025, 1, 2, 3, 4, 5, 5e8, time.UTC)
			})},
		{"binary data of null", queue.Message{Attributes: ce(), Data: []byte(`null`)}, with(func(o *action.Occurrence) { o.Payload = []byte("null") })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.m.Published = published
			got, err := queue.DecodeEvent(tt.m)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestDecodeEventWithoutPublishTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, err := queue.DecodeEvent(queue.Message{ID: "m", Data: []byte(`{"event_type":"a"}`)})
		if err != nil || !o.CreatedAt.Equal(time.Now()) {
			t.Errorf("got %v, %v", o.CreatedAt, err)
		}
	})
}

func TestDecodeEventRefuses(t *testing.T) {
	structured := func(data string) queue.Message {
		return queue.Message{ID: "m", Data: []byte(data), Attributes: map[string]string{"content-type": "application/cloudevents+json"}}
	}
	binary := func(data string, pairs ...string) queue.Message {
		return queue.Message{ID: "m", Data: []byte(data), Attributes: ce(pairs...)}
	}
	tests := []struct {
		name string
		m    queue.Message
		kind errs.Kind
		says string
	}{
		{"nothing", queue.Message{ID: "m"}, errs.InvalidArgument, "JSON"},
		{"no id anywhere", queue.Message{Data: []byte(`{"event_type":" "}`)}, errs.InvalidArgument, "event_type"},
		{"no type", queue.Message{ID: "m", Data: []byte(`{}`)}, errs.InvalidArgument, "event_type"},
		{"a list", queue.Message{ID: "m", Data: []byte(`[]`)}, errs.InvalidArgument, "object"},
		{"an instance that is none", queue.Message{ID: "m", Data: []byte(`{"event_type":"a","instanceID":"a/b"}`)}, errs.InvalidArgument, "instanceID"},
		{"a source too long", queue.Message{ID: "m", Data: []byte(`{"event_type":"a"}`), Attributes: map[string]string{"source": strings.Repeat("x", 1025)}}, errs.InvalidArgument, "source"},
		{"too much payload", binary(`"` + strings.Repeat("x", 512<<10) + `"`), errs.TooLarge, "event_payload"},
		{"version 0.3, binary", binary(`1`, "ce-specversion", "0.3"), errs.InvalidArgument, "specversion"},
		{"an unknown version, binary", binary(`1`, "ce-specversion", "9"), errs.InvalidArgument, "specversion"},
		{"version 0.3, structured", structured(`{"specversion":"0.3","id":"1","source":"s","type":"t"}`), errs.InvalidArgument, "specversion"},
		{"no version, structured", structured(`{"id":"1","source":"s","type":"t"}`), errs.InvalidArgument, "specversion"},
		{"a version that is a number", structured(`{"specversion":1.0,"id":"1","source":"s","type":"t"}`), errs.InvalidArgument, "CloudEvent"},
		{"no id", binary(`1`, "ce-id", ""), errs.InvalidArgument, "id"},
		{"no source", structured(`{"specversion":"1.0","id":"1","type":"t"}`), errs.InvalidArgument, "source"},
		{"no CloudEvents type", structured(`{"specversion":"1.0","id":"1","source":"s"}`), errs.InvalidArgument, "type"},
		{"a type with a slash", structured(`{"specversion":"1.0","id":"1","source":"s","type":"a/b"}`), errs.InvalidArgument, "event_type"},
		{"a source that is no URI", binary(`1`, "ce-source", "%zz"), errs.InvalidArgument, "source"},
		{"a time that is none", binary(`1`, "ce-time", "yesterday"), errs.InvalidArgument, "time"},
		{"a sequence that is none", binary(`1`, "ce-sequence", "one"), errs.InvalidArgument, "sequence"},
		{"a sequence that says null", binary(`1`, "ce-sequence", "null"), errs.InvalidArgument, "sequence"},
		{"an extension with a bad name", binary(`1`, "ce-a_b", "x"), errs.InvalidArgument, "a_b"},
		{"an extension without a name", binary(`1`, "ce-", "x"), errs.InvalidArgument, ""},
		{"an extension that is an object", structured(`{"specversion":"1.0","id":"1","source":"s","type":"t","userid":{}}`), errs.InvalidArgument, ""},
		{"an instance in an extension that is none", binary(`1`, "ce-instanceid", "a b"), errs.InvalidArgument, "instanceID"},
		{"text", binary(`text`, "content-type", "text/plain"), errs.InvalidArgument, "datacontenttype"},
		{"text, structured", structured(`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/plain","data":"x"}`), errs.InvalidArgument, "datacontenttype"},
		{"a content type that is none", binary(`1`, "content-type", "json;;"), errs.InvalidArgument, "datacontenttype"},
		{"base64", structured(`{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"eyJhIjoxfQ=="}`), errs.InvalidArgument, "data_base64"},
		{"base64 said to be JSON", structured(`{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"application/json","data_base64":"eyJhIjoxfQ=="}`), errs.InvalidArgument, "data_base64"},
		{"data that is not JSON", binary(`{`), errs.InvalidArgument, "event_payload"},
		{"data that is not UTF-8", binary("\"\xff\""), errs.InvalidArgument, "event_payload"},
		{"something behind it", structured(`{"specversion":"1.0","id":"1","source":"s","type":"t"} x`), errs.InvalidArgument, "JSON"},
		{"a batch", structured(`[]`), errs.InvalidArgument, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, err := queue.DecodeEvent(tt.m)
			if !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %+v, %v; want %s that says %q", o, err, tt.kind, tt.says)
			}
		})
	}
}

func TestCloudEventKeepsEveryDigit(t *testing.T) {
	const data = `{"big":12345678901234567890123,"dec":0.10,"z":1,"a":"<é>"}`
	o, err := queue.ParseCloudEvent([]byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","data":` + data + `}`))
	if err != nil || string(o.Payload) != data {
		t.Errorf("got %s, %v", o.Payload, err)
	}
}

func TestEventsPassThroughTheQueue(t *testing.T) {
	for _, o := range []action.Occurrence{
		{Instance: "i", ID: "a", Type: "t", CreatedAt: published, AggregateType: "t"},
		{Instance: "i", Source: "urn:é", ID: "a.b\x00", Type: "t.u", CreatedAt: published, AggregateType: "x", AggregateID: "1", ResourceOwner: "2", Version: "v", Sequence: 7, UserID: "3", Payload: []byte(`"<\u2028>"`)},
	} {
		m, err := queue.EncodeEvent(o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := queue.DecodeEvent(m)
		if diff := cmp.Diff(o, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

// FuzzDecodeEvent: whatever is published straight to the topic is read or refused, and what is read passes through the queue again.
func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte(`{"event_type":"a"}`), "", "", "", "")
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"a":1},"sequence":5}`), "application/cloudevents+json", "", "", "")
	f.Add([]byte(`1`), "application/json", "1.0", "sequence", "7")
	f.Add([]byte(`1`), "", "9", "time", "2025-01-02T03:04:05Z")
	f.Add([]byte(`{"specversion":"1.0","id":null,"source":"s","type":"t","data_base64":""}`), "application/cloudevents+json", "", "", "")
	f.Fuzz(func(t *testing.T, data []byte, contentType, version, name, value string) {
		m := queue.Message{ID: "m1", Published: published, Data: data, Attributes: map[string]string{"content-type": contentType}}
		if version != "" {
			m.Attributes = ce("content-type", contentType, "ce-specversion", version, "ce-"+name, value)
		}
		o, err := queue.DecodeEvent(m)
		if err != nil {
			if !errs.Is(err, errs.InvalidArgument) && !errs.Is(err, errs.TooLarge) {
				t.Errorf("kind %s: %v", errs.KindOf(err), err)
			}
			return
		}
		again, err := queue.EncodeEvent(o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := queue.DecodeEvent(again)
		if err != nil {
			t.Fatalf("%s: %v", again.Data, err)
		}
		if got.Key() != o.Key() || got.Type != o.Type || !got.CreatedAt.Equal(o.CreatedAt) {
			t.Errorf("(-want +got):\n%s", cmp.Diff(o, got))
		}
	})
}
