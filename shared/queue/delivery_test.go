package queue_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/queue"
)

var deliveryID = action.DeliveryOf("event", "target")

func TestDeliveryKeepsTheBodyToTheByte(t *testing.T) {
	for _, body := range []string{`{"a":"<b>&","n":12345678901234567890}`, "\"\u2028\"", `"` + strings.Repeat("x", queue.InlineLimit-2) + `"`} {
		want := queue.Delivery{Instance: "i", ID: deliveryID, Tried: 2, EventID: "e.1", Body: []byte(body)}
		m, err := queue.EncodeDelivery(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := queue.DecodeDelivery(m)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%.500s", err, diff)
		}
	}
}

func TestEncodeDeliveries(t *testing.T) {
	tried := action.Delivery{Instance: "i", ID: deliveryID, Attempts: []action.Attempt{{Number: 3}}}
	untried := action.Delivery{Instance: "j", ID: action.DeliveryOf("event", "other")}
	messages, err := queue.EncodeDeliveries(queue.Delivery{Release: true, EventID: "e", Body: []byte(`{}`)}, tried, untried)
	if err != nil {
		t.Fatal(err)
	}
	var got []queue.Delivery
	for _, m := range messages {
		d, err := queue.DecodeDelivery(m)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d)
	}
	want := []queue.Delivery{
		{Instance: "i", ID: tried.ID, Tried: 3, Release: true, EventID: "e", Body: []byte(`{}`)},
		{Instance: "j", ID: untried.ID, Release: true, EventID: "e", Body: []byte(`{}`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := queue.EncodeDeliveries(queue.Delivery{EventID: "e", Body: []byte(`{`)}, tried); err == nil {
		t.Error("a body that is not JSON was sent")
	}
}

func TestLargeBodyStaysInTheLedger(t *testing.T) {
	m, err := queue.EncodeDelivery(queue.Delivery{Instance: "i", ID: deliveryID, EventID: "e", Body: []byte(`"` + strings.Repeat("x", queue.InlineLimit-1) + `"`)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := queue.DecodeDelivery(m)
	if diff := cmp.Diff(queue.Delivery{Instance: "i", ID: deliveryID}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := queue.EncodeDelivery(queue.Delivery{Instance: "i", ID: deliveryID, EventID: "e", Body: []byte(`{`)}); err == nil {
		t.Error("a body that is not JSON was sent")
	}
}

func TestDecodeDeliveryRefuses(t *testing.T) {
	id := string(deliveryID)
	for name, data := range map[string]string{
		"nothing":                    ``,
		"no JSON":                    `x`,
		"null":                       `null`,
		"no instance":                `{"delivery":"` + id + `"}`,
		"no delivery":                `{"instance":"i"}`,
		"an instance that is a path": `{"instance":"../i","delivery":"` + id + `"}`,
		"a delivery that is a path":  `{"instance":"i","delivery":"a/b"}`,
		"a delivery of another form": `{"instance":"i","delivery":"d1"}`,
		"a negative number":          `{"instance":"i","delivery":"` + id + `","tried":-1}`,
		"a text for a number":        `{"instance":"i","delivery":"` + id + `","tried":"1"}`,
		"a body without its id":      `{"instance":"i","delivery":"` + id + `","body":{}}`,
		"two":                        `{"instance":"i","delivery":"` + id + `"}{}`,
	} {
		if got, err := queue.DecodeDelivery(queue.Message{Data: []byte(data)}); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestDeadLetterAlwaysFits(t *testing.T) {
	const most = 10_000_000 // what Pub/Sub takes
	attributes := map[string]string{}
	for i := range 100 {
		attributes[strings.Repeat("k", 200)+string(rune('a'+i%26))+string(rune('a'+i/26))] = strings.Repeat("\x01", 1024)
	}
	m, err := queue.EncodeDeadLetter(queue.DeadLetter{Reason: strings.Repeat("é", 1000) + "\xff", At: time.Unix(0, 0).UTC(), Data: make([]byte, most), Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Data) > most-4096 {
		t.Errorf("%d bytes", len(m.Data))
	}
	if r := m.Attributes["reason"]; len(r) > 1024 || !utf8.ValidString(r) || !strings.HasPrefix(r, "ééé") {
		t.Errorf("the reason has %d bytes", len(r))
	}
	var letter struct {
		Cut  bool
		Data []byte
	}
	if err := json.Unmarshal(m.Data, &letter); err != nil || !letter.Cut || len(letter.Data) != 6<<20 {
		t.Errorf("cut %v, %d bytes, %v", letter.Cut, len(letter.Data), err)
	}
}

func TestDeadLetter(t *testing.T) {
	m, err := queue.EncodeDeadLetter(queue.DeadLetter{Reason: "attempts used up", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Instance: "i",
		Delivery: "d", Target: "t", EventID: "e", Attempts: 3, Event: []byte(`{"a":"<"}`)})
	want := `{"reason":"attempts used up","at":"2026-01-02T03:04:05Z","instance":"i","delivery":"d","target":"t","eventId":"e","attempts":3,"event":{"a":"<"}}`
	if diff := cmp.Diff(want, string(m.Data)); diff != "" || err != nil || m.Attributes["reason"] != "attempts used up" {
		t.Errorf("%v, %v (-want +got):\n%s", err, m.Attributes, diff)
	}
}

func pushBody(data string) string {
	return `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `","messageId":"m1","message_id":"m1","publishTime":"2026-02-03T04:05:06.000007Z",` +
		`"publish_time":"2026-02-03T04:05:06.000007Z","attributes":{"a":"b"},"orderingKey":"o"},"subscription":"projects/p/subscriptions/s","deliveryAttempt":3}`
}

func TestDecodePush(t *testing.T) {
	got, err := queue.DecodePush([]byte(pushBody("hello")))
	want := queue.Message{ID: "m1", Published: published, Data: []byte("hello"), Attributes: map[string]string{"a": "b"}, Subscription: "projects/p/subscriptions/s"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for name, body := range map[string]string{
		"nothing": "", "null": "null", "an array": "[]", "no message": `{"subscription":"s"}`, "no id": `{"message":{"data":""}}`,
		"data that is not base64": `{"message":{"messageId":"1","data":"*"}}`, "a number for an id": `{"message":{"messageId":1}}`,
		"a bad time": `{"message":{"messageId":"1","publishTime":"x"}}`, "attributes that are no texts": `{"message":{"messageId":"1","attributes":{"a":1}}}`, "two": `{"message":{"messageId":"1"}}{}`,
	} {
		if m, err := queue.DecodePush([]byte(body)); err == nil {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}

func FuzzDecodePush(f *testing.F) {
	f.Add([]byte(pushBody(`{"event_type":"a"}`)))
	f.Add([]byte(pushBody(`{"instance":"i","delivery":"` + string(deliveryID) + `","tried":1}`)))
	f.Add([]byte(`{"message":{"messageId":"1"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := queue.DecodePush(body)
		if err == nil && m.ID == "" {
			t.Error("a message without an id")
		}
	})
}

func FuzzDecodeDelivery(f *testing.F) {
	f.Add([]byte(`{"instance":"i","delivery":"` + string(deliveryID) + `","tried":1,"eventId":"e","body":{"a":[1]}}`))
	f.Add([]byte(`{"instance":"i","delivery":"` + string(deliveryID) + `","body":null,"eventId":"e"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := queue.DecodeDelivery(queue.Message{Data: data})
		if err != nil || len(d.Body) > queue.InlineLimit {
			return
		}
		m, err := queue.EncodeDelivery(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := queue.DecodeDelivery(m)
		if err != nil {
			t.Fatal(err)
		}
		var compact bytes.Buffer
		if len(d.Body) > 0 {
			_ = json.Compact(&compact, d.Body)
			d.Body = compact.Bytes()
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
