package auth_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

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
