package seal_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/callout-dev/callout/shared/seal"
)

const place = "instances/default/targets/t1#signingKeys"

func sealer(t testing.TB, keys string) *seal.Sealer {
	t.Helper()
	s, err := seal.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealAndOpen(t *testing.T) {
	s := sealer(t, seal.NewKey("k1"))
	for _, value := range []string{"", "a", "größer \x00 \xff", strings.Repeat("x", 1<<16)} {
		sealed, err := s.Seal(place, value)
		if err != nil {
			t.Fatal(err)
		}
		if value != "" && strings.Contains(sealed, value) && len(value) > 3 {
			t.Error("the value shows")
		}
		if got, err := s.Open(place, sealed); err != nil || got != value {
			t.Errorf("%.10q: got %.10q, %v", value, got, err)
		}
	}
	one, _ := s.Seal(place, "same")
	other, _ := s.Seal(place, "same")
	if one == other {
		t.Error("the same value is sealed alike twice: no nonce")
	}
}

func TestFirstKeySealsAndEveryKeyOpens(t *testing.T) {
	k1, k2, k3 := seal.NewKey("k1"), seal.NewKey("k2"), seal.NewKey("k3")
	old, err := sealer(t, k1).Seal(place, "secret")
	if err != nil {
		t.Fatal(err)
	}
	both := sealer(t, k2+", "+k1)
	if got, err := both.Open(place, old); got != "secret" || err != nil {
		t.Errorf("after rotation: %q, %v", got, err)
	}
	fresh, err := both.Seal(place, "secret")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sealer(t, k1).Open(place, fresh); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("the second key sealed: %v", err)
	}
	if _, err := sealer(t, k3).Open(place, old); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("a key of another id: %v", err)
	}
	if _, err := sealer(t, seal.NewKey("k1")).Open(place, old); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("another key of the same id: %v", err)
	}
}

func TestReseal(t *testing.T) {
	k1, k2 := seal.NewKey("k1"), seal.NewKey("k2")
	old, err := sealer(t, k1).Seal(place, "secret")
	if err != nil {
		t.Fatal(err)
	}
	both := sealer(t, k2+","+k1)
	fresh, err := both.Reseal(place, old)
	if err != nil || seal.KeyID(old) != "k1" || seal.KeyID(fresh) != "k2" {
		t.Fatalf("from %q to %q, %v", seal.KeyID(old), seal.KeyID(fresh), err)
	}
	if got, err := sealer(t, k2).Open(place, fresh); err != nil || got != "secret" {
		t.Errorf("without the old key: %q, %v", got, err)
	}
	if again, err := both.Reseal(place, fresh); err != nil || again != fresh {
		t.Errorf("sealed anew though it is under the first key already: %v", err)
	}
	for name, sealed := range map[string]string{"nothing": "", "clear text": "secret", "changed": fresh[:len(fresh)-4] + "AAAA"} {
		if got, err := both.Reseal(place, sealed); !errors.Is(err, seal.ErrOpen) || got != sealed {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := sealer(t, k1).Reseal(place, fresh); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("without its key: %v", err)
	}
	if _, err := both.Reseal("elsewhere", old); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("for another place: %v", err)
	}
	if id := seal.KeyID("secret"); id != "" {
		t.Errorf("clear text has the key id %q", id)
	}
}

func TestOpenRefuses(t *testing.T) {
	text := seal.NewKey("k1")
	s := sealer(t, text)
	sealed, err := s.Seal(place, "secret")
	if err != nil {
		t.Fatal(err)
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "k1:"))
	foreign := func(alg jose.KeyAlgorithm, enc jose.ContentEncryption, key any, header string) string {
		options := (&jose.EncrypterOptions{}).WithHeader("for", header)
		e, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: alg, Key: key, KeyID: "k1"}, options)
		if err != nil {
			t.Fatal(err)
		}
		object, err := e.Encrypt([]byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := object.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	parts := strings.Split(sealed, ".")
	changed := func(i int) string {
		p := append([]string(nil), parts...)
		b, _ := base64.RawURLEncoding.DecodeString(p[i])
		b[0] ^= 1
		p[i] = base64.RawURLEncoding.EncodeToString(b)
		return strings.Join(p, ".")
	}
	tests := []struct{ name, place, sealed string }{
		{"another document", "instances/default/targets/t2#signingKeys", sealed},
		{"another field", "instances/default/targets/t1#other", sealed},
		{"no place", "", sealed},
		{"nothing", place, ""},
		{"clear text", place, "secret"},
		{"JSON serialization", place, `{"protected":"` + parts[0] + `","iv":"` + parts[2] + `","ciphertext":"` + parts[3] + `","tag":"` + parts[4] + `"}`},
		{"a changed header", place, changed(0)},
		{"a changed nonce", place, changed(2)},
		{"changed text", place, changed(3)},
		{"a changed tag", place, changed(4)},
		{"cut off", place, strings.Join(parts[:4], ".")},
		{"another algorithm with the right key", place, foreign(jose.A256GCMKW, jose.A256GCM, key, place)},
		{"another encryption with the right key", place, foreign(jose.DIRECT, jose.A128CBC_HS256, key, place)},
		{"a password", place, foreign(jose.PBES2_HS256_A128KW, jose.A256GCM, "k1", place)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := s.Open(tt.place, tt.sealed); !errors.Is(err, seal.ErrOpen) || got != "" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	if got, err := s.Open(place, foreign(jose.DIRECT, jose.A256GCM, key, place)); err != nil || got != "secret" {
		t.Errorf("what another hand sealed well: %q, %v", got, err)
	}
}

func TestNewRefusesWithoutQuoting(t *testing.T) {
	const secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for name, keys := range map[string]string{
		"nothing":           "",
		"no id":             ":" + secret,
		"only a key":        secret,
		"id and key turned": secret + ":k1",
		"a short key":       "k1:" + secret[:40],
		"a long key":        "k1:" + secret[:43] + secret,
		"URL base64":        "k1:" + strings.Repeat("_", 43) + "=",
		"an id twice":       "k1:" + secret + ",k1:" + secret,
		"the turned second": "k1:" + secret + "," + secret + ":k2",
		"a comma too many":  "k1:" + secret + ",",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := seal.New(keys)
			if err == nil || strings.Contains(err.Error(), secret[:20]) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := seal.New(" k1:" + secret + " , k2:" + secret); err != nil {
		t.Errorf("white space around entries: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s := sealer(f, "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	sealed, _ := s.Seal(place, "secret")
	f.Add(sealed)
	f.Add("....")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := s.Open(place, text); (err == nil) != (got == "secret") || err != nil && !errors.Is(err, seal.ErrOpen) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	})
}
