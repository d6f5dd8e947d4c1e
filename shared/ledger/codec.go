package ledger

import (
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/shared/action"
)

// Event is an event as recorded.
type Event struct {
	Instance action.InstanceID
	Source   string
	ID       action.EventID
	Type     string
	// Body is the JSON that targets receive.
	Body []byte
	// Message is the id of the queue's message that brought the event: the same one coming again is a crash, another one a duplicate.
	Message string
	// Trace is the W3C traceparent that its deliveries are a part of, "" for none.
	Trace string
	// Execution is what it matched, "" for none, and Targets who was to be called.
	Execution action.ExecutionID
	Targets   []action.TargetID
	Created   time.Time
	Expires   time.Time
	// Erased says that the body was removed on request.
	Erased bool
}

// Key names the event's document.
func (e Event) Key() action.EventKey { return action.KeyOfEvent(e.Instance, e.Source, e.ID) }

// Deliveries lists the ids of the event's deliveries.
func (e Event) Deliveries() []action.DeliveryID {
	ids := make([]action.DeliveryID, len(e.Targets))
	for i, t := range e.Targets {
		ids[i] = action.DeliveryOf(e.Key(), t)
	}
	return ids
}

func encodeEvent(e Event) map[string]*firestorepb.Value {
	f := newFields()
	f.setText("id", string(e.ID))
	f.setText("source", e.Source)
	f.setText("type", e.Type)
	f.setBytes("payload", e.Body)
	f.setText("message", e.Message)
	f.setText("trace", e.Trace)
	f.setText("execution", string(e.Execution))
	var targets []*firestorepb.Value
	for _, t := range e.Targets {
		targets = append(targets, text(string(t)))
	}
	f.setList("targets", targets)
	f.setTime("created", e.Created)
	f.setTime("expireAt", e.Expires)
	f.setBool("erased", e.Erased)
	return f.values
}

func decodeEvent(doc *firestorepb.Document) (Event, error) {
	f := &fields{values: doc.GetFields()}
	e := Event{
		Instance: instanceOf(doc.GetName()), Source: f.text("source"), ID: action.EventID(f.text("id")), Type: f.text("type"),
		Body: f.bytes("payload"), Message: f.text("message"), Trace: f.text("trace"), Execution: action.ExecutionID(f.text("execution")),
		Created: f.time("created"), Expires: f.time("expireAt"), Erased: f.bool("erased"),
	}
	for _, t := range f.list("targets") {
		e.Targets = append(e.Targets, action.TargetID(t.GetStringValue()))
	}
	if f.err != nil {
		return Event{}, fmt.Errorf("event document %s: %w", doc.GetName(), f.err)
	}
	return e, nil
}

func encodeDelivery(d action.Delivery) map[string]*firestorepb.Value {
	f := newFields()
	f.setText("event", string(d.Event))
	f.setText("target", string(d.Target))
	f.setText("type", d.EventType)
	f.setText("state", string(d.State))
	var attempts []*firestorepb.Value
	for _, a := range d.Attempts {
		attempts = append(attempts, mapValue(encodeAttempt(a)))
	}
	f.setList("attempts", attempts)
	f.setInt("before", int64(d.Before))
	f.setText("follows", string(d.Follows))
	f.setBool("waits", d.Waits)
	var unblocks []*firestorepb.Value
	for _, id := range d.Unblocks {
		unblocks = append(unblocks, text(string(id)))
	}
	f.setList("unblocks", unblocks)
	f.setText("held", string(d.Held))
	// A shard of 0 is written too: what an index does not hold, a search does not find.
	f.values["shard"] = integer(int64(d.Shard))
	f.setText("reason", d.Reason)
	f.setText("lane", d.Lane)
	f.setTime("due", d.Due)
	f.setTime("created", d.Created)
	f.setTime("changed", d.Changed)
	f.setTime("expireAt", d.Expires)
	return f.values
}

func encodeAttempt(a action.Attempt) *fields {
	f := newFields()
	f.setInt("n", int64(a.Number))
	f.setTime("start", a.Start)
	f.setInt("tookMicros", a.Took.Microseconds())
	f.setInt("status", int64(a.Status))
	f.setText("outcome", string(a.Outcome))
	f.setText("error", string(a.Error))
	f.setText("answer", strings.ToValidUTF8(a.Answer, "\uFFFD"))
	return f
}

// deliveryMask is all fields of a delivery. Saving one leaves alone any other: what a newer version put there.
var deliveryMask = &firestorepb.DocumentMask{FieldPaths: []string{"event", "target", "type", "state", "attempts", "before", "follows", "waits",
	"unblocks", "held", "shard", "reason", "lane", "due", "created", "changed", "expireAt"}}

func decodeDelivery(doc *firestorepb.Document) (action.Delivery, error) {
	f := &fields{values: doc.GetFields()}
	d := action.Delivery{
		ID: action.DeliveryID(lastSegment(doc.GetName())), Instance: instanceOf(doc.GetName()),
		Event: action.EventKey(f.text("event")), Target: action.TargetID(f.text("target")), EventType: f.text("type"),
		State: action.State(f.text("state")), Reason: f.text("reason"), Lane: f.text("lane"), Due: f.time("due"),
		Before: int(f.int("before")), Follows: action.DeliveryID(f.text("follows")), Waits: f.bool("waits"), Held: action.Hold(f.text("held")), Shard: int(f.int("shard")),
		Created: f.time("created"), Changed: f.time("changed"), Expires: f.time("expireAt"),
	}
	for _, v := range f.list("unblocks") {
		d.Unblocks = append(d.Unblocks, action.DeliveryID(v.GetStringValue()))
	}
	for _, v := range f.list("attempts") {
		a := &fields{values: v.GetMapValue().GetFields()}
		d.Attempts = append(d.Attempts, action.Attempt{
			Number: int(a.int("n")), Start: a.time("start"), Took: time.Duration(a.int("tookMicros")) * time.Microsecond,
			Status: int(a.int("status")), Outcome: action.Outcome(a.text("outcome")), Error: action.ErrorKind(a.text("error")), Answer: a.text("answer"),
		})
		if a.err != nil && f.err == nil {
			f.err = fmt.Errorf("attempts: %w", a.err)
		}
	}
	if f.err == nil && !d.State.Known() {
		f.err = fmt.Errorf("field state is %q, which this version does not know", d.State)
	}
	if f.err != nil {
		return action.Delivery{}, fmt.Errorf("delivery document %s: %w", doc.GetName(), f.err)
	}
	return d, nil
}

func lastSegment(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// instanceOf reads the instance from a document's name: …/documents/instances/{instance}/….
func instanceOf(name string) action.InstanceID {
	_, rest, _ := strings.Cut(name, "/documents/instances/")
	instance, _, _ := strings.Cut(rest, "/")
	return action.InstanceID(instance)
}
