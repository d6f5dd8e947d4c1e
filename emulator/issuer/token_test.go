package issuer_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/callout-dev/callout/emulator/issuer"
)

// verified reads a token as a resource server would: through discovery and the key set, with code that is not the issuer's.
func verified(ctx context.Context, t *testing.T, token, wantAudience string) map[string]any {
	t.Helper()
	provider, err := oidc.NewProvider(ctx, issuerURL)
	if err != nil {
		t.Fatalf("discovery: %v", err)
	}
	read, err := provider.Verifier(&oidc.Config{ClientID: wantAudience}).Verify(ctx, token)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	var claims map[string]any
	if err := read.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func roles(role string) map[string]any {
	return map[string]any{role: map[string]any{"callout": "callout.local"}}
}

func TestClientCredentials(t *testing.T) {
	f := start(t, config())
	tests := []struct {
		name, client string
		style        oauth2.AuthStyle
		scopes       []string
		audience     string
		roles        any
		scope        any
	}{
		{"admin, secret in the header", "admin", oauth2.AuthStyleInHeader, []string{"openid", issuer.AudienceScope}, audience, roles("IAM_OWNER"), "openid " + issuer.AudienceScope},
		{"admin, secret in the body", "admin", oauth2.AuthStyleInParams, []string{issuer.AudienceScope}, audience, roles("IAM_OWNER"), issuer.AudienceScope},
		{"viewer", "viewer", oauth2.AuthStyleInHeader, []string{issuer.AudienceScope}, audience, roles("IAM_OWNER_VIEWER"), issuer.AudienceScope},
		{"nobody has no roles claim", "nobody", oauth2.AuthStyleInHeader, []string{issuer.AudienceScope}, audience, nil, issuer.AudienceScope},
		{"the API's audience only on request", "admin", oauth2.AuthStyleInHeader, []string{"openid"}, "admin", roles("IAM_OWNER"), "openid"},
		{"no scope", "admin", oauth2.AuthStyleInHeader, nil, "admin", roles("IAM_OWNER"), nil},
		{"unknown scopes are dropped", "admin", oauth2.AuthStyleInHeader, []string{"action.target.read", "openid", "openid"}, "admin", roles("IAM_OWNER"), "openid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := clientcredentials.Config{ClientID: tt.client, ClientSecret: f.secret(tt.client), TokenURL: issuerURL + "/oauth/v2/token",
				Scopes: tt.scopes, AuthStyle: tt.style}
			token, err := c.Token(f.ctx())
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(token.Expiry); left < 59*time.Minute || left > time.Hour {
				t.Errorf("expires in %v, want an hour", left)
			}
			got := verified(f.ctx(), t, token.AccessToken, tt.audience)
			for _, moving := range []string{"exp", "iat", "nbf", "jti"} {
				if got[moving] == nil {
					t.Errorf("claim %s is missing", moving)
				}
				delete(got, moving)
			}
			want := map[string]any{"iss": issuerURL, "sub": tt.client, "client_id": tt.client, "aud": []any{tt.audience}}
			if tt.roles != nil {
				want[issuer.RolesClaim] = tt.roles
			}
			if tt.scope != nil {
				want["scope"] = tt.scope
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokenAnswerIsNotStored(t *testing.T) {
	f := start(t, config())
	a := f.post("/oauth/v2/token", f.as("admin", "grant_type", "client_credentials", "scope", "openid unheard-of"))
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("status %d, headers %v", a.status, a.header)
	}
	got := a.json(t)
	if seconds, _ := got["expires_in"].(float64); seconds < 3590 || seconds > 3600 {
		t.Errorf("expires_in: got %v, want an hour", got["expires_in"])
	}
	delete(got, "access_token")
	delete(got, "expires_in")
	if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "scope": "openid"}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func TestTokenRefusals(t *testing.T) {
	f := start(t, config())
	good := f.as("admin", "grant_type", "client_credentials")
	with := func(pairs ...string) url.Values {
		return f.as("admin", append([]string{"grant_type", "client_credentials"}, pairs...)...)
	}
	tests := []struct {
		name   string
		form   url.Values
		edit   func(*http.Request)
		status int
		code   string
	}{
		{name: "wrong secret", form: with("client_secret", f.secret("viewer")), status: 401, code: "invalid_client"},
		{name: "empty secret", form: with("client_secret", ""), status: 401, code: "invalid_client"},
		{name: "secret with more behind it", form: with("client_secret", f.secret("admin")+"x"), status: 401, code: "invalid_client"},
		{name: "unknown client", form: with("client_id", "root"), status: 401, code: "invalid_client"},
		{name: "no client", form: url.Values{"grant_type": {"client_credentials"}}, status: 401, code: "invalid_client"},
		{name: "public client for itself", form: url.Values{"grant_type": {"client_credentials"}, "client_id": {"console"}}, status: 401, code: "invalid_client"},
		{name: "the service account has no secret", form: with("client_id", "service-account", "client_secret", ""), status: 401, code: "invalid_client"},
		{name: "wrong secret in the header", form: url.Values{"grant_type": {"client_credentials"}},
			edit: func(r *http.Request) { r.SetBasicAuth("admin", "wrong") }, status: 401, code: "invalid_client"},
		{name: "secret in header and body", form: good, edit: func(r *http.Request) { r.SetBasicAuth("admin", f.secret("admin")) }, status: 400, code: "invalid_request"},
		{name: "parameters in the URL", form: good, edit: func(r *http.Request) { r.URL.RawQuery = "scope=openid" }, status: 400, code: "invalid_request"},
		{name: "a parameter twice", form: url.Values{"grant_type": {"client_credentials", "client_credentials"}}, status: 400, code: "invalid_request"},
		{name: "a JSON body", form: good, edit: func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, status: 400, code: "invalid_request"},
		{name: "no grant type", form: f.as("admin"), status: 400, code: "invalid_request"},
		{name: "password grant", form: with("grant_type", "password"), status: 400, code: "unsupported_grant_type"},
		{name: "refresh", form: with("grant_type", "refresh_token", "refresh_token", "x"), status: 400, code: "unsupported_grant_type"},
		{name: "token exchange", form: with("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), status: 400, code: "unsupported_grant_type"},
		{name: "too many scopes", form: with("scope", strings.Repeat("openid ", 65)), status: 400, code: "invalid_scope"},
		{name: "push audience as a scope", form: with("scope", "urn:zitadel:iam:org:project:id:"+pushAudience+":aud"), status: 400, code: "invalid_scope"},
		{name: "another audience as a scope", form: with("scope", "openid urn:zitadel:iam:org:project:id:other:aud"), status: 400, code: "invalid_scope"},
		{name: "push audience as a parameter", form: with("audience", pushAudience), status: 400, code: "invalid_target"},
		{name: "push audience as a resource", form: with("resource", pushAudience), status: 400, code: "invalid_target"},
		{name: "a body over the limit", form: with("scope", strings.Repeat("x", 1<<20)), status: 413, code: "invalid_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := f.request(http.MethodPost, "/oauth/v2/token", tt.form.Encode())
			if tt.edit != nil {
				tt.edit(r)
			}
			a := f.do(r)
			wantError(t, a, tt.status, tt.code)
			if challenge := a.header.Get("WWW-Authenticate"); (challenge != "") != (tt.status == 401) {
				t.Errorf("WWW-Authenticate: %q", challenge)
			}
			if a.header.Get("Cache-Control") != "no-store" {
				t.Error("the answer may be stored")
			}
			for name, client := range f.Clients() {
				if client.Secret != "" && strings.Contains(a.body, client.Secret) {
					t.Errorf("the answer has the secret of %s", name)
				}
			}
		})
	}
}

func TestTokenIDsDiffer(t *testing.T) {
	f := start(t, config())
	seen := map[any]bool{}
	for range 5 {
		id := f.introspect(f.clientToken("viewer", allScopes...))["jti"]
		if seen[id] {
			t.Fatalf("jti %v occurs twice", id)
		}
		seen[id] = true
	}
}

func TestDiscovery(t *testing.T) {
	f := start(t, config())
	a := f.get("/.well-known/openid-configuration")
	want := `{"issuer":"http://127.0.0.1:8082","authorization_endpoint":"http://127.0.0.1:8082/oauth/v2/authorize",
		"token_endpoint":"http://127.0.0.1:8082/oauth/v2/token","introspection_endpoint":"http://127.0.0.1:8082/oauth/v2/introspect",
		"userinfo_endpoint":"http://127.0.0.1:8082/oidc/v1/userinfo","revocation_endpoint":"http://127.0.0.1:8082/oauth/v2/revoke",
		"end_session_endpoint":"http://127.0.0.1:8082/oidc/v1/end_session","jwks_uri":"http://127.0.0.1:8082/oauth/v2/keys",
		"scopes_supported":["openid","profile","urn:zitadel:iam:org:project:id:zitadel:aud","urn:zitadel:iam:org:project:roles"],
		"response_types_supported":["code"],"response_modes_supported":["query"],
		"grant_types_supported":["authorization_code","client_credentials","urn:ietf:params:oauth:grant-type:jwt-bearer"],
		"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"],
		"token_endpoint_auth_methods_supported":["none","client_secret_basic","client_secret_post"],
		"revocation_endpoint_auth_methods_supported":["none","client_secret_basic","client_secret_post"],
		"introspection_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],
		"claims_supported":["iss","sub","aud","exp","iat","nbf","jti","client_id","scope","auth_time","nonce","amr","azp","at_hash","c_hash",
			"name","preferred_username","urn:zitadel:iam:org:project:roles"],
		"code_challenge_methods_supported":["S256"],"request_uri_parameter_supported":false}`
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, a.json(t)); diff != "" {
		t.Errorf("discovery (-want +got):\n%s", diff)
	}
}
