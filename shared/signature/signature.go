// Package signature makes and verifies the signature headers of a call: the reference's own (actions-v2.md section 7.1) and Standard
// Webhooks 1.0. It knows nothing of targets, so that receivers may import it.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed call. Both reference headers have the same value; its documentation names the second.
const (
	HeaderReference           = "ZITADEL-Signature"
	HeaderReferenceDocumented = "X-ZITADEL-Signature"
	HeaderID                  = "webhook-id"
	HeaderTimestamp           = "webhook-timestamp"
	HeaderSignature           = "webhook-signature"
)

// DefaultTolerance is how old a signature may be.
const DefaultTolerance = 5 * time.Minute

// Why a signature is refused.
var (
	ErrMissing   = errors.New("the request has no signature header")
	ErrMalformed = errors.New("the signature header is malformed")
	ErrTolerance = errors.New("the signature's time is outside the tolerance")
	ErrMismatch  = errors.New("no signature matches: wrong key, or a changed body")
)

// Sign sets all signature headers for the body exactly as it is sent. Each key, as the API returns it, gives one signature; id goes into
// webhook-id and must not hold a dot.
func Sign(h http.Header, keys []string, id string, at time.Time, body []byte) {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	reference := "t=" + timestamp
	var standard []string
	for _, key := range keys {
		reference += ",v1=" + hex.EncodeToString(mac(key, timestamp, string(body)))
		standard = append(standard, "v1,"+base64.StdEncoding.EncodeToString(mac(key, id, timestamp, string(body))))
	}
	h.Set(HeaderReference, reference)
	h.Set(HeaderReferenceDocumented, reference)
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, strings.Join(standard, " "))
}

// WebhookSecret is the key in the form that a receiver's Standard Webhooks library takes.
func WebhookSecret(key string) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(key))
}

// mac is HMAC-SHA256 over the parts with dots between them.
func mac(key string, parts ...string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{'.'})
		}
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// Verify checks the reference's header and, where there is one, the Standard Webhooks header too. Any one of keys may have signed, so
// that a receiver can hold two while a key rotates; an empty key never has, so that a setting that was forgotten lets nobody in. A time
// more than tolerance before or after now is refused; 0 means DefaultTolerance. The error is one of this package.
func Verify(h http.Header, keys []string, now time.Time, tolerance time.Duration, body []byte) error {
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	v := verifier{keys: keys, now: now, tolerance: tolerance, body: body}
	value := h.Get(HeaderReference)
	if value == "" {
		value = h.Get(HeaderReferenceDocumented)
	}
	standard := h.Get(HeaderSignature)
	if value == "" && standard == "" {
		return ErrMissing
	}
	if value != "" {
		if err := v.reference(value); err != nil {
			return err
		}
	}
	if standard == "" {
		return nil
	}
	return v.standard(h.Get(HeaderID), h.Get(HeaderTimestamp), standard)
}

type verifier struct {
	keys      []string
	now       time.Time
	tolerance time.Duration
	body      []byte
}

// reference checks "t=<unix>,v1=<hex>[,v1=<hex>]"; what it does not know, it passes over.
func (v verifier) reference(value string) error {
	var timestamp string
	var signatures [][]byte
	for part := range strings.SplitSeq(value, ",") {
		name, text, ok := strings.Cut(part, "=")
		if !ok {
			return ErrMalformed
		}
		switch name {
		case "t":
			timestamp = text
		case "v1":
			if sig, err := hex.DecodeString(text); err == nil {
				signatures = append(signatures, sig)
			}
		}
	}
	return v.check(timestamp, signatures, timestamp, string(v.body))
}

// standard checks the space-separated "v1,<base64>" list of Standard Webhooks.
func (v verifier) standard(id, timestamp, value string) error {
	var signatures [][]byte
	for part := range strings.SplitSeq(value, " ") {
		version, text, ok := strings.Cut(part, ",")
		if !ok {
			return ErrMalformed
		}
		if sig, err := base64.StdEncoding.DecodeString(text); version == "v1" && err == nil {
			signatures = append(signatures, sig)
		}
	}
	if id == "" {
		return ErrMalformed
	}
	return v.check(timestamp, signatures, id, timestamp, string(v.body))
}

func (v verifier) check(timestamp string, signatures [][]byte, signed ...string) error {
	unix, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return ErrMalformed
	}
	if age := v.now.Sub(time.Unix(unix, 0)); age > v.tolerance || age < -v.tolerance {
		return ErrTolerance
	}
	for _, key := range v.keys {
		if key == "" {
			continue
		}
		want := mac(key, signed...)
		for _, sig := range signatures {
			if hmac.Equal(sig, want) {
				return nil
			}
		}
	}
	return ErrMismatch
}
