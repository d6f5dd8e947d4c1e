package action

import (
	"crypto/rand"
	"log/slog"
	"math/big"
)

// Secret is a text that must not be seen by accident: it prints, logs and encodes as "[hidden]". string(s) tells it.
type Secret string

const hidden = "[hidden]"

// String hides the secret.
func (Secret) String() string { return hidden }

// GoString hides the secret.
func (Secret) GoString() string { return hidden }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

const (
	signingKeyLength   = 36
	signingKeyAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

// NewSigningKey makes a signing key: 36 letters and digits (actions-v2.md section 9).
func NewSigningKey() (Secret, error) {
	key := make([]byte, signingKeyLength)
	letters := big.NewInt(int64(len(signingKeyAlphabet)))
	for i := range key {
		n, err := rand.Int(rand.Reader, letters)
		if err != nil {
			return "", err
		}
		key[i] = signingKeyAlphabet[n.Int64()]
	}
	return Secret(key), nil
}
