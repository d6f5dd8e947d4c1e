package issuer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/url"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
	"github.com/zitadel/oidc/v3/pkg/client/profile"
	"golang.org/x/oauth2/jwt"

	"github.com/callout-dev/callout/emulator/issuer"
)

const bearerGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// keyFile is the service account's, as the SDKs read it.
type keyFile struct{ Type, KeyID, Key, UserID string }

func (f *fixture) keyFile() keyFile {
	f.t.Helper()
	var k keyFile
	if err := json.Unmarshal(f.ServiceAccount(), &k); err != nil {
		f.t.Fatal(err)
	}
	return k
}

func (k keyFile) private(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(k.Key))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestServiceAccountWithZitadelSDK(t *testing.T) {
	f := start(t, config())
	k := f.keyFile()
	if k.Type != "serviceaccount" || k.UserID != "service-account" {
		t.Errorf("type %q, user %q", k.Type, k.UserID)
	}
	source, err := profile.NewJWTProfileTokenSource(f.ctx(), issuerURL, k.UserID, k.KeyID, []byte(k.Key),
		[]string{"openid", issuer.AudienceScope}, profile.WithHTTPClient(f.http))
	if err != nil {
		t.Fatal(err)
	}
	token, err := source.TokenCtx(f.ctx())
	if err != nil {
		t.Fatal(err)
	}
	claims := verified(f.ctx(), t, token.AccessToken, audience)
	want := map[string]any{"sub": "service-account", "client_id": "service-account", issuer.RolesClaim: roles("IAM_OWNER"), "aud": []any{audience}}
	maps.DeleteFunc(claims, func(name string, _ any) bool { _, ok := want[name]; return !ok })
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if f.introspect(token.AccessToken)["active"] != true {
		t.Error("introspection does not know the token")
	}
}

func TestServiceAccountWithOAuth2Package(t *testing.T) {
	f := start(t, config())
	k := f.keyFile()
	c := jwt.Config{Email: k.UserID, Subject: k.UserID, PrivateKey: []byte(k.Key), PrivateKeyID: k.KeyID, Audience: issuerURL,
		TokenURL: issuerURL + "/oauth/v2/token", Scopes: []string{"openid", issuer.AudienceScope}}
	token, err := c.TokenSource(f.ctx()).Token()
	if err != nil {
		t.Fatal(err)
	}
	if got := verified(f.ctx(), t, token.AccessToken, audience)["scope"]; got != "openid "+issuer.AudienceScope {
		t.Errorf("scope in the assertion: got %v", got)
	}
}

// forge signs claims with any algorithm and key.
func forge(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := josejwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestForgedAssertions(t *testing.T) {
	f := start(t, config())
	account := f.keyFile()
	private := account.private(t)
	other := readyKeys()[5]
	public := pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)})
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claims := func(pairs ...any) map[string]any {
		now := time.Now().Unix()
		m := map[string]any{"iss": account.UserID, "sub": account.UserID, "aud": issuerURL, "iat": now, "exp": now + 300}
		for i := 0; i < len(pairs); i += 2 {
			if name := pairs[i].(string); pairs[i+1] == nil {
				delete(m, name)
			} else {
				m[name] = pairs[i+1]
			}
		}
		return m
	}
	signed := func(m map[string]any) string { return forge(t, jose.RS256, private, account.KeyID, m) }
	now := time.Now().Unix()
	good := signed(claims())
	tests := []struct{ name, assertion string }{
		{"wrong audience", signed(claims("aud", "http://127.0.0.1:9999"))},
		{"no audience", signed(claims("aud", nil))},
		{"expired", signed(claims("iat", now-600, "exp", now-1))},
		{"no expiry", signed(claims("exp", nil))},
		{"issued in the future", signed(claims("iat", now+600, "exp", now+900))},
		{"issued long ago", signed(claims("iat", now-7200))},
		{"no time of issue", signed(claims("iat", nil))},
		{"not yet", signed(claims("nbf", now+600))},
		{"nbf is no number", signed(claims("nbf", "soon"))},
		{"issuer and subject differ", signed(claims("sub", "admin"))},
		{"another user", signed(claims("iss", "admin", "sub", "admin"))},
		{"no subject", signed(claims("iss", nil, "sub", nil))},
		{"unknown kid", forge(t, jose.RS256, private, "other", claims())},
		{"no kid", forge(t, jose.RS256, private, "", claims())},
		{"another RSA key", forge(t, jose.RS256, other, account.KeyID, claims())},
		{"an elliptic key", forge(t, jose.ES256, curve, account.KeyID, claims())},
		{"HMAC with the public key", forge(t, jose.HS256, public, account.KeyID, claims())},
		{"alg none", segment(`{"alg":"none","kid":"`+account.KeyID+`"}`) + "." + segment(`{"iss":"service-account","sub":"service-account"}`) + "."},
		{"cut signature", good[:len(good)-4]},
		{"payload of another", segment(`{"alg":"RS256","kid":"`+account.KeyID+`"}`) + "." + segment(`{"iss":"service-account"}`) + ".AAAA"},
		{"not a JWT", "eyJ"},
		{"five parts", good + ".a.b"},
		{"payload is an array", segment(`{"alg":"RS256"}`) + "." + segment(`[1]`) + ".AAAA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := f.post("/oauth/v2/token", url.Values{"grant_type": {bearerGrant}, "assertion": {tt.assertion}, "scope": {issuer.AudienceScope}})
			wantError(t, a, 400, "invalid_grant")
		})
	}
	t.Run("the unforged one works", func(t *testing.T) {
		a := f.post("/oauth/v2/token", url.Values{"grant_type": {bearerGrant}, "assertion": {good}, "scope": {issuer.AudienceScope}})
		if a.status != 200 {
			t.Errorf("got %d %s", a.status, a.body)
		}
	})
	t.Run("not for the push audience", func(t *testing.T) {
		a := f.post("/oauth/v2/token", url.Values{"grant_type": {bearerGrant}, "assertion": {good},
			"scope": {"urn:zitadel:iam:org:project:id:" + pushAudience + ":aud"}})
		wantError(t, a, 400, "invalid_scope")
	})
	t.Run("no assertion", func(t *testing.T) {
		wantError(t, f.post("/oauth/v2/token", url.Values{"grant_type": {bearerGrant}}), 400, "invalid_request")
	})
	t.Run("scope of the wrong type", func(t *testing.T) {
		a := f.post("/oauth/v2/token", url.Values{"grant_type": {bearerGrant}, "assertion": {signed(claims("scope", 7))}})
		if a.status != 200 || a.json(t)["scope"] != nil {
			t.Errorf("got %d %s, want a token without scopes", a.status, a.body)
		}
	})
}
