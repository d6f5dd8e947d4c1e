package api

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/callout-dev/callout/shared/auth"
)

// ownerGuard lets everybody in as an owner. What a caller may do is auth's to say and cannot be made by hand, so this is auth's own guard
// with an issuer whose only token the test holds.
func ownerGuard(t testing.TB) Guard {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": server.URL, "jwks_uri": server.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k"}}})
	})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any{"iss": server.URL, "aud": "callout", "sub": "u", "exp": time.Now().Add(time.Hour).Unix(),
		"urn:zitadel:iam:org:project:roles": []string{"IAM_OWNER"}}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return fixedToken{&auth.Guard{Verifier: auth.NewVerifier(server.URL, "callout", server.Client()), Roles: auth.DefaultRoles()}, "Bearer " + token}
}

type fixedToken struct {
	guard *auth.Guard
	token string
}

func (f fixedToken) Authenticate(ctx context.Context, _, host string) (auth.Caller, error) {
	return f.guard.Authenticate(ctx, f.token, host)
}
