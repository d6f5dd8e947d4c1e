package queue_test

import (
	"testing"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/queue"
)

func TestAddressed(t *testing.T) {
	m, err := queue.EncodeEvent(action.Occurrence{Source: "urn:shop", ID: "e", Type: "a.b"})
	if err != nil {
		t.Fatal(err)
	}
	if to, err := queue.Addressee(m); to != "" || err != nil {
		t.Errorf("an event for whomever the executions say: %q, %v", to, err)
	}
	one := queue.Addressed(m, "t1")
	if to, err := queue.Addressee(one); to != "t1" || err != nil {
		t.Errorf("got %q, %v", to, err)
	}
	if event, err := queue.DecodeEvent(one); err != nil || event.Source != "urn:shop" || event.ID != "e" {
		t.Errorf("the event is %+v, %v", event, err)
	}
	if _, changed := m.Attributes["target"]; changed {
		t.Error("the message it was made from is addressed too")
	}
	for _, bad := range []string{"", "a/b", "..", "__x"} {
		if to, err := queue.Addressee(queue.Message{Attributes: map[string]string{"target": bad}}); !errs.Is(err, errs.InvalidArgument) {
			t.Errorf("%q: got %q, %v", bad, to, err)
		}
	}
}
