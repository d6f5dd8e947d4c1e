package auth_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

const (
	redirect = "https://api.test/console/callback"
	console  = "console"
)

// tokens answers the token endpoint, and keeps what it was asked.
func tokens(asked *url.Values, answer map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		*asked = r.PostForm
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func TestSignIn(t *testing.T) {
	tests := []struct {
		name string
		// edit changes the id token, and query what the browser comes back with.
		edit  func(claims map[string]any)
		query func(url.Values)
		key   string
		want  string // the name of the person, "" where the sign-in must fail
	}{
		{name: "the subject alone", want: "user-1"},
		{name: "a name", edit: func(c map[string]any) { c["name"], c["preferred_username"] = "Ada", "ada" }, want: "Ada"},
		{name: "a name without an end", edit: func(c map[string]any) { c["name"] = strings.Repeat("A", 2000) }, want: strings.Repeat("A", 1000) + "…"},
		{name: "an address", edit: func(c map[string]any) { c["name"], c["email"] = " ", "ada@example.org" }, want: "ada@example.org"},
		{name: "a name that is no text", edit: func(c map[string]any) { c["name"] = 7 }, want: "user-1"},
		{name: "the issuer says who it is", query: func(q url.Values) { q.Set("iss", issuerURL) }, want: "user-1"},
		{name: "another issuer says so", query: func(q url.Values) { q.Set("iss", "https://evil.test") }},
		{name: "another state", query: func(q url.Values) { q.Set("state", "x") }},
		{name: "no state", query: func(q url.Values) { q.Del("state") }},
		{name: "a refusal", query: func(q url.Values) { q.Set("error", "access_denied") }},
		{name: "no code", query: func(q url.Values) { q.Del("code") }},
		{name: "another nonce", edit: func(c map[string]any) { c["nonce"] = "x" }},
		{name: "no nonce", edit: func(c map[string]any) { delete(c, "nonce") }},
		{name: "for another client", edit: func(c map[string]any) { c["aud"] = audience }},
		{name: "of another issuer", edit: func(c map[string]any) { c["iss"] = "https://evil.test" }},
		{name: "expired", edit: func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }},
		{name: "for another access token", edit: func(c map[string]any) { c["at_hash"] = "x" }},
		{name: "signed by somebody else", key: "other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
				party := auth.NewParty(issuerURL, console, client)
				attempt, there, err := party.Begin(t.Context(), redirect)
				if err != nil {
					t.Fatal(err)
				}
				sent, err := url.Parse(there)
				if err != nil {
					t.Fatal(err)
				}
				q := sent.Query()
				if sent.Host != "issuer.test" || q.Get("client_id") != console || q.Get("redirect_uri") != redirect ||
					q.Get("code_challenge_method") != "S256" ||
					q.Get("code_challenge") == "" || q.Get("state") != attempt.State || q.Get("nonce") != attempt.Nonce || strings.Contains(there,
					attempt.Verifier) ||
					!strings.Contains(q.Get("scope"), "openid") || strings.Contains(q.Get("scope"), "offline_access") {
					t.Errorf("sent to %s", there)
				}
				claims := map[string]any{"iss": issuerURL, "aud": console, "sub": "user-1", "nonce": attempt.Nonce,
					"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
				if tt.edit != nil {
					tt.edit(claims)
				}
				key := "rsa"
				if tt.key != "" {
					key = tt.key
				}
				var asked url.Values
				i.set(func(i *issuer) {
					i.token = tokens(&asked, map[string]any{"access_token": "a", "token_type": "Bearer", "expires_in": 60, "refresh_token": "r",
						"id_token": sign(t, jose.RS256, keys()[key], "rsa", claims)})
				})
				back := url.Values{"state": {attempt.State}, "code": {"c"}}
				if tt.query != nil {
					tt.query(back)
				}
				who, err := party.Finish(t.Context(), redirect, attempt, back)
				if tt.want == "" {
					if !errs.Is(err, errs.Unauthenticated) {
						t.Errorf("got %+v %v", who, err)
					}
					return
				}
				if err != nil || who.Name != tt.want || who.Subject != "user-1" || who.Access != "a" || who.Refresh != "r" ||
					time.Until(who.Expires) != time.Minute {
					t.Errorf("got %+v %v", who, err)
				}
				if asked.Get("code_verifier") != attempt.Verifier || asked.Get("code") != "c" || asked.Get("client_id") != console ||
					asked.Has("client_secret") {
					t.Errorf("asked for %v", asked)
				}
			})
		})
	}
}

func TestRenewAndRevoke(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		i.set(func(i *issuer) { i.scopes = []string{"openid", "offline_access"} })
		party := auth.NewParty(issuerURL, console, client)
		if _, there, err := party.Begin(t.Context(), redirect); err != nil || !strings.Contains(there, "offline_access") {
			t.Errorf("sent to %s %v", there, err)
		}
		who := auth.Person{Subject: "user-1", Name: "Ada", Access: "a", Refresh: "r"}
		var asked url.Values
		i.set(func(i *issuer) {
			i.token = tokens(&asked, map[string]any{"access_token": "b", "token_type": "Bearer", "expires_in": 60})
		})
		renewed, err := party.Renew(t.Context(), who)
		if err != nil || renewed.Access != "b" || renewed.Refresh != "r" || renewed.Name != "Ada" || asked.Get("refresh_token") != "r" {
			t.Errorf("got %+v %v for %v", renewed, err, asked)
		}
		var revoked []string
		i.set(func(i *issuer) {
			i.revoke = func(_ http.ResponseWriter, r *http.Request) {
				revoked = append(revoked, r.FormValue("token")+" of "+r.FormValue("client_id"))
			}
		})
		if err := party.Revoke(t.Context(), renewed); err != nil || strings.Join(revoked, ", ") != "r of console, b of console" {
			t.Errorf("revoked %q, %v", revoked, err)
		}
		status := http.StatusBadRequest
		i.set(func(i *issuer) {
			i.token = func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"r is secret"}`))
			}
			i.revoke = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
		})
		if _, err := party.Renew(t.Context(), renewed); !errs.Is(err, errs.Unauthenticated) || strings.Contains(err.Error(), "secret") {
			t.Errorf("a refusal: %v", err)
		}
		status = http.StatusServiceUnavailable
		if _, err := party.Renew(t.Context(), renewed); !errs.Is(err, errs.Unavailable) || strings.Contains(err.Error(), "secret") {
			t.Errorf("an issuer that is down: %v", err)
		}
		if _, err := party.Renew(t.Context(), auth.Person{Access: "a"}); !errs.Is(err, errs.Unauthenticated) {
			t.Errorf("nothing to renew with: %v", err)
		}
		if err := party.Revoke(t.Context(), renewed); err == nil {
			t.Error("a revocation that failed")
		}
	})
}

func TestIssuerOfAPartyIsDown(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		i.set(func(i *issuer) { i.discovery = http.StatusServiceUnavailable })
		party := auth.NewParty(issuerURL, console, client)
		if _, _, err := party.Begin(t.Context(), redirect); !errs.Is(err, errs.Unavailable) {
			t.Errorf("begin: %v", err)
		}
	})
}
