package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// newParty is an API that takes the issuer's tokens, and answers with what they say.
func newParty(issuer string, client *http.Client) http.Handler {
	keys := oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), issuer+"/keys")
	verifier := oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.ES256}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := verifier.Verify(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		var claims map[string]any
		if err := token.Claims(&claims); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		_ = out.Encode(claims)
	})
}
