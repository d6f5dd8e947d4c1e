package issuer_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/issuer"
)

func TestIntrospection(t *testing.T) {
	f := start(t, config())
	got := f.introspect(f.clientToken("viewer", allScopes...))
	for _, moving := range []string{"exp", "iat", "nbf", "jti"} {
		if got[moving] == nil {
			t.Errorf("%s is missing", moving)
		}
		delete(got, moving)
	}
	want := map[string]any{"active": true, "iss": issuerURL, "sub": "viewer", "username": "viewer", "client_id": "viewer", "token_type": "Bearer",
		"aud": []any{audience}, "scope": strings.Join(allScopes, " "), issuer.RolesClaim: roles("IAM_OWNER_VIEWER")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("introspection (-want +got):\n%s", diff)
	}
}

func TestIntrospectionWithBasicAuth(t *testing.T) {
	f := start(t, config())
	r := f.request(http.MethodPost, "/oauth/v2/introspect", "token="+f.clientToken("nobody"))
	r.SetBasicAuth("viewer", f.secret("viewer"))
	got := f.do(r).json(t)
	if _, has := got[issuer.RolesClaim]; got["active"] != true || has {
		t.Errorf("got %v, want an active token without roles", got)
	}
}

func TestIntrospectionWantsAClient(t *testing.T) {
	f := start(t, config())
	token := f.clientToken("admin", allScopes...)
	wantError(t, f.post("/oauth/v2/introspect", f.as("admin", "client_secret", "wrong", "token", token)), 401, "invalid_client")
	wantError(t, f.post("/oauth/v2/introspect", f.as("console", "token", token)), 401, "invalid_client")
	wantError(t, f.post("/oauth/v2/introspect", f.as("admin")), 400, "invalid_request")
	r := f.request(http.MethodPost, "/oauth/v2/introspect", "token="+token)
	r.Header.Set("Authorization", "Bearer "+token)
	wantError(t, f.do(r), 401, "invalid_client")
	r = f.request(http.MethodPost, "/oauth/v2/introspect", f.as("admin", "token", token).Encode())
	r.SetBasicAuth("admin", f.secret("admin"))
	wantError(t, f.do(r), 400, "invalid_request")
}

func TestInactiveTokens(t *testing.T) {
	f := start(t, config())
	push, _, err := f.Token(t.Context(), pushAudience, pushAccount)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	own := map[string]any{"iss": issuerURL, "sub": "admin", "aud": audience, "client_id": "admin", "jti": "x", "iat": now, "exp": now + 60}
	good := f.clientToken("admin", allScopes...)
	parts := strings.Split(good, ".")
	tests := []struct{ name, token string }{
		{"a push token", push},
		{"signed by the service account", forge(t, jose.RS256, f.keyFile().private(t), f.keyFile().KeyID, own)},
		{"HMAC", forge(t, jose.HS256, []byte(strings.Repeat("k", 32)), "x", own)},
		{"alg none", segment(`{"alg":"none"}`) + "." + parts[1] + "."},
		{"payload changed", parts[0] + "." + segment(`{"sub":"admin"}`) + "." + parts[2]},
		{"nonsense", "nonsense"},
		{"nonsense that looks sealed", strings.Repeat("QUJD", 30)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(map[string]any{"active": false}, f.introspect(tt.token)); diff != "" {
				t.Errorf("introspection (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUserinfo(t *testing.T) {
	f := start(t, config())
	bearer := func(token string) answer {
		r := f.request(http.MethodGet, "/oidc/v1/userinfo", "")
		r.Header.Set("Authorization", token)
		return f.do(r)
	}
	got := bearer("Bearer " + f.clientToken("admin", "openid", "profile")).json(t)
	want := map[string]any{"sub": "admin", "name": "admin", "preferred_username": "admin", issuer.RolesClaim: roles("IAM_OWNER")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("userinfo (-want +got):\n%s", diff)
	}
	tests := []struct {
		name, header string
		status       int
		challenge    string
	}{
		{"no token", "", 401, `Bearer realm="callout"`},
		{"another scheme", "Basic YTpi", 401, `Bearer realm="callout"`},
		{"bad token", "Bearer x", 401, `Bearer realm="callout", error="invalid_token"`},
		{"without openid", "Bearer " + f.clientToken("admin"), 403, `Bearer realm="callout", error="insufficient_scope", scope="openid"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := bearer(tt.header)
			if got := a.header.Get("WWW-Authenticate"); a.status != tt.status || got != tt.challenge {
				t.Errorf("got %d with %q, want %d with %q", a.status, got, tt.status, tt.challenge)
			}
		})
	}
}

func TestRevocation(t *testing.T) {
	c := config()
	c.Dir = t.TempDir()
	f := start(t, c)
	token, other := f.clientToken("admin", "openid"), f.clientToken("admin", "openid")

	wantError(t, f.post("/oauth/v2/revoke", f.as("viewer", "token", token)), 400, "unauthorized_client")
	wantError(t, f.post("/oauth/v2/revoke", f.as("admin", "client_secret", "wrong", "token", token)), 401, "invalid_client")
	wantError(t, f.post("/oauth/v2/revoke", f.as("admin")), 400, "invalid_request")
	if f.introspect(token)["active"] != true {
		t.Fatal("a refused revocation revoked")
	}
	if a := f.post("/oauth/v2/revoke", f.as("admin", "token", "nonsense")); a.status != http.StatusOK {
		t.Errorf("unknown token: got %d %s, want 200", a.status, a.body)
	}
	for range 2 {
		if a := f.post("/oauth/v2/revoke", f.as("admin", "token", token)); a.status != http.StatusOK {
			t.Fatalf("got %d %s", a.status, a.body)
		}
	}
	after := start(t, c) // revoked for good
	for name, f := range map[string]*fixture{"before a restart": f, "after it": after} {
		if f.introspect(token)["active"] != false {
			t.Errorf("%s: the token is active", name)
		}
		if f.introspect(other)["active"] != true {
			t.Errorf("%s: another token is not active", name)
		}
	}
}
