// Package seal keeps secrets unreadable at rest: each value is a compact JWE (dir, A256GCM) under a key with an id. The place that a
// value belongs to stands in its protected header, so that a sealed value copied to another document or field does not open.
package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

const (
	keySize     = 32
	placeHeader = "for"
)

// ErrOpen says that a value cannot be opened: an unknown key, another place, or changed bytes.
var ErrOpen = errors.New("sealed value cannot be opened")

// Sealer seals with its first key and opens with any.
type Sealer struct {
	first string
	keys  map[string][]byte
}

// New reads keys in the form of CALLOUT_SEAL_KEYS: "id:base64,…", each 32 bytes in standard base64; the first one seals. Errors never
// quote an entry, because what stands where the id should be may be the key.
func New(keys string) (*Sealer, error) {
	s := &Sealer{keys: map[string][]byte{}}
	for i, entry := range strings.Split(keys, ",") {
		id, text, ok := strings.Cut(strings.TrimSpace(entry), ":")
		if !ok || id == "" {
			return nil, fmt.Errorf("seal key %d: want id:base64", i+1)
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("seal key %d: want %d bytes in standard base64 behind its id", i+1, keySize)
		}
		if s.keys[id] != nil {
			return nil, fmt.Errorf("seal key %d: its id is given twice", i+1)
		}
		s.keys[id] = key
		if i == 0 {
			s.first = id
		}
	}
	return s, nil
}

// NewKey makes one key entry with that id, in the form that New reads.
func NewKey(id string) string {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails: see crypto/rand
	return id + ":" + base64.StdEncoding.EncodeToString(key)
}

// Seal encrypts a value for its place, for example "instances/default/targets/t1#signingKeys".
func (s *Sealer) Seal(place, value string) (string, error) {
	recipient := jose.Recipient{Algorithm: jose.DIRECT, Key: s.keys[s.first], KeyID: s.first}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, recipient, (&jose.EncrypterOptions{}).WithHeader(placeHeader, place))
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	sealed, err := encrypter.Encrypt([]byte(value))
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return sealed.CompactSerialize()
}

// Open decrypts what Seal made for that place. The error is ErrOpen.
func (s *Sealer) Open(place, sealed string) (string, error) {
	object, err := jose.ParseEncryptedCompact(sealed, []jose.KeyAlgorithm{jose.DIRECT}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return "", fmt.Errorf("%w: not a sealed value", ErrOpen)
	}
	key, ok := s.keys[object.Header.KeyID]
	if !ok {
		return "", fmt.Errorf("%w: no seal key has the id %q", ErrOpen, object.Header.KeyID)
	}
	value, err := object.Decrypt(key)
	if err != nil {
		return "", fmt.Errorf("%w: changed, or another key of the same id", ErrOpen)
	}
	if object.Header.ExtraHeaders[placeHeader] != place {
		return "", fmt.Errorf("%w: it belongs to another place", ErrOpen)
	}
	return string(value), nil
}

// Reseal gives what is sealed for that place under the first key: the same text where it is under it already. It opens the value in any
// case. The error is ErrOpen.
func (s *Sealer) Reseal(place, sealed string) (string, error) {
	value, err := s.Open(place, sealed)
	if err != nil || KeyID(sealed) == s.first {
		return sealed, err
	}
	return s.Seal(place, value)
}

// KeyID is the id of the key that a value says it is sealed under; "" if it says none. Only Open tells whether that is so.
func KeyID(sealed string) string {
	object, err := jose.ParseEncryptedCompact(sealed, []jose.KeyAlgorithm{jose.DIRECT}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return ""
	}
	return object.Header.KeyID
}
