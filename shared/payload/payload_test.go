package payload_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwe"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/payload"
)

// header reads the first segment of a token with nothing but the standard library.
func header(t *testing.T, token []byte) map[string]any {
	t.Helper()
	first, _, _ := strings.Cut(string(token), ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	var h map[string]any
	if err := json.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// checkJWT verifies with a library that has not made it.
func checkJWT(t *testing.T, token []byte, w *web, body string) {
	t.Helper()
	if diff := cmp.Diff(map[string]any{"alg": "RS256", "typ": "JWT", "kid": string(w.key.ID)}, header(t, token)); diff != "" {
		t.Errorf("header of the JWT (-want +got):\n%s", diff)
	}
	got, err := jws.Verify(token, jws.WithKey(jwa.RS256(), w.key.Public))
	if err != nil || string(got) != body {
		t.Errorf("%v, payload %s, want %s", err, got, body)
	}
}

func openJWE(t *testing.T, sealed []byte, id action.PublicKeyID, private crypto.Signer) []byte {
	t.Helper()
	h := header(t, sealed)
	algorithm := jwa.RSA_OAEP_256()
	if h["epk"] != nil {
		algorithm = jwa.ECDH_ES_A256KW()
		delete(h, "epk")
	}
	if diff := cmp.Diff(map[string]any{"alg": algorithm.String(), "enc": "A256GCM", "typ": "JWT", "cty": "JWT", "kid": string(id)}, h); diff != "" {
		t.Errorf("header of the JWE (-want +got):\n%s", diff)
	}
	token, err := jwe.Decrypt(sealed, jwe.WithKey(algorithm, private))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestForms: every kind of condition, in every form, to every kind of key.
func TestForms(t *testing.T) {
	w := signing()
	m := payload.Maker{Keys: w}
	for _, condition := range slices.Sorted(maps.Keys(bodies())) {
		body := bodies()[condition]
		for _, form := range []action.PayloadType{action.PayloadUnspecified, action.PayloadJSON, action.PayloadJWT, action.PayloadJWE} {
			for _, kind := range append(keyKinds(), "none") {
				t.Run(fmt.Sprintf("%s as %q to %s", condition, form, kind), func(t *testing.T) {
					target := action.Target{ID: "t", PayloadType: form}
					private := privateKeys()[kind]
					if private != nil {
						target.PublicKey = publicKey(t, "p1", private, time.Now().Add(time.Hour))
					}
					got, err := m.Make(t.Context(), here, target, []byte(body))
					switch {
					case form == action.PayloadJWE && private == nil:
						if e, ok := errs.As(err); !ok || e.ID != "EXEC-2n8fhs7g" || got != nil {
							t.Errorf("%q, %v", got, err)
						}
					case err != nil:
						t.Error(err)
					case form == action.PayloadJWE:
						checkJWT(t, openJWE(t, got, "p1", private), w, body)
					case form == action.PayloadJWT:
						checkJWT(t, got, w, body)
					case string(got) != body:
						t.Errorf("got %s", got)
					}
				})
			}
		}
	}
}

// TestKeysOfTheMoment: each call takes the keys as they are when it is made.
func TestKeysOfTheMoment(t *testing.T) {
	w := signing()
	_ = privateKeys()
	synctest.Test(t, func(t *testing.T) {
		m := payload.Maker{Keys: w}
		first, second := privateKeys()["RSA 2048"], privateKeys()["P-256"]
		target := action.Target{PayloadType: action.PayloadJWE, PublicKey: publicKey(t, "p1", first, time.Now().Add(time.Hour))}
		body := bodies()["event"]
		try := func() ([]byte, error) { return m.Make(t.Context(), here, target, []byte(body)) }
		sealed, err := try()
		if err != nil {
			t.Fatal(err)
		}
		checkJWT(t, openJWE(t, sealed, "p1", first), w, body)
		if again, err := try(); err != nil || bytes.Equal(again, sealed) {
			t.Errorf("twice the same: %v", err)
		}

		time.Sleep(time.Hour) // the key expires
		if _, err := try(); err == nil || !strings.Contains(err.Error(), "EXEC-2n8fhs7g") {
			t.Errorf("with an expired key: %v", err)
		}
		target.PublicKey = publicKey(t, "p2", second, time.Time{}) // replaced between two attempts
		w.key.ID = "w2"
		if sealed, err = try(); err != nil {
			t.Fatal(err)
		}
		checkJWT(t, openJWE(t, sealed, "p2", second), w, body)
		if _, err := jwe.Decrypt(sealed, jwe.WithKey(jwa.RSA_OAEP_256(), first)); err == nil {
			t.Error("the former key opens what was made for the next one")
		}
	})
}

func TestRefusals(t *testing.T) {
	w, down := signing(), errs.New(errs.Unavailable, "", "the database is down")
	good := publicKey(t, "p1", privateKeys()["P-256"], time.Time{})
	foreign := signing()
	foreign.key.Algorithm = "ES256"
	secret := signing()
	secret.key.Private = action.PrivateKey{}
	tests := []struct {
		name   string
		maker  payload.Maker
		target action.Target
		body   string
		kind   errs.Kind
		id     string
	}{
		{"an unknown form", payload.Maker{Keys: w}, action.Target{PayloadType: "xml"}, "{}", errs.Internal, ""},
		{"no keys", payload.Maker{}, action.Target{PayloadType: action.PayloadJWT}, "{}", errs.Internal, ""},
		{"no web key", payload.Maker{Keys: &web{err: errs.New(errs.Internal, "QUERY-Opoh7", "x")}}, action.Target{PayloadType: action.PayloadJWT}, "{}", errs.Internal, "QUERY-Opoh7"},
		{"the database is down", payload.Maker{Keys: &web{err: down}}, action.Target{PayloadType: action.PayloadJWT}, "{}", errs.Unavailable, ""},
		{"the database is down, JWE", payload.Maker{Keys: &web{err: down}}, action.Target{PayloadType: action.PayloadJWE, PublicKey: good}, "{}", errs.Unavailable, ""},
		{"a web key of another algorithm", payload.Maker{Keys: foreign}, action.Target{PayloadType: action.PayloadJWT}, "{}", errs.Internal, ""},
		{"a web key without its private part", payload.Maker{Keys: secret}, action.Target{PayloadType: action.PayloadJWT}, "{}", errs.Internal, ""},
		{"a public key that is none", payload.Maker{Keys: w}, action.Target{PayloadType: action.PayloadJWE, PublicKey: action.PublicKey{ID: "p1", PEM: []byte("x")}}, "{}", errs.Internal, "EXEC-3n8fhs7g"},
		{"too large", payload.Maker{Keys: w}, action.Target{PayloadType: action.PayloadJWT}, strings.Repeat("x", payload.MaxBody+1), errs.TooLarge, ""},
		{"too large, JWE", payload.Maker{Keys: w}, action.Target{PayloadType: action.PayloadJWE, PublicKey: good}, strings.Repeat("x", payload.MaxBody+1), errs.TooLarge, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.maker.Make(t.Context(), here, tt.target, []byte(tt.body))
			if e, ok := errs.As(err); !ok || e.Kind != tt.kind || e.ID != tt.id || len(got) != 0 {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if _, err := (payload.Maker{}).Make(t.Context(), here, action.Target{}, make([]byte, payload.MaxBody+1)); err != nil {
		t.Errorf("JSON is as long as it is: %v", err)
	}
}

// TestSecretsDoNotShow: however a key is printed or logged, it stays hidden.
func TestSecretsDoNotShow(t *testing.T) {
	key := signing().key
	encoded, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, key), fmt.Sprintf(verb, key.Private))
	}
	for _, text := range append(texts, string(encoded)) {
		if !strings.Contains(text, "[hidden]") || strings.Contains(text, "Primes") || strings.Contains(text, "PrivateKey:{") {
			t.Errorf("%.200s", text)
		}
	}
	if key.Private.Signer() == nil {
		t.Error("there is no key to hide")
	}
}
