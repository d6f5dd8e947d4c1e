package action

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/callout-dev/callout/shared/errs"
)

// Limits of an event (callout.md section 5).
const (
	MaxEventID = 1024      // bytes of an id
	MaxPayload = 512 << 10 // bytes of a payload
	MaxEvents  = 1000      // events in one request
	MaxField   = 1024      // bytes of any other text of an event
	MaxDepth   = 1000      // objects and arrays inside each other in a payload
)

// Occurrence is one event: something that happened, once. (The name Event is the kind of condition that it meets.)
type Occurrence struct {
	Instance InstanceID
	// Source tells senders apart; "" for events in the reference's shape.
	Source        string
	ID            EventID
	Type          string
	AggregateID   string
	AggregateType string
	ResourceOwner string
	Version       string
	Sequence      uint64
	UserID        string
	// CreatedAt is when it happened, or when it was accepted.
	CreatedAt time.Time
	// Payload is any JSON value; nil where the event has none.
	Payload json.RawMessage
	// Hook is the execution of a request, a response or a function that called a target which nobody waits for: then Payload is the whole
	// body that the target receives, and the type is HookType's. It is empty for what happened elsewhere.
	Hook ExecutionID
}

// HookType is the event type under which a call of such an execution is listed: hook.request, hook.response or hook.function.
func HookType(hook ExecutionID) string {
	kind, _, _ := strings.Cut(string(hook), "/")
	return "hook." + kind
}

// Key names the event's document.
func (o Occurrence) Key() EventKey { return KeyOfEvent(o.Instance, o.Source, o.ID) }

// Complete fills what may be left out: the aggregate type from the first segment of the type, the time of acceptance.
func (o Occurrence) Complete(now time.Time) Occurrence {
	if o.AggregateType == "" {
		o.AggregateType, _, _ = strings.Cut(o.Type, ".")
	}
	if o.CreatedAt.IsZero() {
		o.CreatedAt = now
	}
	return o
}

// Validate checks an event as it came in. The error names the field.
func (o Occurrence) Validate() error {
	switch {
	case o.Type == "":
		return errs.Newf(errs.InvalidArgument, "event_type is required")
	case !ValidEventType(o.Type):
		return errs.Newf(errs.InvalidArgument, "event_type must be 1 to %d segments of printable characters with dots between them, %d bytes at most, without white space, / and *", MaxSegments, MaxName)
	case len(o.ID) > MaxEventID:
		return errs.Newf(errs.InvalidArgument, "id is longer than %d bytes", MaxEventID)
	case len(o.Payload) > MaxPayload:
		return errs.Newf(errs.TooLarge, "event_payload is larger than %d KiB", MaxPayload>>10)
	case o.Hook != "" && len(o.Payload) == 0:
		return errs.Newf(errs.InvalidArgument, "a hook's event has no body")
	case depth(o.Payload) > MaxDepth:
		return errs.Newf(errs.InvalidArgument, "event_payload is nested more than %d deep", MaxDepth)
	case len(o.Payload) > 0 && !(json.Valid(o.Payload) && utf8.Valid(o.Payload)):
		return errs.Newf(errs.InvalidArgument, "event_payload is not JSON in UTF-8")
	case !o.CreatedAt.IsZero() && (o.CreatedAt.Year() < 1 || o.CreatedAt.Year() > 9999):
		return errs.Newf(errs.InvalidArgument, "created_at: the year must be 1 to 9999")
	}
	texts := []struct{ field, value string }{
		{"id", string(o.ID)}, {"source", o.Source}, {"aggregateID", o.AggregateID}, {"aggregateType", o.AggregateType},
		{"resourceOwner", o.ResourceOwner}, {"version", o.Version}, {"userID", o.UserID},
	}
	for _, t := range texts {
		if len(t.value) > MaxField {
			return errs.Newf(errs.InvalidArgument, "%s is longer than %d bytes", t.field, MaxField)
		}
		if !utf8.ValidString(t.value) {
			return errs.Newf(errs.InvalidArgument, "%s is not UTF-8", t.field)
		}
	}
	return nil
}

// depth is how deep objects and arrays are nested in JSON; of anything else it says something.
func depth(data []byte) int {
	deepest, now := 0, 0
	quoted := false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// body is the payload of actions-v2.md section 6.3; its keys and their order are the reference's.
type body struct {
	AggregateID   string          `json:"aggregateID,omitempty"`
	AggregateType string          `json:"aggregateType,omitempty"`
	ResourceOwner string          `json:"resourceOwner,omitempty"`
	InstanceID    string          `json:"instanceID,omitempty"`
	Version       string          `json:"version,omitempty"`
	Sequence      uint64          `json:"sequence,omitempty"`
	Type          string          `json:"event_type,omitempty"`
	CreatedAt     string          `json:"created_at,omitempty"`
	UserID        string          `json:"userID,omitempty"`
	Payload       json.RawMessage `json:"event_payload,omitempty"`
}

// Body is the JSON that targets receive. The payload is put in as it is, but for white space between its tokens.
func (o Occurrence) Body() ([]byte, error) {
	if o.Hook != "" {
		return o.Payload, nil
	}
	return encode(o.body())
}

func (o Occurrence) body() body {
	b := body{
		AggregateID: o.AggregateID, AggregateType: o.AggregateType, ResourceOwner: o.ResourceOwner, InstanceID: string(o.Instance),
		Version: o.Version, Sequence: o.Sequence, Type: o.Type, UserID: o.UserID, Payload: o.Payload,
	}
	if !o.CreatedAt.IsZero() {
		b.CreatedAt = o.CreatedAt.UTC().Format(time.RFC3339Nano)
	}
	return b
}

func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

const maxWebhookID = 255

// WebhookID is the id as it travels in the webhook-id header: itself where it consists of 1 to 255 characters out of A-Z a-z 0-9 _ - :,
// else "x_" and the unpadded base64url of its SHA-256, because Standard Webhooks signs the id with dots around it.
func (id EventID) WebhookID() string {
	if id != "" && len(id) <= maxWebhookID && !strings.ContainsFunc(string(id), notInWebhookID) {
		return string(id)
	}
	sum := sha256.Sum256([]byte(id))
	return "x_" + base64.RawURLEncoding.EncodeToString(sum[:])
}

func notInWebhookID(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == ':':
		return false
	}
	return true
}

// NotAllPublished says that the queue did not accept all of some events; IDs are theirs, in order. Publishing all of them again with
// these ids is safe.
type NotAllPublished struct {
	IDs   []EventID
	Cause error
}

func (e *NotAllPublished) Error() string { return "not all events were published: " + e.Cause.Error() }

// Unwrap gives the cause.
func (e *NotAllPublished) Unwrap() error { return e.Cause }
