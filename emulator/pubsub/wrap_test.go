package pubsub

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/google/go-cmp/cmp"
)

// received is a push as a receiver that knows nothing of this package reads it.
type received struct {
	Message struct {
		Data        string            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		MessageID   string            `json:"messageId"`
		PublishTime string            `json:"publishTime"`
		OrderingKey string            `json:"orderingKey"`
	} `json:"message"`
	Subscription    string `json:"subscription"`
	DeliveryAttempt int    `json:"deliveryAttempt"`
}

// Whatever is published, the body of its push is JSON that gives back the same.
func FuzzPushBody(f *testing.F) {
	f.Add([]byte("data"), "key", "value", "order", uint8(1))
	f.Add([]byte{0, 0xff}, "</script>", "\u2028\"\\\x00", "", uint8(0))
	f.Add([]byte(nil), "", "🙂", "\n", uint8(100))
	f.Fuzz(func(t *testing.T, data []byte, key, value, order string, attempt uint8) {
		if !utf8.ValidString(key) || !utf8.ValidString(value) || !utf8.ValidString(order) {
			return // gRPC refuses them before we see them
		}
		at := time.UnixMilli(1_700_000_000_123)
		m := newMessage(42, at, &pubsubpb.PubsubMessage{Data: data, Attributes: map[string]string{key: value}, OrderingKey: order})
		body := wrap("projects/p/subscriptions/s", m, int(attempt))
		var got, want received
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		want.Message.Data = base64.StdEncoding.EncodeToString(data)
		want.Message.Attributes = map[string]string{key: value}
		want.Message.MessageID, want.Message.PublishTime, want.Message.OrderingKey = "42", "2023-11-14T22:13:20.123Z", order
		want.Subscription, want.DeliveryAttempt = "projects/p/subscriptions/s", int(attempt)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// An acknowledgement id is read back as it was written, and nothing else is one.
func FuzzAckID(f *testing.F) {
	f.Add(ackID{1, 2, 3}.String())
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Add("000000000000000\r0000000000000000")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := parseAckID(s)
		if ok && a.String() != s {
			t.Errorf("%q is read as %v, which is %q", s, a, a.String())
		}
	})
}

// A record in the store that is cut short or made up is refused, and never a panic.
func FuzzRecords(f *testing.F) {
	value, err := encodeMessage(&pubsubpb.PubsubMessage{Data: []byte("x"), Attributes: map[string]string{"a": "b"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add(failureMark(&delivery{failed: 300, due: time.Unix(1, 2)}))
	f.Add([]byte{1, 0x80})
	f.Fuzz(func(t *testing.T, value []byte) {
		if m, err := decodeMessage(7, value); err == nil && m.pb.MessageId != "7" {
			t.Errorf("message id %q", m.pb.MessageId)
		}
		if len(value) > 0 {
			readFailure(value)
		}
	})
}

func TestMarks(t *testing.T) {
	if !isAcked(ackedMark()) {
		t.Error("an acknowledged mark is not read as one")
	}
	for _, failed := range []int{1, 127, 128, 100_000} {
		due := time.Unix(0, 1_700_000_000_000_000_001)
		mark := failureMark(&delivery{failed: failed, due: due})
		if n, at := readFailure(mark); n != failed || !at.Equal(due) || isAcked(mark) {
			t.Errorf("%d failures, due %v: got %d, %v", failed, due, n, at)
		}
	}
}

// Numbers rise and never come twice, even when the clock stands still or goes back.
func TestStampsRise(t *testing.T) {
	ahead := seqAt(time.Now().Add(time.Hour))
	j := &journal{highest: ahead}
	last, lastTime := seq(0), time.Time{}
	for range 1000 {
		n, at := j.stamp()
		if n <= last || n <= ahead {
			t.Fatalf("%d after %d and %d", n, last, ahead)
		}
		if at.Before(lastTime) {
			t.Fatalf("%v after %v", at, lastTime)
		}
		last, lastTime = n, at
	}
	if id := newMessage(last, lastTime, &pubsubpb.PubsubMessage{}).pb.MessageId; id != strconv.FormatUint(uint64(last), 10) {
		t.Errorf("message id %q", id)
	}
}
