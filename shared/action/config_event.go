package action

import "time"

// ConfigEvent is what a change of the configuration says on the events topic: the type and the payload of actions-v2.md section 4.5, with
// the reference's numbers for its enumerations. No secret is in it: where the reference has the sealed signing key, there is nothing.
type ConfigEvent struct {
	// Type is empty where a change says nothing outside.
	Type string
	// Payload is marshalled as JSON; nil where the event has none.
	Payload any
}

// JSON is the payload; nil where there is none.
func (e ConfigEvent) JSON() ([]byte, error) {
	if e.Payload == nil {
		return nil, nil
	}
	return encode(e.Payload)
}

// OfChange completes an event that a change says: its aggregate is what changed, and its id derives from the change, so that it is the same
// event however often it is published.
func (o Occurrence) OfChange(c Change) Occurrence {
	o.Instance, o.ResourceOwner, o.Version = c.Instance, string(c.Instance), "v1"
	o.AggregateType, o.AggregateID, o.ID = string(c.Kind), c.ID, EventID("change-"+c.Key)
	return o
}

// targetAdded has every field, targetChanged those that differ.
type targetAdded struct {
	Name             string        `json:"name"`
	TargetType       int           `json:"targetType"`
	Endpoint         string        `json:"endpoint"`
	Timeout          time.Duration `json:"timeout"` // nanoseconds
	InterruptOnError bool          `json:"interruptOnError"`
	PayloadType      int           `json:"payloadType"`
}

type targetChanged struct {
	Name             *string        `json:"name,omitempty"`
	TargetType       *int           `json:"targetType,omitempty"`
	Endpoint         *string        `json:"endpoint,omitempty"`
	Timeout          *time.Duration `json:"timeout,omitempty"`
	InterruptOnError *bool          `json:"interruptOnError,omitempty"`
	PayloadType      *int           `json:"payloadType,omitempty"`
}

// The reference's numbers.
var (
	targetTypeNumbers  = map[TargetType]int{Webhook: 0, Call: 1, Async: 2}
	payloadTypeNumbers = map[PayloadType]int{PayloadUnspecified: 0, PayloadJSON: 1, PayloadJWT: 2, PayloadJWE: 3}
)

func shown(t Target) targetAdded {
	return targetAdded{
		Name: t.Name, TargetType: targetTypeNumbers[t.Type], Endpoint: t.Endpoint, Timeout: t.Timeout,
		InterruptOnError: t.InterruptOnError, PayloadType: payloadTypeNumbers[t.PayloadType],
	}
}

// TargetAdded says that a target was created.
func TargetAdded(t Target) ConfigEvent { return ConfigEvent{"target.added", shown(t)} }

// TargetChanged says in what a target differs from what it was. Of a new signing key it says nothing: the payload is then empty.
func TargetChanged(before, after Target) ConfigEvent {
	old, t := shown(before), shown(after)
	return ConfigEvent{"target.changed", targetChanged{
		Name: differing(old.Name, t.Name), TargetType: differing(old.TargetType, t.TargetType), Endpoint: differing(old.Endpoint, t.Endpoint),
		Timeout: differing(old.Timeout, t.Timeout), InterruptOnError: differing(old.InterruptOnError, t.InterruptOnError),
		PayloadType: differing(old.PayloadType, t.PayloadType),
	}}
}

func differing[T comparable](before, after T) *T {
	if before == after {
		return nil
	}
	return &after
}

// TargetRemoved says that a target was removed, and its public keys with it.
func TargetRemoved() ConfigEvent { return ConfigEvent{Type: "target.removed"} }

type keyAdded struct {
	KeyID          PublicKeyID `json:"keyId"`
	PublicKey      []byte      `json:"publicKey"` // base64 of the PEM
	Fingerprint    string      `json:"fingerprint"`
	ExpirationDate time.Time   `json:"expirationDate,omitzero"`
}

type keyNamed struct {
	KeyID PublicKeyID `json:"keyId"`
}

// KeyAdded says that a target has a new public key.
func KeyAdded(k PublicKey) ConfigEvent {
	return ConfigEvent{"target.key.added", keyAdded{k.ID, k.PEM, k.Fingerprint, k.Expires.UTC()}}
}

// KeyActivated says that a public key is the active one now, and so that no other is.
func KeyActivated(id PublicKeyID) ConfigEvent {
	return ConfigEvent{"target.key.activated", keyNamed{id}}
}

// KeyDeactivated says that a public key is no longer the active one.
func KeyDeactivated(id PublicKeyID) ConfigEvent {
	return ConfigEvent{"target.key.deactivated", keyNamed{id}}
}

// KeyRemoved says that a public key was removed.
func KeyRemoved(id PublicKeyID) ConfigEvent { return ConfigEvent{"target.key.removed", keyNamed{id}} }

type executionSet struct {
	Targets []executionTarget `json:"targets"`
}

type executionTarget struct {
	Type   int      `json:"type"`
	Target TargetID `json:"target"`
}

// typeTarget is the reference's number for a target in an execution; the other one was for includes.
const typeTarget = 2

// ExecutionSet says which targets an execution calls now; none where it was removed.
func ExecutionSet(targets []TargetID) ConfigEvent {
	set := executionSet{Targets: make([]executionTarget, len(targets))}
	for i, id := range targets {
		set.Targets[i] = executionTarget{Type: typeTarget, Target: id}
	}
	return ConfigEvent{"execution.v2.set", set}
}
