package auth_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	emulated "github.com/callout-dev/callout/emulator/issuer"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

// TestTokensOfTheLocalIssuer: what the issuer of a single machine gives opens exactly the doors of its roles.
func TestTokensOfTheLocalIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local, err := emulated.Open(emulated.Config{URL: "http://127.0.0.1:8082", Audience: audience, PushAudience: pushAudience})
		if err != nil {
			t.Fatal(err)
		}
		serve(t, local, func(client *http.Client) {
			g := &auth.Guard{Verifier: auth.NewVerifier("http://127.0.0.1:8082", audience, client), Roles: auth.DefaultRoles()}
			for name, kinds := range map[string][2]errs.Kind{"admin": {"", ""}, "viewer": {errs.PermissionDenied, ""}, "nobody": {errs.NotFound, errs.NotFound}} {
				config := clientcredentials.Config{ClientID: name, ClientSecret: local.Clients()[name].Secret, TokenURL: "http://127.0.0.1:8082/oauth/v2/token",
					Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"}}
				token, err := config.Token(context.WithValue(t.Context(), oauth2.HTTPClient, client))
				if err != nil {
					t.Fatal(err)
				}
				caller, err := g.Authenticate(t.Context(), "Bearer "+token.AccessToken, "")
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for i, permission := range []auth.Permission{auth.TargetWrite, auth.TargetRead} {
					if err := caller.Allow(permission); err == nil != (kinds[i] == "") || err != nil && errs.KindOf(err) != kinds[i] {
						t.Errorf("%s, %s: %v", name, permission, err)
					}
				}
				push := &auth.PushGuard{Verifier: auth.NewVerifier("http://127.0.0.1:8082", pushAudience, client), Accounts: []string{name}}
				wantError(t, push.Authenticate(t.Context(), "Bearer "+token.AccessToken), errs.Unauthenticated, invalid)
			}
			pushToken, _, err := local.Token(t.Context(), pushAudience, "pubsub@callout.local")
			if err != nil {
				t.Fatal(err)
			}
			push := &auth.PushGuard{Verifier: auth.NewVerifier("http://127.0.0.1:8082", pushAudience, client), Accounts: []string{"pubsub@callout.local"}}
			if err := push.Authenticate(t.Context(), "Bearer "+pushToken); err != nil {
				t.Errorf("the queue's own: %v", err)
			}
			_, err = g.Authenticate(t.Context(), "Bearer "+pushToken, "")
			wantError(t, err, errs.Unauthenticated, invalid)
		})
	})
}

// TestKeysOfTheLocalIssuerRollOver: a verifier takes the tokens of the old key and of the new one all the time, without a restart of either.
func TestKeysOfTheLocalIssuerRollOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "http://127.0.0.1:8082"
		local, err := emulated.Open(emulated.Config{URL: url, Audience: audience, PushAudience: pushAudience, RotateAfter: 30 * 24 * time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		serve(t, local, func(client *http.Client) {
			push := &auth.PushGuard{Verifier: auth.NewVerifier(url, pushAudience, client), Accounts: []string{"pubsub@callout.local"}}
			before := ""
			heads := map[string]bool{}
			time.Sleep(29 * 24 * time.Hour)
			for range 3 * 24 {
				token, _, err := local.Token(t.Context(), pushAudience, "pubsub@callout.local")
				if err != nil {
					t.Fatal(err)
				}
				for _, each := range []string{token, before} { // the hour before's ends with this hour
					if each == "" {
						continue
					}
					if err := push.Authenticate(t.Context(), "Bearer "+each); err != nil {
						t.Fatal(err)
					}
				}
				head, _, _ := strings.Cut(token, ".")
				heads[head] = true
				before = token
				client.CloseIdleConnections()
				time.Sleep(59 * time.Minute)
			}
			if len(heads) != 2 {
				t.Errorf("%d keys have signed", len(heads))
			}
		})
	})
}

// TestOpaqueTokensAtTheLocalIssuer: its introspection endpoint understands what is asked. It gives JWTs only, so something in between
// puts one in the place of an opaque token.
func TestOpaqueTokensAtTheLocalIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "http://127.0.0.1:8082"
		local, err := emulated.Open(emulated.Config{URL: url, Audience: audience, PushAudience: pushAudience})
		if err != nil {
			t.Fatal(err)
		}
		tokens := map[string]string{}
		between := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/introspect") {
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				form := r.PostForm
				form.Set("token", tokens[form.Get("token")])
				r.Form, r.PostForm, r.Body = nil, nil, io.NopCloser(strings.NewReader(form.Encode()))
			}
			local.ServeHTTP(w, r)
		})
		serve(t, between, func(client *http.Client) {
			g := &auth.Guard{Verifier: auth.NewVerifier(url, audience, client), Roles: auth.DefaultRoles()}
			g.Introspector = auth.NewIntrospector(g.Verifier, g.Roles, "viewer", local.Clients()["viewer"].Secret)
			config := clientcredentials.Config{ClientID: "admin", ClientSecret: local.Clients()["admin"].Secret, TokenURL: url + "/oauth/v2/token",
				Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"}}
			ctx := context.WithValue(t.Context(), oauth2.HTTPClient, client)
			token, err := config.Token(ctx)
			if err != nil {
				t.Fatal(err)
			}
			config.Scopes = nil
			foreign, err := config.Token(ctx)
			if err != nil {
				t.Fatal(err)
			}
			tokens["good"], tokens["foreign"], tokens["unknown"] = token.AccessToken, foreign.AccessToken, "x"
			caller, err := g.Authenticate(t.Context(), "Bearer good", "")
			if err != nil || caller.Subject != "admin" || caller.Allow(auth.TargetWrite) != nil {
				t.Errorf("got %+v, %v", caller, err)
			}
			for _, name := range []string{"foreign", "unknown"} {
				_, err := g.Authenticate(t.Context(), "Bearer "+name, "")
				wantError(t, err, errs.Unauthenticated, invalid)
			}
			g.Introspector = auth.NewIntrospector(g.Verifier, g.Roles, "viewer", "wrong")
			_, err = g.Authenticate(t.Context(), "Bearer good", "")
			wantError(t, err, errs.Unavailable, "")
			time.Sleep(time.Hour)
			g.Introspector = auth.NewIntrospector(g.Verifier, g.Roles, "viewer", local.Clients()["viewer"].Secret)
			_, err = g.Authenticate(t.Context(), "Bearer good", "")
			wantError(t, err, errs.Unauthenticated, invalid)
		})
	})
}
