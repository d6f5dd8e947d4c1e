package auth_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

// wantError wants that kind and id, and a text for the caller that says nothing of the token; "" wants none.
func wantError(t *testing.T, err error, kind errs.Kind, id string) {
	t.Helper()
	if kind == "" {
		if err != nil {
			t.Errorf("got error %v", err)
		}
		return
	}
	e, ok := errs.As(err)
	if !ok || e.Kind != kind || e.ID != id {
		t.Errorf("got %v, want %s with the id %q", err, kind, id)
	}
}

const invalid = "AUTH-7fs1e"

func TestHandMadeTokens(t *testing.T) {
	raw := func(header, payload, signature string) string {
		enc := base64.RawURLEncoding.EncodeToString
		return enc([]byte(header)) + "." + enc([]byte(payload)) + "." + enc([]byte(signature))
	}
	good := func(t *testing.T, edits ...func(map[string]any)) string {
		return sign(t, jose.RS256, keys()["rsa"], "rsa", claimSet(edits...))
	}
	now := func() time.Time { return time.Now() }
	tests := []struct {
		name  string
		token func(t *testing.T) string
		ok    bool
	}{
		{"a good one", func(t *testing.T) string { return good(t) }, true},
		{"ES256", func(t *testing.T) string { return sign(t, jose.ES256, keys()["ec"], "ec", claimSet()) }, true},
		{"EdDSA", func(t *testing.T) string { return sign(t, jose.EdDSA, keys()["ed"], "ed", claimSet()) }, true},
		{"PS256", func(t *testing.T) string { return sign(t, jose.PS256, keys()["rsa"], "rsa", claimSet()) }, true},
		{"without a key id", func(t *testing.T) string { return sign(t, jose.RS256, keys()["rsa"], "", claimSet()) }, true},
		{"one audience of several", func(t *testing.T) string { return good(t, with("aud", []string{"other", audience})) }, true},
		{"a beginning that has come", func(t *testing.T) string { return good(t, with("nbf", now().Unix())) }, true},
		{"expired", func(t *testing.T) string { return good(t, with("exp", now().Add(-time.Second).Unix())) }, false},
		{"no expiry", func(t *testing.T) string { return good(t, without("exp")) }, false},
		{"an expiry that is a text", func(t *testing.T) string { return good(t, with("exp", "never")) }, false},
		{"not yet begun", func(t *testing.T) string { return good(t, with("nbf", now().Add(time.Hour).Unix())) }, false},
		{"another audience", func(t *testing.T) string { return good(t, with("aud", "other")) }, false},
		{"the push audience", func(t *testing.T) string { return good(t, with("aud", pushAudience)) }, false},
		{"no audience", func(t *testing.T) string { return good(t, without("aud")) }, false},
		{"an audience that only begins alike", func(t *testing.T) string { return good(t, with("aud", audience+"x")) }, false},
		{"another issuer", func(t *testing.T) string { return good(t, with("iss", "https://evil.test")) }, false},
		{"the issuer with a slash", func(t *testing.T) string { return good(t, with("iss", issuerURL+"/")) }, false},
		{"no issuer", func(t *testing.T) string { return good(t, without("iss")) }, false},
		{"roles that are a number", func(t *testing.T) string { return good(t, with("urn:zitadel:iam:org:project:roles", 7)) }, false},
		{"a key that is not published", func(t *testing.T) string { return sign(t, jose.RS256, keys()["other"], "other", claimSet()) }, false},
		{"a foreign key under a known id", func(t *testing.T) string { return sign(t, jose.RS256, keys()["other"], "rsa", claimSet()) }, false},
		{"a known key under another's id", func(t *testing.T) string { return sign(t, jose.RS256, keys()["rsa"], "ec", claimSet()) }, false},
		{"RS512", func(t *testing.T) string { return sign(t, jose.RS512, keys()["rsa"], "rsa", claimSet()) }, false},
		{"HMAC with the public key", func(t *testing.T) string {
			der, err := x509.MarshalPKIXPublicKey(keys()["rsa"].Public())
			if err != nil {
				t.Fatal(err)
			}
			return sign(t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "rsa", claimSet())
		}, false},
		{"alg none", func(*testing.T) string {
			return raw(`{"alg":"none"}`, `{"iss":"`+issuerURL+`","aud":"callout","exp":9999999999}`, "")
		}, false},
		{"alg None with a signature", func(*testing.T) string {
			return raw(`{"alg":"None","kid":"rsa"}`, `{"iss":"`+issuerURL+`","aud":"callout","exp":9999999999}`, "x")
		}, false},
		{"another payload under the signature", func(t *testing.T) string {
			parts, other := strings.Split(good(t), "."), strings.Split(good(t, with("sub", "admin")), ".")
			return parts[0] + "." + other[1] + "." + parts[2]
		}, false},
		{"no signature", func(t *testing.T) string { return good(t)[:strings.LastIndexByte(good(t), '.')+1] }, false},
		{"two parts", func(*testing.T) string { return "a.b" }, false},
		{"four parts", func(t *testing.T) string { return good(t) + ".x" }, false},
		{"dots", func(*testing.T) string { return ".." }, false},
		{"not base64", func(*testing.T) string { return "!.!.!" }, false},
		{"an opaque one", func(*testing.T) string { return "opaque-token" }, false},
		{"a huge one", func(t *testing.T) string { return good(t, with("x", strings.Repeat("x", 16<<10))) }, false},
		{"a critical header", func(t *testing.T) string {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: keys()["rsa"]},
				(&jose.SignerOptions{}).WithHeader("kid", "rsa").WithHeader("crit", []string{"urn:x"}).WithHeader("urn:x", true))
			if err != nil {
				t.Fatal(err)
			}
			object, err := signer.Sign([]byte(`{"iss":"` + issuerURL + `","aud":"callout","exp":9999999999}`))
			if err != nil {
				t.Fatal(err)
			}
			token, _ := object.CompactSerialize()
			return token
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withIssuer(t, func(t *testing.T, _ *issuer, client *http.Client) {
				token := tt.token(t)
				caller, err := guard(client).Authenticate(t.Context(), "Bearer "+token, "api.test")
				if !tt.ok {
					wantError(t, err, errs.Unauthenticated, invalid)
					if e, _ := errs.As(err); e != nil && e.Public() != "Token is invalid (AUTH-7fs1e)" {
						t.Errorf("the caller learns %q", e.Public())
					}
					return
				}
				if err != nil || caller.Subject != "user-1" || caller.Instance != action.DefaultInstance || caller.Allow(auth.TargetWrite) != nil {
					t.Errorf("got %+v, %v", caller, err)
				}
			})
		})
	}
}

func TestAuthorizationHeader(t *testing.T) {
	withIssuer(t, func(t *testing.T, _ *issuer, client *http.Client) {
		g, token := guard(client), sign(t, jose.RS256, keys()["rsa"], "rsa", claimSet())
		_, err := g.Authenticate(t.Context(), "", "")
		wantError(t, err, errs.Unauthenticated, "")
		if err.Error() != "auth header missing" {
			t.Errorf("got %q", err)
		}
		for _, h := range []string{"Bearer " + token, "bearer " + token, "BEARER  " + token + " "} {
			if _, err := g.Authenticate(t.Context(), h, ""); err != nil {
				t.Errorf("%.9q…: %v", h, err)
			}
		}
		for _, h := range []string{"Bearer", "Bearer ", token, "Basic " + token, "Token " + token, "Bearer\t" + token, "Bearer " + token + " x", "Bearer " + token + "," + token} {
			_, err := g.Authenticate(t.Context(), h, "")
			wantError(t, err, errs.Unauthenticated, invalid)
		}
	})
}

func TestIssuerDownAndBack(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		g, token := guard(client), "Bearer "+sign(t, jose.RS256, keys()["rsa"], "rsa", claimSet())
		try := func(kind errs.Kind) {
			t.Helper()
			time.Sleep(time.Second) // how long it rests after a look at the keys that failed
			_, err := g.Authenticate(t.Context(), token, "")
			wantError(t, err, kind, "")
			if e, ok := errs.As(err); ok && strings.Contains(e.Public(), "issuer.test") {
				t.Errorf("the caller learns %q", e.Public())
			}
		}
		i.set(func(i *issuer) { i.discovery = 500 })
		try(errs.Unavailable)
		i.set(func(i *issuer) { i.discovery, i.name = 0, "https://another.test" })
		try(errs.Unavailable)
		i.set(func(i *issuer) { i.name, i.jwks = issuerURL, 503 })
		try(errs.Unavailable)
		i.set(func(i *issuer) { i.jwks = 0 })
		try("")
		i.set(func(i *issuer) { i.discovery, i.jwks = 500, 500 })
		try("") // what is known goes on to work
		fresh := "Bearer " + sign(t, jose.RS256, keys()["other"], "other", claimSet())
		time.Sleep(5 * time.Second) // and after one that went well
		if _, err := g.Authenticate(t.Context(), fresh, ""); !errs.Is(err, errs.Unavailable) {
			t.Errorf("a key that cannot be looked up: %v", err)
		}
		time.Sleep(time.Second)
		i.set(func(i *issuer) { i.jwks, i.published = 0, []string{"other"} })
		if _, err := g.Authenticate(t.Context(), fresh, ""); err != nil {
			t.Errorf("a new key: %v", err)
		}
	})
}

func TestIssuerThatHangsHoldsNobodyLongerThanOnce(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		i.set(func(i *issuer) { i.hang = time.Minute })
		client.Timeout = 0
		g, token, start := guard(client), "Bearer "+sign(t, jose.RS256, keys()["rsa"], "rsa", claimSet()), time.Now()
		var wait sync.WaitGroup
		for range 50 {
			wait.Go(func() {
				if _, err := g.Authenticate(t.Context(), token, ""); !errs.Is(err, errs.Unavailable) {
					t.Errorf("got %v", err)
				}
			})
		}
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := g.Authenticate(ctx, token, "")
			if !errs.Is(err, errs.Unavailable) || time.Since(start) != time.Second {
				t.Errorf("a caller with little time waited %v: %v", time.Since(start), err)
			}
		})
		wait.Wait()
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("the last one waited %v", took)
		}
		i.set(func(i *issuer) {
			i.hang = 0
			if i.asked != 1 {
				t.Errorf("the issuer was asked %d times", i.asked)
			}
		})
		if _, err := g.Authenticate(t.Context(), token, ""); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestInstances(t *testing.T) {
	withIssuer(t, func(t *testing.T, _ *issuer, client *http.Client) {
		g, token := guard(client), "Bearer "+sign(t, jose.RS256, keys()["rsa"], "rsa", claimSet())
		g.Instances = map[string]action.InstanceID{"a.example": "a", "b.example:8443": "b8443", "b.example": "b"}
		for host, want := range map[string]action.InstanceID{"a.example": "a", "A.Example": "a", "a.example:443": "a", "a.example.": "a", "b.example:8443": "b8443", "b.example:1": "b",
			"": "default", "c.example": "default", "x.a.example": "default", "a.example:443:1": "default"} {
			if c, err := g.Authenticate(t.Context(), token, host); err != nil || c.Instance != want {
				t.Errorf("%q: got %s, %v", host, c.Instance, err)
			}
		}
	})
}
