// Package action is the domain: targets say where and how to call, executions say when, events are delivered to targets, and
// deliveries record what became of that. It imports the standard library and its two neighbours errs and logging, knows no transport
// and no store.
package action

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// Identifiers. Each has a type of its own, so that one is never taken for another.
type (
	// InstanceID names a tenant; everything that is stored lies under one.
	InstanceID string
	// TargetID names a target in its instance.
	TargetID string
	// ExecutionID is the routing identifier of a condition (actions-v2.md section 4.1).
	ExecutionID string
	// EventID is the id an event was sent with, or was given. It is unique for one source in one instance.
	EventID string
	// EventKey is derived from instance, source and id of an event: the name of its document.
	EventKey string
	// DeliveryID is derived from an event's key and a target: one delivery for each pair, however often they meet.
	DeliveryID string
)

// DefaultInstance is the one instance of an installation that names no other.
const DefaultInstance InstanceID = "default"

// NewTargetID makes a random id: never sequential, so that documents spread over key ranges.
func NewTargetID() TargetID { return TargetID(strings.ToLower(rand.Text())) }

// Valid says whether a target can have this id at all: 1 to 200 letters, digits, "_" and "-". Any other text names no target, and must
// not become part of a document's name.
func (id TargetID) Valid() bool { return validID(string(id)) }

// Valid says whether an instance can have this id: the same rule as for targets.
func (id InstanceID) Valid() bool { return validID(string(id)) }

// Valid says whether this can be the id of a delivery: what DeliveryOf makes. Any other text must not become part of a document's name.
func (id DeliveryID) Valid() bool {
	return len(id) == keyLength && !strings.ContainsFunc(string(id), func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '2' && r <= '7') })
}

func validID(id string) bool {
	return id != "" && len(id) <= 200 && !strings.HasPrefix(id, "__") && !strings.ContainsFunc(id, notInID)
}

func notInID(r rune) bool { return r == ':' || notInWebhookID(r) }

// NewEventID makes a random id for an event that came without one. It is a valid webhook-id.
func NewEventID() EventID { return EventID(strings.ToLower(rand.Text())) }

// KeyOfEvent derives the key of an event.
func KeyOfEvent(instance InstanceID, source string, id EventID) EventKey {
	return EventKey(Key(string(instance), source, string(id)))
}

// DeliveryOf derives the id of the delivery of an event to a target.
func DeliveryOf(event EventKey, target TargetID) DeliveryID {
	return DeliveryID(Key(string(event), string(target)))
}

const keyLength = 26

var keyEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// Key is the first 26 characters, 130 bits, of the lower-case base32 SHA-256 over the parts: a document name that is the same
// wherever it is made and spreads evenly. Parts are told apart by their lengths.
func Key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		n := len(p)
		h.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write([]byte(p))
	}
	return strings.ToLower(keyEncoding.EncodeToString(h.Sum(nil))[:keyLength])
}
