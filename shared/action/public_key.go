package action

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/errs"
)

// PublicKeyID names a public key of a target.
type PublicKeyID string

// NewPublicKeyID makes a random id.
func NewPublicKeyID() PublicKeyID { return PublicKeyID(strings.ToLower(rand.Text())) }

// Valid says whether a public key can have this id: the same rule as for targets.
func (id PublicKeyID) Valid() bool { return validID(string(id)) }

// PublicKey is one that a target's payloads may be encrypted to. At most one of a target is active.
type PublicKey struct {
	ID          PublicKeyID
	PEM         []byte
	Fingerprint string
	Active      bool
	// Expires is when the key is no longer used; zero means never.
	Expires          time.Time
	Created, Changed time.Time
}

// Expired says whether the key may no longer be used at that moment.
func (k PublicKey) Expired(now time.Time) bool { return !k.Expires.IsZero() && !k.Expires.After(now) }

const (
	pemPublicKey = "PUBLIC KEY"
	minRSABits   = 1024 // the standard library encrypts with no shorter ones
)

var (
	errKeyExpiry = errs.New(errs.InvalidArgument, "", "Key expiration date must be in the future")
	errKeyFormat = errs.New(errs.InvalidArgument, "", "The public key is invalid. Must be a PEM encoded RSA or ECDSA public key in PKCS#8 format")
)

// NewPublicKey makes an inactive key with an id of its own; without expires it is good for ever. It checks first that it expires in the
// future, then that it is a key that can be used (actions-v2.md section 3.6).
func NewPublicKey(text []byte, expires *time.Time, now time.Time) (PublicKey, error) {
	k := PublicKey{ID: NewPublicKeyID(), PEM: text}
	if expires != nil {
		if k.Expires = *expires; !k.Expires.After(now) {
			return PublicKey{}, errKeyExpiry
		}
	}
	der, err := publicKeyDER(text)
	if err != nil {
		return PublicKey{}, err
	}
	k.Fingerprint = fingerprint(der)
	return k, nil
}

// ParsePublicKey reads a key in PEM and PKIX: *rsa.PublicKey, or *ecdsa.PublicKey on a curve that JOSE knows.
func ParsePublicKey(text []byte) (crypto.PublicKey, error) {
	der, err := publicKeyDER(text)
	if err != nil {
		return nil, err
	}
	return x509.ParsePKIXPublicKey(der)
}

// publicKeyDER reads the one block of a PEM text and checks what it holds. Whatever follows the block is refused, because the text is shown
// again as it came, and somebody may have left their private key there.
func publicKeyDER(text []byte) ([]byte, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemPublicKey || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errKeyFormat
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, errKeyFormat.Because(err)
	}
	switch k := parsed.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= minRSABits {
			return block.Bytes, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() || k.Curve == elliptic.P521() {
			return block.Bytes, nil
		}
	}
	return nil, errKeyFormat
}

// fingerprint is that of actions-v2.md section 7.4.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
