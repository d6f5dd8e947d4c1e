package envelope

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeySet is how large a document of keys may be, in bytes, and maxKeys how many keys it may hold.
	maxKeySet = 1 << 20
	maxKeys   = 100
)

// KeySet holds keys to verify with, by their ids.
type KeySet map[string]Key

// ParseKeySet reads a JWKS. Keys that are not for signatures, or of a kind that is not taken, are passed over; a private one is an error.
func ParseKeySet(document []byte) (KeySet, error) {
	if len(document) > maxKeySet {
		return nil, fmt.Errorf("%w: they take more than %d bytes", ErrKeys, maxKeySet)
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &raw); err != nil || raw.Keys == nil || len(raw.Keys) > maxKeys {
		return nil, fmt.Errorf("%w: no JWKS of at most %d keys", ErrKeys, maxKeys)
	}
	set := KeySet{}
	for _, text := range raw.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(text, &k); err != nil {
			continue // of a kind that is yet to be invented
		}
		if !k.IsPublic() {
			return nil, fmt.Errorf("%w: one of them is secret", ErrKeys)
		}
		if k.Use != "sig" || k.KeyID == "" || !k.Valid() {
			continue
		}
		for _, taken := range signatures() {
			if k.Algorithm == string(taken) {
				set[k.KeyID] = Key{Public: k.Key, Algorithm: k.Algorithm}
			}
		}
	}
	return set, nil
}

// Key finds a key by its id.
func (s KeySet) Key(_ context.Context, id string) (Key, error) {
	k, ok := s[id]
	if !ok {
		return Key{}, fmt.Errorf("%w: none of the published ones has the id %.100q", ErrUnknownKey, id)
	}
	return k, nil
}
