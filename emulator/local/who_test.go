package local_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/client/profile"
	"golang.org/x/oauth2"
	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/emulator/local"
)

var apiScopes = []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"}

// serviceAccountToken gets a token as ZITADEL's SDKs do: from the key file, by a signed assertion.
func (i *installation) serviceAccountToken(t *testing.T, scopes ...string) string {
	t.Helper()
	text, err := os.ReadFile(i.Info.ServiceAccount)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Type, KeyID, Key, UserID string }
	if err := json.Unmarshal(text, &file); err != nil || file.Type != "serviceaccount" {
		t.Fatalf("the key file is of type %q, %v", file.Type, err)
	}
	source, err := profile.NewJWTProfileTokenSource(t.Context(), i.Info.Issuer, file.UserID, file.KeyID, []byte(file.Key), scopes, profile.WithHTTPClient(i.client))
	if err != nil {
		t.Fatal(err)
	}
	token, err := source.TokenCtx(context.WithValue(t.Context(), oauth2.HTTPClient, i.client))
	if err != nil {
		t.Fatal(err)
	}
	return token.AccessToken
}

// forge signs what claims says with a key.
func forge(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestWhoIsLetIn: every sort of caller, over every protocol, learns the same (actions-v2.md section 3.4).
func TestWhoIsLetIn(t *testing.T) {
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	inData := func(data string) func(*local.Config) { return func(c *local.Config) { c.Data = data } }
	inBubble(t, inData(filepath.Join(t.TempDir(), "data")), func(t *testing.T, i *installation) {
		made, err := keys()
		if err != nil {
			t.Fatal(err)
		}
		own := made[1] // the issuer's first
		good := i.serviceAccountToken(t, apiScopes...)
		parsed, err := jose.ParseSigned(good, []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := parsed.Verify(&own.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		kid := parsed.Signatures[0].Header.KeyID
		claims := func(pairs ...any) map[string]any {
			var all map[string]any
			if err := json.Unmarshal(payload, &all); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(pairs); n += 2 {
				all[pairs[n].(string)] = pairs[n+1]
			}
			return all
		}
		public, err := x509.MarshalPKIXPublicKey(&own.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"`+kid+`"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
		now := time.Now()

		invalid := outcome{codes.Unauthenticated, "Token is invalid (AUTH-7fs1e)", "AUTH-7fs1e"}
		missing := outcome{codes.Unauthenticated, "auth header missing", ""}
		noRole := outcome{codes.NotFound, "membership not found (AUTHZ-cdgFk)", "AUTHZ-cdgFk"}
		refused := outcome{codes.PermissionDenied, "No matching permissions found (AUTH-AWfge)", "AUTH-AWfge"}
		tests := []struct {
			name, authorization string
			want                outcome
		}{
			{"the service account", "Bearer " + good, outcome{}},
			{"a client", "Bearer " + i.token(t, "admin"), outcome{}},
			{"the same claims, signed again", "Bearer " + forge(t, jose.RS256, own, kid, claims()), outcome{}},
			{"no header", "", missing},
			{"no permission", "Bearer " + i.token(t, "viewer"), refused},
			{"no role", "Bearer " + i.token(t, "nobody"), noRole},
			{"expired", "Bearer " + forge(t, jose.RS256, own, kid, claims("exp", now.Add(-time.Second).Unix())), invalid},
			{"another audience", "Bearer " + i.serviceAccountToken(t, "openid"), invalid},
			{"another issuer", "Bearer " + forge(t, jose.RS256, own, kid, claims("iss", "https://issuer.example")), invalid},
			{"alg none", "Bearer " + unsigned, invalid},
			{"HMAC with the public key", "Bearer " + forge(t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), kid, claims()), invalid},
			{"an unknown key id", "Bearer " + forge(t, jose.RS256, foreign, "unknown", claims()), invalid},
			{"a foreign key under the issuer's id", "Bearer " + forge(t, jose.RS256, foreign, kid, claims()), invalid},
			{"begins in an hour", "Bearer " + forge(t, jose.RS256, own, kid, claims("nbf", now.Add(time.Hour).Unix())), invalid},
			{"malformed", "Bearer a.b.c", invalid},
			{"cut", "Bearer " + good[:len(good)-10], invalid},
			{"an opaque one", "Bearer opaque", invalid},
			{"another scheme", "Basic YWRtaW46YWRtaW4=", invalid},
			{"the scheme alone", "Bearer", invalid},
		}
		faces := i.faces(t)[:5] // v2
		targets := 0
		check := func(t *testing.T, authorization string, want outcome) {
			t.Helper()
			h := header{}
			if authorization != "" {
				h["authorization"] = authorization
			}
			for _, f := range faces {
				targets++
				request := fmt.Sprintf(`{"name":"target %d","restAsync":{},"timeout":"1s","endpoint":"https://192.0.2.1/"}`, targets)
				if got := f.send(t, h, "CreateTarget", request).outcome(t); got != want {
					t.Errorf("%s: got %+v", f, got)
				}
			}
		}
		for _, tt := range tests {
			t.Logf("%s", tt.name)
			check(t, tt.authorization, tt.want)
		}
		time.Sleep(time.Hour + time.Second)
		t.Log("the good token, after its hour")
		check(t, "Bearer "+good, invalid)
		check(t, "Bearer "+i.serviceAccountToken(t, apiScopes...), outcome{})
	})
}

// TestRateLimit: over the limit a caller learns in every protocol when to come again, and nobody else is held up.
func TestRateLimit(t *testing.T) {
	limited := func(c *local.Config) {
		c.Environ = []string{"CALLOUT_RATE_LIMITS=publish=2/m", "CALLOUT_INSTANCES=b.example=b"}
	}
	inBubble(t, limited, func(t *testing.T, i *installation) {
		over := outcome{Code: codes.ResourceExhausted, Message: "over the limit of 2/m calls of one caller; try again later"}
		const event = `{"event_type":"order.created"}`
		h := bearer(i.token(t, "admin"))
		rest := func(path, body string, h header) said {
			response, answer := i.post(t, http.MethodPost, path, h, "application/json", []byte(body))
			return saidByREST(t, response, answer)
		}
		for _, f := range i.procedures(t, "callout.v1.EventService", "v1") {
			publish := func(h header) said { return f.send(t, h, "Publish", `{"events":[`+event+`]}`) }
			for range 2 {
				if got := publish(h); got.code != codes.OK {
					t.Errorf("%s, within the limit: %s", f, got.json)
				}
			}
			time.Sleep(500 * time.Millisecond)
			got := publish(h)
			if got.outcome(t) != over || got.header.Get("Retry-After") != "30" {
				t.Errorf("%s: got %s, Retry-After %q", f, got.json, got.header.Get("Retry-After"))
			}
			if f.protocol == "gRPC" {
				info := list(got.fields(t), "details")[0]
				wait, err := time.ParseDuration(fmt.Sprint(info["retryDelay"]))
				if err != nil || info["@type"] != "type.googleapis.com/google.rpc.RetryInfo" || wait.Round(time.Millisecond) != 29500*time.Millisecond {
					t.Errorf("details %v", info)
				}
			}
			got = rest("/v1/events", event, h)
			if got.outcome(t) != over || got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "30" {
				t.Errorf("REST, after %s: got %d %s, Retry-After %q", f, got.status, got.json, got.header.Get("Retry-After"))
			}
			if got := publish(bearer(i.serviceAccountToken(t, apiScopes...))); got.code != codes.OK {
				t.Errorf("%s, another caller: %s", f, got.json)
			}
			elsewhere := maps.Clone(h)
			elsewhere["Host"] = "b.example"
			if got := rest("/v1/events", event, elsewhere); got.code != codes.OK {
				t.Errorf("another instance: %s", got.json)
			}
			if got := rest("/v2/actions/targets/search", `{}`, h); got.code != codes.OK {
				t.Errorf("what has no limit: %s", got.json)
			}
			time.Sleep(time.Minute) // all is made good
		}
		for range 10 { // who is not known has no share to use up
			if got := rest("/v1/events", `{}`, bearer("bad")); got.code != codes.Unauthenticated {
				t.Errorf("a bad token: %s", got.json)
			}
		}
	})
}
