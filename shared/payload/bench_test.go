package payload_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/payload"
)

// BenchmarkForms makes bodies of 1 KiB, and does in turn what no form can do without: the signature, the encryption of a content key to the
// target's, and that of the content. "×raw" is how many times as long making the body takes.
func BenchmarkForms(b *testing.B) {
	w := signing()
	body := []byte(`{"event_payload":"` + strings.Repeat("x", 1000) + `"}`)
	sign := func() error {
		sum := sha256.Sum256(body)
		_, err := rsa.SignPKCS1v15(rand.Reader, w.key.Private.Signer().(*rsa.PrivateKey), crypto.SHA256, sum[:])
		return err
	}
	forms := []struct {
		name string
		form action.PayloadType
		kind string
	}{{"JWT", action.PayloadJWT, ""}, {"JWE to RSA 2048", action.PayloadJWE, "RSA 2048"}, {"JWE to P-256", action.PayloadJWE, "P-256"}}
	for _, f := range forms {
		b.Run(f.name, func(b *testing.B) {
			target := action.Target{PayloadType: f.form}
			raw := sign
			if f.kind != "" {
				target.PublicKey = publicKey(b, "p1", privateKeys()[f.kind], time.Time{})
				encrypt := rawEncryption(b, privateKeys()[f.kind], body)
				raw = func() error {
					if err := sign(); err != nil {
						return err
					}
					return encrypt()
				}
			}
			m := payload.Maker{Keys: w}
			var made, bare time.Duration
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				if err := raw(); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				if _, err := m.Make(b.Context(), here, target, body); err != nil {
					b.Fatal(err)
				}
				bare += between.Sub(began)
				made += time.Since(between)
			}
			b.ReportMetric(float64(made.Microseconds())/float64(b.N), "µs/body")
			b.ReportMetric(float64(bare.Microseconds())/float64(b.N), "µs/raw")
			b.ReportMetric(float64(made)/float64(bare), "×raw")
		})
	}
}

// rawEncryption is what encrypting to a key cannot do without.
func rawEncryption(b *testing.B, private crypto.Signer, body []byte) func() error {
	seal := func(key []byte) error {
		block, err := aes.NewCipher(key)
		if err != nil {
			return err
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			return err
		}
		gcm.Seal(nil, make([]byte, gcm.NonceSize()), body, nil)
		return nil
	}
	if key, ok := private.(*rsa.PrivateKey); ok {
		return func() error {
			content := make([]byte, 32)
			if _, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, content, nil); err != nil {
				return err
			}
			return seal(content)
		}
	}
	public, err := private.Public().(*ecdsa.PublicKey).ECDH()
	if err != nil {
		b.Fatal(err)
	}
	return func() error {
		ephemeral, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		shared, err := ephemeral.ECDH(public)
		if err != nil {
			return err
		}
		return seal(shared)
	}
}
