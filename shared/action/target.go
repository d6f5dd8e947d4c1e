package action

import (
	"net/url"
	"strconv"
	"time"

	"github.com/callout-dev/callout/shared/errs"
)

// TargetType says what the answer of a target means.
type TargetType string

// The target types, as stored.
const (
	Webhook TargetType = "webhook" // the status counts, the body does not
	Call    TargetType = "call"    // the status counts and the body may change the call
	Async   TargetType = "async"   // nobody waits
)

// PayloadType is the form of the body that a target receives.
type PayloadType string

// The payload types, as stored. An unspecified one is delivered as JSON and read back as unspecified.
const (
	PayloadUnspecified PayloadType = ""
	PayloadJSON        PayloadType = "json"
	PayloadJWT         PayloadType = "jwt"
	PayloadJWE         PayloadType = "jwe"
)

// MaxTimeout is the longest that a target may be waited for.
const MaxTimeout = 270 * time.Second

// SigningKey signs what a target receives.
type SigningKey struct {
	Value Secret
	// Expires is when a replaced key stops signing; zero for the current key.
	Expires time.Time
}

// Target says where and how to call.
type Target struct {
	ID               TargetID
	Name             string
	Type             TargetType
	InterruptOnError bool
	Timeout          time.Duration
	Endpoint         string
	PayloadType      PayloadType
	// SigningKeys holds the current key first, then replaced ones that still sign.
	SigningKeys []SigningKey
	// PublicKey is the active one, as far as payloads need it: ID, PEM and Expires. Its ID is empty where none is active.
	PublicKey PublicKey
	// Delivery are its own rules for events; an update over the Action API leaves them alone.
	Delivery         DeliverySettings
	Created, Changed time.Time
}

// SigningKey is the current key.
func (t Target) SigningKey() Secret {
	if len(t.SigningKeys) == 0 {
		return ""
	}
	return t.SigningKeys[0].Value
}

// KeysAt lists the keys that sign at that moment, the current one first.
func (t Target) KeysAt(now time.Time) []Secret {
	var keys []Secret
	for _, k := range t.SigningKeys {
		if k.Expires.IsZero() || now.Before(k.Expires) {
			keys = append(keys, k.Value)
		}
	}
	return keys
}

// targetErrors are the ids under which one command reports the same faults (actions-v2.md section 3.5).
type targetErrors struct{ name, timeout, url string }

var (
	createErrors = targetErrors{name: "COMMAND-ddqbm9us5p", timeout: "COMMAND-39f35d8uri", url: "COMMAND-1r2k6qo6wg"}
	updateErrors = targetErrors{name: "COMMAND-d1wx4lm0zr", timeout: "COMMAND-08b39vdi57", url: "COMMAND-jsbaera7b6"}
)

// Validate checks a target that is about to be created, in the reference's order: name, timeout, URL.
func (t Target) Validate() error { return t.validate(createErrors) }

func (t Target) validate(ids targetErrors) error {
	if t.Name == "" {
		return errs.New(errs.InvalidArgument, ids.name, "Target is invalid")
	}
	if t.Timeout <= 0 {
		return errs.New(errs.InvalidArgument, ids.timeout, "Target has no timeout")
	}
	if _, err := ParseEndpoint(t.Endpoint); err != nil {
		return errs.New(errs.InvalidArgument, ids.url, "Target has an invalid URL").Because(err)
	}
	return nil
}

// ParseEndpoint reads the URL of a target: http or https, with a host, without user info (actions-v2.md section 3.5).
func ParseEndpoint(endpoint string) (*url.URL, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, errs.Newf(errs.InvalidArgument, "endpoint is not a URL")
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errs.Newf(errs.InvalidArgument, "endpoint: scheme must be http or https")
	case u.Hostname() == "":
		return nil, errs.Newf(errs.InvalidArgument, "endpoint has no host")
	case u.User != nil:
		return nil, errs.Newf(errs.InvalidArgument, "endpoint must not hold credentials")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, errs.Newf(errs.InvalidArgument, "endpoint: port must be 1 to 65535")
		}
	}
	return u, nil
}

// TargetChange is a partial update: what is nil stays as it is.
type TargetChange struct {
	Name     *string
	Type     *TargetTypeChange
	Timeout  *time.Duration
	Endpoint *string
	// PayloadType: unspecified leaves it.
	PayloadType PayloadType
	// RotateKey: the key is replaced, and the former one signs beside the new one for this long.
	RotateKey *time.Duration
}

// TargetTypeChange sets the type and, with it, whether a failure interrupts.
type TargetTypeChange struct {
	Type             TargetType
	InterruptOnError bool
}

// MaxKeyOverlap is the longest that a replaced key may go on signing (actions-v2.md section 10).
const MaxKeyOverlap = 168 * time.Hour

// MaxSigningKeys is how many keys of one target may sign at once: each adds a signature to three headers, which receivers bound.
const MaxSigningKeys = 8

// Apply makes the changed target. Changed is false where nothing differs; a key rotation always is a change. NewKey is used only where
// the key rotates. It does not touch the time of change: that is the store's.
func (c TargetChange) Apply(t Target, now time.Time, newKey func() (Secret, error)) (result Target, changed bool, err error) {
	old := t
	if c.Name != nil {
		t.Name = *c.Name
	}
	if c.Type != nil {
		t.Type, t.InterruptOnError = c.Type.Type, c.Type.InterruptOnError
	}
	if c.Timeout != nil {
		t.Timeout = *c.Timeout
	}
	if c.Endpoint != nil {
		t.Endpoint = *c.Endpoint
	}
	if c.PayloadType != PayloadUnspecified {
		t.PayloadType = c.PayloadType
	}
	if err := t.validate(updateErrors); err != nil {
		return old, false, err
	}
	changed = t.Name != old.Name || t.Type != old.Type || t.InterruptOnError != old.InterruptOnError ||
		t.Timeout != old.Timeout || t.Endpoint != old.Endpoint || t.PayloadType != old.PayloadType
	if c.RotateKey == nil {
		return t, changed, nil
	}
	key, err := newKey()
	if err != nil {
		return old, false, err
	}
	t.SigningKeys = rotate(old.SigningKeys, key, now, *c.RotateKey)
	if len(t.SigningKeys) > MaxSigningKeys {
		return old, false, errs.Newf(errs.FailedPrecondition, "%d keys of this target sign already; wait until one ends, or end all former ones with 0s", MaxSigningKeys)
	}
	return t, true, nil
}

// rotate puts key first and lets the former keys sign until now+overlap at the latest; what signs no more is dropped.
func rotate(keys []SigningKey, key Secret, now time.Time, overlap time.Duration) []SigningKey {
	rotated := []SigningKey{{Value: key}}
	until := now.Add(overlap)
	for _, k := range keys {
		if k.Expires.IsZero() || k.Expires.After(until) {
			k.Expires = until
		}
		if k.Expires.After(now) {
			rotated = append(rotated, k)
		}
	}
	return rotated
}
