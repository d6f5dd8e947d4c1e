// Package payload makes the body that a target receives (actions-v2.md section 7): JSON, a JWT (JWS) around it, or a JWE around that. It is
// made for each call, with the keys of that time.
package payload

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// MaxBody is how large the JSON may be that is signed or encrypted, in bytes. Around it, a JWT is a third larger and a JWE three quarters.
const MaxBody = 8 << 20

const typeJWT = "JWT"

// The reference's errors.
var (
	errNoPublicKey = errs.New(errs.Internal, "EXEC-2n8fhs7g", "No encryption key found for target")
	errPublicKey   = errs.New(errs.Internal, "EXEC-3n8fhs7g", "The encryption key of the target cannot be used")
	errEncrypt     = errs.New(errs.Internal, "EXEC-NKJe2", "The encryption key of the target cannot be used")
)

// Keys tells which key signs.
type Keys interface {
	Signing(ctx context.Context, instance action.InstanceID) (action.WebKey, error)
}

// Maker makes bodies. One without Keys makes JSON alone.
type Maker struct{ Keys Keys }

// Make gives the body in the target's form. JSON is the same bytes. The error is Unavailable where the keys that sign cannot be read now;
// every other one is of the kinds and ids of actions-v2.md sections 5.4 and 7, and trying again does not mend it.
func (m Maker) Make(ctx context.Context, instance action.InstanceID, t action.Target, body []byte) ([]byte, error) {
	switch t.PayloadType {
	case action.PayloadUnspecified, action.PayloadJSON:
		return body, nil
	case action.PayloadJWT, action.PayloadJWE:
	default:
		return nil, errs.New(errs.Internal, "", "the payload type is unknown").Because(fmt.Errorf("target %s: %q", t.ID, t.PayloadType))
	}
	if len(body) > MaxBody {
		return nil, errs.Newf(errs.TooLarge, "a payload of %d bytes cannot be signed, the most are %d", len(body), MaxBody)
	}
	if t.PayloadType == action.PayloadJWT {
		token, err := m.sign(ctx, instance, body)
		return []byte(token), err
	}
	encrypter, err := encrypterTo(t.PublicKey, time.Now()) // before signing, which costs more
	if err != nil {
		return nil, err
	}
	token, err := m.sign(ctx, instance, body)
	if err != nil {
		return nil, err
	}
	object, err := encrypter.Encrypt([]byte(token))
	if err != nil {
		return nil, errEncrypt.Because(err)
	}
	sealed, err := object.CompactSerialize()
	if err != nil {
		return nil, errEncrypt.Because(err)
	}
	return []byte(sealed), nil
}

// sign makes the compact JWS of the body as it is: no claim is added.
func (m Maker) sign(ctx context.Context, instance action.InstanceID, body []byte) (string, error) {
	if m.Keys == nil {
		return "", errs.New(errs.Internal, "", "sign payload").Because(errors.New("there are no keys to sign with"))
	}
	key, err := m.Keys.Signing(ctx, instance)
	if err != nil {
		return "", err
	}
	private := jose.JSONWebKey{Key: key.Private.Signer(), KeyID: string(key.ID)}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: private},
		(&jose.SignerOptions{}).WithType(typeJWT))
	if err != nil {
		return "", errs.New(errs.Internal, "", "sign payload").Because(fmt.Errorf("web key %s: %w", key.ID, err))
	}
	token, err := signer.Sign(body)
	if err != nil {
		return "", errs.New(errs.Internal, "", "sign payload").Because(fmt.Errorf("web key %s: %w", key.ID, err))
	}
	return token.CompactSerialize()
}

// encrypterTo encrypts to the active key, as long as it has not expired.
func encrypterTo(k action.PublicKey, now time.Time) (jose.Encrypter, error) {
	if k.ID == "" || k.Expired(now) {
		return nil, errNoPublicKey
	}
	key, err := action.ParsePublicKey(k.PEM)
	if err != nil {
		return nil, errPublicKey.Because(fmt.Errorf("public key %s: %w", k.ID, err))
	}
	recipient := jose.Recipient{Algorithm: keyAlgorithm(key), Key: key, KeyID: string(k.ID)}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, recipient, (&jose.EncrypterOptions{}).WithType(typeJWT).WithContentType(typeJWT))
	if err != nil {
		return nil, errEncrypt.Because(fmt.Errorf("public key %s: %w", k.ID, err))
	}
	return encrypter, nil
}

// keyAlgorithm is how the content's key is encrypted to a target's: RSA keys wrap it, and all others that are taken are on curves.
func keyAlgorithm(key crypto.PublicKey) jose.KeyAlgorithm {
	if _, ok := key.(*rsa.PublicKey); ok {
		return jose.RSA_OAEP_256
	}
	return jose.ECDH_ES_A256KW
}
