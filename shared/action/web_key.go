package action

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// WebKeyID names a web key: it is the kid of what the key signs.
type WebKeyID string

// WebKeysID is what changes call the web keys of an instance, which change together.
const WebKeysID = "ring"

// RS256 is the algorithm of the keys that are made (actions-v2.md section 7.2), by its JOSE name.
const RS256 = "RS256"

const webKeyBits = 2048

// How web keys follow one another. What was signed must be verifiable with the keys that are published when its receiver looks, whichever
// process signed it and whichever published.
const (
	// WebKeySetAge is how long receivers may keep the published keys.
	WebKeySetAge = 5 * time.Minute
	// WebKeyAhead is how long a key is published before it signs. By then every receiver that keeps to WebKeySetAge has it; the rest is
	// for processes that read the keys late, clocks that differ, and receivers that look once in half an hour.
	WebKeyAhead = time.Hour
	// WebKeyStale is how old the keys may be that a process knows and still signs with, where the database does not let it look.
	WebKeyStale = 24 * time.Hour
	// WebKeyKept is how long a key stays published after its successor has begun to sign. Nobody signs with it for longer than WebKeyStale
	// less WebKeyAhead then: who learnt of no successor has last looked before it was published. What remains, two hours, is for what is
	// in flight: a call lasts MaxTimeout at the longest, every attempt signs anew, and clocks differ.
	WebKeyKept = WebKeyStale + time.Hour
	// WebKeyAge is how long a key signs before a sweep publishes the next one.
	WebKeyAge = 90 * 24 * time.Hour
)

// WebKey signs payloads that are JWTs.
type WebKey struct {
	ID WebKeyID
	// Algorithm is a JOSE name.
	Algorithm string
	Public    crypto.PublicKey
	// Private is empty where it could not be read, and Err says why.
	Private PrivateKey
	Err     error
	Created time.Time
	// Signs is when it begins to sign.
	Signs time.Time
	// Ends is when it is no longer published; zero as long as no other one follows it.
	Ends time.Time
}

// PrivateKey must not be seen by accident: it prints, logs and encodes as "[hidden]".
type PrivateKey struct{ signer crypto.Signer }

// Hide makes a private key of one of the standard library's.
func Hide(signer crypto.Signer) PrivateKey { return PrivateKey{signer} }

// Signer tells the key; nil where there is none.
func (k PrivateKey) Signer() crypto.Signer { return k.signer }

// Format hides the key from every verb.
func (PrivateKey) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(hidden)) }

// LogValue hides the key.
func (PrivateKey) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the key.
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// NewWebKey makes a key. It takes a tenth of a second, or a few.
func NewWebKey(now time.Time) (WebKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, webKeyBits)
	if err != nil {
		return WebKey{}, err
	}
	return WebKey{
		ID: WebKeyID(strings.ToLower(rand.Text())), Algorithm: RS256, Public: private.Public(), Private: Hide(private), Created: now, Signs: now,
	}, nil
}

// WebKeys are those of one instance, in the order in which they sign.
type WebKeys []WebKey

// Signing is the key that signs at that moment: the last one whose time has come, and the first one where a clock was set back before all
// of them. False where there is none.
func (r WebKeys) Signing(now time.Time) (WebKey, bool) {
	if len(r) == 0 {
		return WebKey{}, false
	}
	for i := len(r) - 1; i > 0; i-- {
		if !r[i].Signs.After(now) {
			return r[i], true
		}
	}
	return r[0], true
}

// Published are the keys that receivers need at that moment: what they have signed may be in flight, or is to come.
func (r WebKeys) Published(now time.Time) WebKeys {
	var published WebKeys
	for _, k := range r {
		if k.Ends.IsZero() || k.Ends.After(now) {
			published = append(published, k)
		}
	}
	return published
}

// None says whether there is no key.
func (r WebKeys) None(time.Time) bool { return len(r) == 0 }

// Settled says whether no key waits for its time: then another one may be published.
func (r WebKeys) Settled(now time.Time) bool { return len(r) == 0 || !r[len(r)-1].Signs.After(now) }

// Due is when the next key should be published.
func (r WebKeys) Due() time.Time {
	if len(r) == 0 {
		return time.Time{}
	}
	return r[len(r)-1].Signs.Add(WebKeyAge)
}

// Old says whether it is time for the next key.
func (r WebKeys) Old(now time.Time) bool { return len(r) > 0 && !r.Due().After(now) }

// Rotate publishes a fresh key, which signs after WebKeyAhead, and lets the one before it go WebKeyKept later. The first key signs at once:
// nobody has an older copy than that there is none, which receivers are told not to keep. Keys that have ended are dropped.
func (r WebKeys) Rotate(fresh WebKey, now time.Time) WebKeys {
	next := r.Published(now)
	fresh.Signs = now
	if last := len(next) - 1; last >= 0 {
		fresh.Signs = now.Add(WebKeyAhead)
		next[last].Ends = fresh.Signs.Add(WebKeyKept)
	}
	return append(next, fresh)
}
