package queue

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

// InlineLimit is how large a body may be to travel in the message of its delivery; a larger one is read from the ledger.
const InlineLimit = 64 << 10

// Delivery is the message that asks for one attempt of a delivery.
type Delivery struct {
	Instance action.InstanceID `json:"instance"`
	ID       action.DeliveryID `json:"delivery"`
	// Tried is how many attempts there were when the message was made: a message with another number is stale.
	Tried int `json:"tried"`
	// EventID and Body are those of the event; empty where they must be read from the ledger.
	EventID action.EventID  `json:"eventId,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// EncodeDelivery makes the message. A body over InlineLimit is left out.
func EncodeDelivery(d Delivery) (Message, error) {
	if len(d.Body) > InlineLimit {
		d.EventID, d.Body = "", nil
	}
	data, err := json.Marshal(d)
	if err != nil {
		return Message{}, fmt.Errorf("encode delivery: %w", err)
	}
	return Message{Data: data}, nil
}

// DecodeDelivery reads what EncodeDelivery made.
func DecodeDelivery(m Message) (Delivery, error) {
	var d Delivery
	if err := json.Unmarshal(m.Data, &d); err != nil {
		return d, fmt.Errorf("delivery message: %w", err)
	}
	if !d.Instance.Valid() || d.ID == "" {
		return d, fmt.Errorf("delivery message: no instance or delivery")
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
	// Data and Attributes are those of a message that could not be read.
	Data       []byte            `json:"data,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// EncodeDeadLetter makes the message for the dead-letters topic.
func EncodeDeadLetter(d DeadLetter) (Message, error) {
	data, err := json.Marshal(d)
	if err != nil {
		return Message{}, fmt.Errorf("encode dead letter: %w", err)
	}
	return Message{Data: data, Attributes: map[string]string{"reason": d.Reason}}, nil
}
