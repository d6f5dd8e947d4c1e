package auth_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

const account = "pusher@project.iam.test"

func pushClaims(edits ...func(map[string]any)) map[string]any {
	now := time.Now()
	c := map[string]any{"iss": issuerURL, "aud": pushAudience, "sub": "1085", "email": account, "email_verified": true, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

func pushGuard(client *http.Client, accounts ...string) *auth.PushGuard {
	return &auth.PushGuard{Verifier: auth.NewVerifier(issuerURL, pushAudience, client), Accounts: accounts}
}

func TestPushGuard(t *testing.T) {
	tests := []struct {
		name     string
		accounts []string
		edit     func(map[string]any)
		kind     errs.Kind
	}{
		{"a verified e-mail", []string{account}, with("x", 1), ""},
		{"a subject", []string{"1085"}, with("x", 1), ""},
		{"a subject without an e-mail", []string{"1085"}, without("email"), ""},
		{"an unverified e-mail", []string{account}, with("email_verified", false), errs.PermissionDenied},
		{"an e-mail that nobody says is verified", []string{account}, without("email_verified"), errs.PermissionDenied},
		{"verified in a text", []string{account}, with("email_verified", "true"), errs.Unauthenticated},
		{"another account", []string{"other@project.iam.test"}, with("x", 1), errs.PermissionDenied},
		{"an e-mail in another case", []string{"Pusher@project.iam.test"}, with("x", 1), errs.PermissionDenied},
		{"no accounts", nil, with("x", 1), errs.PermissionDenied},
		{"neither e-mail nor subject", nil, func(c map[string]any) { delete(c, "email"); delete(c, "sub") }, errs.PermissionDenied},
		{"the API's audience", []string{account}, with("aud", audience), errs.Unauthenticated},
		{"another issuer", []string{account}, with("iss", "https://evil.test"), errs.Unauthenticated},
		{"expired", []string{account}, func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }, errs.Unauthenticated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withIssuer(t, func(t *testing.T, _ *issuer, client *http.Client) {
				g, token := pushGuard(client, tt.accounts...), "Bearer "+sign(t, jose.RS256, keys()["rsa"], "rsa", pushClaims(tt.edit))
				for range 2 { // what is refused must not be remembered as good
					err := g.Authenticate(t.Context(), token)
					if tt.kind == "" && err != nil || tt.kind != "" && !errs.Is(err, tt.kind) {
						t.Errorf("got %v, want %q", err, tt.kind)
					}
				}
			})
		})
	}
	withIssuer(t, func(t *testing.T, _ *issuer, client *http.Client) {
		wantError(t, pushGuard(client, account).Authenticate(t.Context(), ""), errs.Unauthenticated, "")
		wantError(t, pushGuard(client, account).Authenticate(t.Context(), "Basic x"), errs.Unauthenticated, invalid)
	})
}

// TestPushGuardRemembersOneToken: the known token passes while the issuer is away, until it expires; nothing else does.
func TestPushGuardRemembersOneToken(t *testing.T) {
	withIssuer(t, func(t *testing.T, i *issuer, client *http.Client) {
		g := pushGuard(client, account)
		token := "Bearer " + sign(t, jose.RS256, keys()["rsa"], "rsa", pushClaims())
		if err := g.Authenticate(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		i.set(func(i *issuer) { i.asked, i.jwks, i.published = 0, 503, nil })
		for range 10 {
			time.Sleep(time.Hour/10 - time.Second)
			if err := g.Authenticate(t.Context(), token); err != nil {
				t.Fatalf("the known token: %v", err)
			}
		}
		if err := g.Authenticate(t.Context(), token+"A"); err == nil {
			t.Error("a changed token passes as the known one")
		}
		time.Sleep(11 * time.Second)
		wantError(t, g.Authenticate(t.Context(), token), errs.Unauthenticated, invalid)
		next := "Bearer " + sign(t, jose.RS256, keys()["other"], "other", pushClaims())
		if err := g.Authenticate(t.Context(), next); !errs.Is(err, errs.Unavailable) {
			t.Errorf("a new key while the issuer is away: %v", err)
		}
		time.Sleep(time.Second) // how long the key set rests after a failure
		i.set(func(i *issuer) { i.jwks, i.published = 0, []string{"other"} })
		if err := g.Authenticate(t.Context(), next); err != nil {
			t.Errorf("the next token: %v", err)
		}
		wantError(t, g.Authenticate(t.Context(), token), errs.Unauthenticated, invalid)
	})
}
