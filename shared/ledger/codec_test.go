package ledger

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

const documents = "projects/p/databases/(default)/documents/instances/i1/"

var at = time.Date(2026, 3, 4, 5, 6, 7, 890123000, time.UTC)

func fullEvent() Event {
	return Event{Instance: "i1", Source: "urn:ü", ID: "a.b", Type: "order.created", Body: []byte(`{"a":"\u0000<"}`), Message: "m1", Execution: "event/order.*",
		Targets: []action.TargetID{"t1", "t2"}, Created: at, Expires: at.Add(time.Hour), Erased: true}
}

func fullValve() action.Valve {
	return action.Valve{Instance: "i1", Target: "t1", State: action.ValveDraining, Reason: action.HoldSlow, Since: at, Rate: 8, Wait: 5 * time.Second, Next: at.Add(time.Second),
		Judged: at.Add(2 * time.Second), Idle: at.Add(3 * time.Second), LastGood: at.Add(4 * time.Second), LastBad: at.Add(5 * time.Second)}
}

func fullDelivery() action.Delivery {
	return action.Delivery{ID: "d1", Instance: "i1", Event: "e1", Target: "t1", EventType: "order.created", State: action.Retrying, Reason: "why", Lane: "s0", Due: at.Add(time.Minute),
		Before: 1, Follows: "d0", Waits: true, Unblocks: []action.DeliveryID{"d2", "d3"}, Held: action.HoldSlow, Shard: 3,
		Created: at, Changed: at.Add(time.Second), Expires: at.Add(time.Hour), Attempts: []action.Attempt{
			{Number: 1, Start: at, Took: 1234 * time.Microsecond, Status: 500, Outcome: action.Failed, Error: action.ErrorStatus, Answer: "nö"},
			{Number: 2, Start: at.Add(time.Second), Took: time.Hour, Outcome: action.Timeout, Error: action.ErrorTimeout},
		}}
}

// stored passes fields through the wire, as Firestore does.
func stored(t testing.TB, name string, fields map[string]*firestorepb.Value) *firestorepb.Document {
	t.Helper()
	data, err := proto.Marshal(&firestorepb.Document{Name: name, Fields: fields})
	if err != nil {
		t.Fatal(err)
	}
	doc := new(firestorepb.Document)
	if err := proto.Unmarshal(data, doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestEventRoundTrip(t *testing.T) {
	for name, e := range map[string]Event{"full": fullEvent(), "empty": {Instance: "i1"}} {
		got, err := decodeEvent(stored(t, documents+"events/e1", encodeEvent(e)))
		if diff := cmp.Diff(e, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestDeliveryRoundTrip(t *testing.T) {
	for name, d := range map[string]action.Delivery{"full": fullDelivery(), "least": {ID: "d1", Instance: "i1", State: action.Pending}} {
		got, err := decodeDelivery(stored(t, documents+"deliveries/d1", encodeDelivery(d)))
		if diff := cmp.Diff(d, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestValveRoundTrip(t *testing.T) {
	for name, v := range map[string]action.Valve{"full": fullValve(), "empty": {Instance: "i1", Target: "t1"}} {
		got, err := decodeValve(stored(t, documents+"valves/t1", encodeValve(v)))
		if diff := cmp.Diff(v, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

// TestMasksAreWhole: a field that is not in its mask would never be saved again.
func TestMasksAreWhole(t *testing.T) {
	for name, tt := range map[string]struct {
		fields map[string]*firestorepb.Value
		mask   *firestorepb.DocumentMask
	}{"delivery": {encodeDelivery(fullDelivery()), deliveryMask}, "valve": {encodeValve(fullValve()), valveMask}} {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(tt.fields)), slices.Sorted(slices.Values(tt.mask.GetFieldPaths()))); diff != "" {
			t.Errorf("%s (-fields +mask):\n%s", name, diff)
		}
	}
}

func TestWhatCannotBeStoredIsCut(t *testing.T) {
	d := fullDelivery()
	d.Due = at.Add(999 * time.Nanosecond)
	d.Attempts = []action.Attempt{{Number: 1, Start: at, Took: 1999 * time.Nanosecond, Answer: "a\xff\xfeb\xc3"}}
	got, err := decodeDelivery(stored(t, documents+"deliveries/d1", encodeDelivery(d)))
	if err != nil || !got.Due.Equal(at) || got.Attempts[0].Took != time.Microsecond || got.Attempts[0].Answer != "a\uFFFDb\uFFFD" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestLargestDocumentsFit: Firestore takes 1 MiB.
func TestLargestDocumentsFit(t *testing.T) {
	d := fullDelivery()
	d.Attempts = nil
	for i := range action.MaxAttempts {
		d.Attempts = append(d.Attempts, action.Attempt{Number: i, Start: at, Took: time.Hour, Status: 500, Outcome: action.Failed, Error: action.ErrorConnection,
			Answer: strings.Repeat("\xffa", action.MaxAnswer/2)})
	}
	doc := stored(t, documents+"deliveries/d1", encodeDelivery(d))
	if n := proto.Size(doc); n > 1<<19 {
		t.Errorf("a delivery has %d bytes", n)
	}
	for _, v := range doc.GetFields()["attempts"].GetArrayValue().GetValues() {
		if !utf8.ValidString(v.GetMapValue().GetFields()["answer"].GetStringValue()) {
			t.Fatal("an answer is not UTF-8")
		}
	}
	o := action.Occurrence{Instance: "i", Type: "a", Payload: []byte(`"` + strings.Repeat("x", action.MaxPayload-2) + `"`)}
	long := strings.Repeat("\u2028", action.MaxField/3)
	o.ID, o.Source, o.AggregateID, o.AggregateType, o.ResourceOwner, o.Version, o.UserID = action.EventID(long), long, long, long, long, long, long
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	body, err := o.Body()
	if err != nil {
		t.Fatal(err)
	}
	e := Event{Instance: "i", ID: o.ID, Source: o.Source, Type: strings.Repeat("x", action.MaxName), Body: body}
	for range action.MaxTargets {
		e.Targets = append(e.Targets, action.TargetID(strings.Repeat("t", 200)))
	}
	if n := proto.Size(stored(t, documents+"events/e1", encodeEvent(e))); n > 1<<20-4096 {
		t.Errorf("an event has %d bytes", n)
	}
}

func TestDecodeRefusesFieldsOfAnotherType(t *testing.T) {
	number := &firestorepb.Value{ValueType: &firestorepb.Value_IntegerValue{IntegerValue: 1}}
	for _, field := range []string{"id", "source", "type", "payload", "message", "execution", "targets", "created", "expireAt", "erased"} {
		doc := stored(t, documents+"events/e1", encodeEvent(fullEvent()))
		doc.Fields[field] = number
		if e, err := decodeEvent(doc); err == nil || !strings.Contains(err.Error(), field) || e.ID != "" {
			t.Errorf("event, %s: got %+v, %v", field, e, err)
		}
	}
	for _, field := range []string{"event", "target", "type", "state", "attempts", "before", "follows", "waits", "unblocks", "held", "shard", "reason", "lane", "due", "created", "changed", "expireAt"} {
		doc := stored(t, documents+"deliveries/d1", encodeDelivery(fullDelivery()))
		doc.Fields[field] = number
		if field == "before" || field == "shard" {
			doc.Fields[field] = text("1")
		}
		if d, err := decodeDelivery(doc); err == nil || !strings.Contains(err.Error(), field) || d.ID != "" {
			t.Errorf("delivery, %s: got %+v, %v", field, d, err)
		}
	}
	for _, field := range []string{"state", "reason", "since", "rate", "waitMillis", "next", "judged", "idle", "lastGood", "lastBad"} {
		doc := stored(t, documents+"valves/t1", encodeValve(fullValve()))
		doc.Fields[field] = &firestorepb.Value{ValueType: &firestorepb.Value_BooleanValue{}}
		if v, err := decodeValve(doc); err == nil || !strings.Contains(err.Error(), field) || v.State != "" {
			t.Errorf("valve, %s: got %+v, %v", field, v, err)
		}
	}
	for _, field := range []string{"n", "start", "tookMicros", "status", "outcome", "error", "answer"} {
		doc := stored(t, documents+"deliveries/d1", encodeDelivery(fullDelivery()))
		doc.Fields["attempts"].GetArrayValue().Values[1].GetMapValue().Fields[field] = &firestorepb.Value{ValueType: &firestorepb.Value_BooleanValue{}}
		if d, err := decodeDelivery(doc); err == nil || !strings.Contains(err.Error(), "attempts: field "+field) {
			t.Errorf("attempt, %s: got %+v, %v", field, d, err)
		}
	}
}

// FuzzDecodeDocument: stored bytes are read or refused, and what is read is stored again as it was.
func FuzzDecodeDocument(f *testing.F) {
	for name, fields := range map[string]map[string]*firestorepb.Value{documents + "events/e1": encodeEvent(fullEvent()), documents + "deliveries/d1": encodeDelivery(fullDelivery())} {
		data, err := proto.Marshal(&firestorepb.Document{Name: name, Fields: fields})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc := new(firestorepb.Document)
		if proto.Unmarshal(data, doc) != nil {
			return
		}
		if d, err := decodeDelivery(doc); err == nil {
			again, err := decodeDelivery(&firestorepb.Document{Name: doc.GetName(), Fields: encodeDelivery(d)})
			if diff := cmp.Diff(d, again); err == nil && diff != "" && d.Due.Nanosecond()%1000 == 0 && plain(d) {
				t.Errorf("delivery (-first +second):\n%s", diff)
			}
		}
		if e, err := decodeEvent(doc); err == nil {
			if _, err := decodeEvent(&firestorepb.Document{Name: doc.GetName(), Fields: encodeEvent(e)}); err != nil {
				t.Errorf("event: %v", err)
			}
		}
	})
}

// plain says whether all times and durations are such as we write.
func plain(d action.Delivery) bool {
	times := []time.Time{d.Due, d.Created, d.Changed, d.Expires}
	for _, a := range d.Attempts {
		times = append(times, a.Start)
		if a.Took < 0 || a.Took > 1<<60 || a.Number < 0 {
			return false
		}
	}
	for _, x := range times {
		if x.Nanosecond()%1000 != 0 || x.Year() < 1 || x.Year() > 9999 {
			return false
		}
	}
	return true
}

func TestUnknownStateIsAnError(t *testing.T) {
	doc := &firestorepb.Document{Name: documents + "deliveries/d1", Fields: encodeDelivery(action.Delivery{State: "paused"})}
	if _, err := decodeDelivery(doc); err == nil || !strings.Contains(err.Error(), `"paused"`) {
		t.Errorf("a state of a later version was read as if it were known: %v", err)
	}
}

func TestNames(t *testing.T) {
	l := New(nil, "projects/p/databases/(default)", Rules{}, nil)
	if got := l.eventName("i1", "e1"); got != documents+"events/e1" || instanceOf(got) != "i1" || lastSegment(got) != "e1" {
		t.Errorf("got %s", got)
	}
	if got := l.deliveryName("i1", "d1"); got != documents+"deliveries/d1" {
		t.Errorf("got %s", got)
	}
	if instanceOf("nonsense") != "" || lastSegment("nonsense") != "nonsense" {
		t.Error("a name that is none")
	}
}

func TestMapError(t *testing.T) {
	if mapError("x", nil) != nil {
		t.Error("an error of nothing")
	}
	for code, kind := range map[codes.Code]errs.Kind{codes.AlreadyExists: errs.AlreadyExists, codes.NotFound: errs.NotFound, codes.FailedPrecondition: errs.FailedPrecondition,
		codes.Unavailable: errs.Unavailable, codes.Aborted: errs.Unavailable, codes.DeadlineExceeded: errs.Unavailable, codes.ResourceExhausted: errs.Unavailable,
		codes.Canceled: errs.Canceled, codes.InvalidArgument: errs.Internal, codes.PermissionDenied: errs.Internal} {
		cause := status.Error(code, "secret detail")
		err := mapError("read event", cause)
		e, _ := errs.As(err)
		if e.Kind != kind || strings.Contains(e.Public(), "secret") || !strings.Contains(err.Error(), "read event") || !errors.Is(err, cause) {
			t.Errorf("%s: got %+v", code, e)
		}
	}
}
