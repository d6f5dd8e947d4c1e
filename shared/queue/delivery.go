package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// InlineLimit is how large a body may be to travel in the message of its delivery; a larger one is read from the ledger.
const InlineLimit = 64 << 10

// Delivery is the message that asks for one attempt of a delivery.
type Delivery struct {
	Instance action.InstanceID `json:"instance"`
	ID       action.DeliveryID `json:"delivery"`
	// Tried is how many attempts there were when the message was made: a message with another number is stale.
	Tried int `json:"tried"`
	// Release says that a sweeper, or a hand, let this one through its target's valve.
	Release bool `json:"release,omitempty"`
	// EventID and Body are those of the event; empty where they must be read from the ledger.
	EventID action.EventID  `json:"eventId,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// EncodeDelivery makes the message. A body over InlineLimit is left out.
func EncodeDelivery(d Delivery) (Message, error) {
	if len(d.Body) > InlineLimit {
		d.EventID, d.Body = "", nil
	}
	data, err := encode(d)
	if err != nil {
		return Message{}, fmt.Errorf("encode delivery: %w", err)
	}
	return Message{Data: data}, nil
}

// EncodeDeliveries makes the messages that ask for the next attempts of deliveries as they stand; each also says what common says of release,
// event and body.
func EncodeDeliveries(common Delivery, of ...action.Delivery) ([]Message, error) {
	messages := make([]Message, len(of))
	for i, d := range of {
		common.Instance, common.ID, common.Tried = d.Instance, d.ID, d.Tried()
		var err error
		if messages[i], err = EncodeDelivery(common); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

// encode leaves the bodies inside as they are: json.Marshal would escape "<", and a target would get other bytes with its first attempt,
// whose body comes from here, than with later ones, whose body comes from the ledger.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// DecodeDelivery reads what EncodeDelivery made.
func DecodeDelivery(m Message) (Delivery, error) {
	var d Delivery
	if err := json.Unmarshal(m.Data, &d); err != nil {
		return Delivery{}, fmt.Errorf("delivery message: %w", err)
	}
	switch {
	case !d.Instance.Valid() || !d.ID.Valid():
		return Delivery{}, fmt.Errorf("delivery message: no instance or delivery")
	case d.Tried < 0:
		return Delivery{}, fmt.Errorf("delivery message: tried is negative")
	case len(d.Body) > 0 && d.EventID == "":
		return Delivery{}, fmt.Errorf("delivery message: a body without its event's id")
	}
	return d, nil
}

// DeadLetter is the message about something that was given up.
type DeadLetter struct {
	Reason   string            `json:"reason"`
	At       time.Time         `json:"at"`
	Instance action.InstanceID `json:"instance,omitempty"`
	Delivery action.DeliveryID `json:"delivery,omitempty"`
	Target   action.TargetID   `json:"target,omitempty"`
	EventID  action.EventID    `json:"eventId,omitempty"`
	Attempts int               `json:"attempts,omitempty"`
	// Event is the body that the target should have received.
	Event json.RawMessage `json:"event,omitempty"`
	// Data and Attributes are those of a message that could not be read; Cut says that there was more data.
	Data       []byte            `json:"data,omitempty"`
	Cut        bool              `json:"cut,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

const (
	// maxLetterData leaves room for base64 and the rest in the 10 MB that a message of Pub/Sub may have: one that may hold 10 MB itself
	// could else never be put away, and would come back for ever.
	maxLetterData = 6 << 20
	// maxAttribute is how many bytes Pub/Sub takes for the value of an attribute.
	maxAttribute = 1024
)

// EncodeDeadLetter makes the message for the dead-letters topic. It always fits: data over 6 MiB is cut.
func EncodeDeadLetter(d DeadLetter) (Message, error) {
	if len(d.Data) > maxLetterData {
		d.Data, d.Cut = d.Data[:maxLetterData], true
	}
	d.Reason = errs.Brief(d.Reason)
	data, err := encode(d)
	if err != nil {
		return Message{}, fmt.Errorf("encode dead letter: %w", err)
	}
	reason := strings.ToValidUTF8(d.Reason[:min(len(d.Reason), maxAttribute)], "")
	return Message{Data: data, Attributes: map[string]string{"reason": reason}}, nil
}

// LetterOf is the dead letter of a delivery that was given up.
func LetterOf(dead action.Delivery, event action.EventID, body []byte) DeadLetter {
	return DeadLetter{
		Reason: dead.Reason, At: dead.Changed, Instance: dead.Instance, Delivery: dead.ID, Target: dead.Target, EventID: event,
		Attempts: dead.Tried(), Event: body,
	}
}

// Bury publishes dead letters.
func (q *Queue) Bury(ctx context.Context, letters ...DeadLetter) error {
	messages := make([]Message, len(letters))
	for i, letter := range letters {
		var err error
		if messages[i], err = EncodeDeadLetter(letter); err != nil {
			return err
		}
	}
	return q.Publish(ctx, DeadLetters, messages...)
}
