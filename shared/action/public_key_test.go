package action_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// p256 is a key whose fingerprint was told by openssl: pkey -pubin -outform DER | dgst -sha256 -binary | base64.
const (
	p256 = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbUwxBWIeL1ocWnqyU8LvmARHoMPe
Dv2j5ExpU7c4vJzvi/C1tEvvc3GTiRSqPxl+vF4pYmIE+SGg5R1EVWPYrA==
-----END PUBLIC KEY-----
`
	p256Fingerprint = "SHA256:FnQLheizVyYlWmd/RxRYE7305ZNXszB1mZ/v3DMsPn4"
)

func pkix(t testing.TB, key crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNewPublicKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	short := &rsa.PublicKey{N: new(big.Int).Rsh(key.N, 1), E: key.E}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := pkix(t, &key.PublicKey)
	block, _ := pem.Decode(good)
	const format = "The public key is invalid. Must be a PEM encoded RSA or ECDSA public key in PKCS#8 format"
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d time.Duration) *time.Time { t := now.Add(d); return &t }
	for _, tt := range []struct {
		name    string
		text    []byte
		expires *time.Time
		refusal string
	}{
		{name: "RSA", text: good},
		{name: "P-256", text: pkix(t, &ecKey(t, elliptic.P256()).PublicKey)},
		{name: "P-384", text: pkix(t, &ecKey(t, elliptic.P384()).PublicKey)},
		{name: "P-521", text: pkix(t, &ecKey(t, elliptic.P521()).PublicKey)},
		{name: "white space around it", text: []byte("\n" + p256 + "\n \r\n")},
		{name: "good for a nanosecond", text: good, expires: at(1)},
		{name: "good until now", text: good, expires: at(0), refusal: "Key expiration date must be in the future"},
		{name: "good until the first of all days", text: good, expires: new(time.Time), refusal: "Key expiration date must be in the future"},
		{name: "expired and no key: the expiry is told first", text: []byte("x"), expires: at(-time.Hour), refusal: "Key expiration date must be in the future"},
		{name: "nothing", refusal: format},
		{name: "garbage", text: []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), refusal: format},
		{name: "DER", text: block.Bytes, refusal: format},
		{name: "PKCS#1", text: pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&key.PublicKey)}), refusal: format},
		{name: "a private key", text: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), refusal: format},
		{name: "a private key behind it", text: append(bytes.Clone(good), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), refusal: format},
		{name: "Ed25519", text: pkix(t, edwards), refusal: format},
		{name: "P-224, which JOSE does not know", text: pkix(t, &ecKey(t, elliptic.P224()).PublicKey), refusal: format},
		{name: "an RSA key too short to encrypt with", text: pkix(t, short), refusal: format},
		{name: "bytes behind the key", text: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: append(bytes.Clone(block.Bytes), 0)}), refusal: format},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := action.NewPublicKey(tt.text, tt.expires, now)
			if tt.refusal != "" {
				if e, ok := errs.As(err); !ok || e.Kind != errs.InvalidArgument || e.ID != "" || e.Message != tt.refusal {
					t.Errorf("got %v, want %s", err, tt.refusal)
				}
				return
			}
			if err != nil || !got.ID.Valid() || got.Active || !bytes.Equal(got.PEM, tt.text) {
				t.Errorf("got %+v, %v", got, err)
			}
			if parsed, err := action.ParsePublicKey(got.PEM); err != nil || parsed == nil {
				t.Errorf("parsed %v, %v", parsed, err)
			}
		})
	}
}

func TestFingerprint(t *testing.T) {
	k, err := action.NewPublicKey([]byte(p256), nil, time.Now())
	if err != nil || k.Fingerprint != p256Fingerprint {
		t.Errorf("got %s, %v", k.Fingerprint, err)
	}
	if !k.Expires.IsZero() || k.Expired(time.Now()) {
		t.Errorf("expires %v", k.Expires)
	}
}

func TestPublicKeyQuery(t *testing.T) {
	all := []action.PublicKey{
		{ID: "c", Created: minute(1), Changed: minute(9), Expires: minute(30)},
		{ID: "a", Created: minute(2), Changed: minute(8), Active: true},
		{ID: "b", Created: minute(2), Changed: minute(7), Expires: minute(20)},
		{ID: "d", Created: minute(3), Changed: minute(6)},
	}
	up := action.Page{Limit: 100, Ascending: true}
	expires := func(m action.TimeMatch, at time.Time) action.PublicKeyQuery {
		return action.PublicKeyQuery{Page: up, Sort: action.SortExpires, Expires: []action.TimeFilter{{Value: at, Match: m}}}
	}
	for _, tt := range []struct {
		name  string
		query action.PublicKeyQuery
		want  string
		total int
	}{
		{"newest first, ids break ties", action.PublicKeyQuery{Page: action.Page{Limit: 100}, Sort: action.SortCreated}, "d b a c", 4},
		{"oldest first", action.PublicKeyQuery{Page: up}, "c a b d", 4},
		{"by change", action.PublicKeyQuery{Page: up, Sort: action.SortChanged}, "d b a c", 4},
		{"by expiry: what never expires is last", action.PublicKeyQuery{Page: up, Sort: action.SortExpires}, "b c a d", 4},
		{"by expiry, the last first", action.PublicKeyQuery{Page: action.Page{Limit: 9}, Sort: action.SortExpires}, "d a c b", 4},
		{"past the end the total is still true", action.PublicKeyQuery{Page: action.Page{Limit: 1, Offset: 4}}, "", 4},
		{"ids", action.PublicKeyQuery{Page: up, IDs: [][]action.PublicKeyID{{"a", "b", "x"}, {"b", "c"}}}, "b", 1},
		{"active", action.PublicKeyQuery{Page: up, Active: []bool{true}}, "a", 1},
		{"inactive", action.PublicKeyQuery{Page: up, Active: []bool{false}}, "c b d", 3},
		{"both is none", action.PublicKeyQuery{Page: up, Active: []bool{true, false}}, "", 0},
		{"expires then", expires(action.At, minute(20)), "b", 1},
		{"expires after", expires(action.After, minute(20)), "c", 1},
		{"expires then or after", expires(action.AtOrAfter, minute(20)), "b c", 2},
		{"expires before", expires(action.Before, minute(30)), "b", 1},
		{"expires then or before", expires(action.AtOrBefore, minute(30)), "b c", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page, total := tt.query.Select(all)
			var ids []string
			for _, k := range page {
				ids = append(ids, string(k.ID))
			}
			if diff := cmp.Diff(tt.want, strings.Join(ids, " ")); diff != "" || total != tt.total {
				t.Errorf("total %d, want %d (-want +got):\n%s", total, tt.total, diff)
			}
		})
	}
}

// FuzzPublicKey: what is accepted is read again as a key that can be used, and nothing makes it panic.
func FuzzPublicKey(f *testing.F) {
	f.Add([]byte(p256))
	f.Add(pkix(f, &ecKey(f, elliptic.P384()).PublicKey))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte(p256 + p256))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := action.NewPublicKey(text, nil, time.Now())
		if err != nil {
			if !errs.Is(err, errs.InvalidArgument) {
				t.Errorf("got %v", err)
			}
			return
		}
		parsed, err := action.ParsePublicKey(k.PEM)
		if err != nil {
			t.Fatal(err)
		}
		again, err := action.NewPublicKey(pkix(t, parsed), nil, time.Now())
		if _, isRSA := parsed.(*rsa.PublicKey); err != nil || isRSA && again.Fingerprint != k.Fingerprint {
			t.Errorf("written anew it is another one: %v, %s, %s", err, again.Fingerprint, k.Fingerprint)
		}
	})
}
