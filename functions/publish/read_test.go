package publish_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/functions/publish"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// binary is what a request in binary mode needs.
func binary(pairs ...string) http.Header {
	h := header("ce-specversion", "1.0", "ce-id", "e1", "ce-source", "urn:shop", "ce-type", "order.created")
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

const structured = `{"specversion":"1.0","id":"e1","source":"urn:shop","type":"order.created","data":{"n":12345678901234567890}}`

func TestReadAllForms(t *testing.T) {
	order := action.Occurrence{Source: "urn:shop", ID: "e1", Type: "order.created", Payload: []byte(`{"n":12345678901234567890}`)}
	with := func(edit func(*action.Occurrence)) action.Occurrence {
		o := order
		edit(&o)
		return o
	}
	plain := with(func(o *action.Occurrence) { o.Source = "" })
	const reference = `{"id":"e1","event_type":"order.created","event_payload":{"n":12345678901234567890}}`
	tests := []struct {
		name   string
		header http.Header
		body   string
		want   []action.Occurrence
	}{
		{"the reference's JSON", header("Content-Type", "application/json"), reference, []action.Occurrence{plain}},
		{"with a charset", header("Content-Type", "application/json; charset=utf-8"), reference, []action.Occurrence{plain}},
		{"in capitals", header("Content-Type", "Application/JSON"), reference, []action.Occurrence{plain}},
		{"several", header("Content-Type", "application/json"), `{"events":[` + reference + `,{"event_type":"a"}]}`, []action.Occurrence{plain, {Type: "a"}}},
		{"structured", header("Content-Type", "application/cloudevents+json"), structured, []action.Occurrence{order}},
		{"structured wins over headers", func() http.Header {
			h := binary("ce-id", "other", "Content-Type", "application/cloudevents+json; charset=utf-8")
			return h
		}(), structured, []action.Occurrence{order}},
		{"a batch", header("Content-Type", "application/cloudevents-batch+json"), "[" + structured + "," + structured + "]", []action.Occurrence{order, order}},
		{"binary", binary("Content-Type", "application/json"), `{"n":12345678901234567890}`, []action.Occurrence{order}},
		{"binary without a content type", binary(), `{"n":12345678901234567890}`, []action.Occurrence{order}},
		{"binary without data", binary(), ``, []action.Occurrence{with(func(o *action.Occurrence) { o.Payload = []byte{} })}},
		{"binary with percent-encoding", binary("ce-subject", "J%C3%BCrgen%20100%25"), `1`,
			[]action.Occurrence{with(func(o *action.Occurrence) { o.AggregateID, o.Payload = "Jürgen 100%", []byte("1") })}},
		{"binary with a lone percent sign", binary("ce-subject", "100%"), `1`,
			[]action.Occurrence{with(func(o *action.Occurrence) { o.AggregateID, o.Payload = "100%", []byte("1") })}},
		{"binary with all extensions", binary("ce-aggregatetype", "cart", "ce-resourceowner", "202", "ce-userid", "303", "ce-aggregateversion", "v2", "ce-instanceid", "i",
			"ce-sequence", "7", "ce-time", "2025-01-02T03:04:05Z", "ce-traceparent", "00-x"), `1`,
			[]action.Occurrence{with(func(o *action.Occurrence) {
				o.AggregateType, o.ResourceOwner, o.UserID, o.Version, o.Instance, o.Sequence = "cart", "202", "303", "v2", "i", 7
				o.CreatedAt, o.Payload = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), []byte("1")
			})}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := publish.Read(tt.header, []byte(tt.body))
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestReadRefusesByIndex(t *testing.T) {
	batch := header("Content-Type", "application/cloudevents-batch+json")
	tests := []struct {
		name   string
		header http.Header
		body   string
		says   string
	}{
		{"no content type", header(), `{}`, "Content-Type must be"},
		{"a form", header("Content-Type", "application/x-www-form-urlencoded"), `a=b`, "Content-Type must be"},
		{"a malformed content type", header("Content-Type", "application/json; ="), `{}`, "Content-Type is malformed"},
		{"JSON that is none", header("Content-Type", "application/json"), `{`, "body: this is not JSON"},
		{"the second of the reference's", header("Content-Type", "application/json"), `{"events":[{},{"sequence":-1}]}`, "events[1]: sequence"},
		{"structured without a type", header("Content-Type", "application/cloudevents+json"), `{"specversion":"1.0","id":"1","source":"s"}`, "events[0]: CloudEvent: type"},
		{"structured with base64", header("Content-Type", "application/cloudevents+json"), `{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"MQ=="}`, "events[0]: data_base64"},
		{"structured that is an array", header("Content-Type", "application/cloudevents+json"), `[` + structured + `]`, "events[0]: "},
		{"the third of a batch", batch, "[" + structured + "," + structured + `,{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"text/xml","data":"x"}]`, "events[2]: datacontenttype"},
		{"a batch that is an object", batch, structured, "events must be a JSON array"},
		{"an empty batch", batch, `[]`, "events: there must be 1 to 1000"},
		{"a batch too long", batch, "[" + strings.Repeat(structured+",", 1000) + structured + "]", "events: there must be 1 to 1000"},
		{"a batch of numbers", batch, `[1]`, "events[0]: "},
		{"half a batch", batch, `[` + structured, "events: this is not JSON"},
		{"binary of version 0.3", binary("ce-specversion", "0.3"), `1`, "events[0]: specversion must be 1.0"},
		{"binary without an id", binary("ce-id", ""), `1`, "events[0]: attribute id"},
		{"binary text", binary("Content-Type", "text/plain"), `x`, "events[0]: datacontenttype"},
		{"binary with a header without a name", binary("ce-", "x"), `1`, "events[0]: "},
		{"binary with a bad sequence", binary("ce-sequence", "x"), `1`, "events[0]: sequence"},
		{"binary with a header twice", func() http.Header {
			h := binary()
			h.Add("ce-id", "e2")
			return h
		}(), `1`, "events[0]: header Ce-Id is given more than once"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := publish.Read(tt.header, []byte(tt.body))
			if !errs.Is(err, errs.InvalidArgument) || !strings.HasPrefix(err.Error(), tt.says) {
				t.Errorf("got %+v, %v; want it to say %q", got, err, tt.says)
			}
		})
	}
}

// FuzzRead: any request is read or refused as bad input; it never panics, and never is our fault.
func FuzzRead(f *testing.F) {
	f.Add("application/json", "", "", "", []byte(`{"events":[{"event_type":"a"}]}`))
	f.Add("application/cloudevents+json", "", "", "", []byte(structured))
	f.Add("application/cloudevents-batch+json", "", "", "", []byte("["+structured+"]"))
	f.Add("", "1.0", "sequence", "7", []byte(`1`))
	f.Add("application/json", "1.0", "", "%zz", []byte(``))
	f.Fuzz(func(t *testing.T, contentType, version, name, value string, body []byte) {
		h := header("Content-Type", contentType)
		if version != "" {
			h = binary("Content-Type", contentType, "ce-specversion", version, "ce-"+name, value)
		}
		events, err := publish.Read(h, body)
		if err != nil && !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("kind %s: %v", errs.KindOf(err), err)
		}
		if err == nil && (len(events) < 1 || len(events) > action.MaxEvents) {
			t.Errorf("%s events", strconv.Itoa(len(events)))
		}
	})
}
