// Package envelope is the receiver's side of calls whose body is a JWT or a JWE: it verifies the one with the keys that Callout publishes,
// and opens the other with the receiver's private key. It is beside package signature, which verifies the headers of every call, and like that
// one knows nothing of targets.
//
// A receiver knows in which form its target sends, and takes no other: VerifyJWT refuses a JWE and OpenJWE a JWT. Neither says how old a
// call is, because the payload has no claims: that is for the signature headers.
package envelope

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// MaxBody is how large a body may be, in bytes.
const MaxBody = 16 << 20

// Why a body is refused. Every error of this package is one of these, or wraps one.
var (
	ErrMalformed  = errors.New("the body is not what this receiver takes")
	ErrUnknownKey = errors.New("the key is unknown")
	ErrMismatch   = errors.New("wrong key, or a changed body")
	ErrKeys       = errors.New("the published keys cannot be read")
)

// Keys finds keys to verify with. KeySet and Published do.
type Keys interface {
	// Key finds the key of that id; ErrUnknownKey if there is none, ErrKeys where that cannot be known.
	Key(ctx context.Context, id string) (Key, error)
}

// Key is a public key and the one algorithm that it is used with, by its JOSE name.
type Key struct {
	Public    crypto.PublicKey
	Algorithm string
}

// signatures are the algorithms that are taken: never none, never HMAC.
func signatures() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.EdDSA, jose.PS256}
}

// VerifyJWT gives the payload of a JWT that one of the keys has signed, byte for byte as it was signed.
func VerifyJWT(ctx context.Context, body []byte, keys Keys) ([]byte, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrMalformed, MaxBody)
	}
	token, err := jose.ParseSignedCompact(string(body), signatures())
	if err != nil {
		return nil, fmt.Errorf("%w: no JWT of an algorithm that is taken", ErrMalformed)
	}
	header := token.Signatures[0].Protected
	if header.ExtraHeaders[jose.HeaderType] != "JWT" {
		return nil, fmt.Errorf("%w: its typ is not JWT", ErrMalformed)
	}
	key, err := keys.Key(ctx, header.KeyID)
	if err != nil {
		return nil, err
	}
	if key.Algorithm != header.Algorithm {
		return nil, fmt.Errorf("%w: the key is not one of this algorithm", ErrMismatch)
	}
	payload, err := token.Verify(key.Public)
	if err != nil {
		return nil, ErrMismatch
	}
	return payload, nil
}

// OpenJWE gives the payload of a JWT, verified with keys, that was encrypted to one of the private keys: *rsa.PrivateKey or
// *ecdsa.PrivateKey. They are by the id that adding the public key returned; the one of "" is for every id that has none.
func OpenJWE(ctx context.Context, body []byte, private map[string]crypto.PrivateKey, keys Keys) ([]byte, error) {
	token, err := decrypt(body, private)
	if err != nil {
		return nil, err
	}
	return VerifyJWT(ctx, token, keys)
}

func decrypt(body []byte, private map[string]crypto.PrivateKey) ([]byte, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrMalformed, MaxBody)
	}
	object, err := jose.ParseEncryptedCompact(string(body), []jose.KeyAlgorithm{jose.RSA_OAEP_256, jose.ECDH_ES_A256KW},
		[]jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return nil, fmt.Errorf("%w: no JWE of algorithms that are taken", ErrMalformed)
	}
	if object.Header.ExtraHeaders[jose.HeaderContentType] != "JWT" || isCompressed(string(body)) {
		return nil, fmt.Errorf("%w: its cty is not JWT, or it is compressed", ErrMalformed)
	}
	key, ok := private[object.Header.KeyID]
	if !ok {
		key, ok = private[""]
	}
	if !ok {
		return nil, fmt.Errorf("%w: there is no private key of the id %.100q", ErrUnknownKey, object.Header.KeyID)
	}
	token, err := object.Decrypt(key)
	if err != nil {
		return nil, ErrMismatch
	}
	return token, nil
}

// isCompressed says whether a JWE would grow when it is opened. Callout's do not.
func isCompressed(body string) bool {
	first, _, _ := strings.Cut(body, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	var header struct {
		Zip any `json:"zip"`
	}
	return err != nil || json.Unmarshal(text, &header) != nil || header.Zip != nil
}
