package payload_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"sync"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

const here action.InstanceID = "here"

// bodies are one for each kind of condition (actions-v2.md section 6), with what re-encoding would change.
func bodies() map[string]string {
	return map[string]string{
		"request":  `{"fullMethod":"/a.S/M","instanceID":"here","request":{"z":1,"a":12345678901234567890,"ü":"<&> 日"},"headers":{"Host":["h"]}}`,
		"response": `{"fullMethod":"/a.S/M","request":{"b":1.50},"response":{"big":1e400,"a":null}}`,
		"event":    `{"aggregateID":"404","sequence":1,"event_type":"user.human.added","event_payload":{"userName":"kim"}}`,
		"function": `{"function":"function/preaccesstoken","userinfo":{"sub":"404"},"response":{}}`,
	}
}

// web gives one web key, or its error.
type web struct {
	key action.WebKey
	err error
}

func (w *web) Signing(context.Context, action.InstanceID) (action.WebKey, error) { return w.key, w.err }

// privateKeys are made once: they cost more than all else here.
var privateKeys = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	for name, bits := range map[string]int{"signing": 2048, "RSA 1024": 1024, "RSA 2048": 2048, "RSA 3072": 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys[name] = key
	}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		keys[name] = key
	}
	return keys
})

// keyKinds are the private keys that targets may have.
func keyKinds() []string {
	return []string{"RSA 1024", "RSA 2048", "RSA 3072", "P-256", "P-384", "P-521"}
}

func signing() *web {
	private := privateKeys()["signing"]
	return &web{key: action.WebKey{ID: "w1", Algorithm: action.RS256, Public: private.Public(), Private: action.Hide(private)}}
}

func publicKey(t testing.TB, id action.PublicKeyID, private crypto.Signer, expires time.Time) action.PublicKey {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return action.PublicKey{ID: id, Active: true, Expires: expires, PEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
}
