package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/callout-dev/callout/shared/hook"
)

// audience is the API that the tokens are for.
const audience = "whoami"

// user is what the login system knows of somebody. Its JSON is that of the function's payload.
type user struct {
	ID       string `json:"id"`
	Username string `json:"username"`
	plan     string
}

// issuer is the login system.
type issuer struct {
	url   string
	host  *hook.Host
	key   jose.JSONWebKey
	users map[string]user
}

func newIssuer(url string, host *hook.Host) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &issuer{
		url: url, host: host, key: jose.JSONWebKey{Key: key, KeyID: rand.Text(), Algorithm: string(jose.ES256), Use: "sig"},
		users: map[string]user{"kim": {"404", "kim", "gold"}, "lee": {"405", "lee", ""}},
	}, err
}

func (i *issuer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		u, ok := i.users[r.FormValue("user")] // whoever asks is believed: passwords are not what this is about
		if !ok {
			http.Error(w, "no such user", http.StatusUnauthorized)
			return
		}
		token, err := i.accessToken(r.Context(), u)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, token)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{i.key.Public()}})
	})
	return mux
}

// accessToken issues a token with the claims that the targets add.
func (i *issuer) accessToken(ctx context.Context, u user) (string, error) {
	answer, err := i.host.Function(ctx, "preaccesstoken", payload(u))
	if err != nil {
		return "", err
	}
	now := time.Now()
	claims := answer.Claims(ctx, map[string]any{
		"iss": i.url, "aud": audience, "sub": u.ID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}, nil)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, (&jose.SignerOptions{}).WithType("at+jwt"))
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(claims).Serialize()
}

// payload is what targets are told of a user.
func payload(u user) map[string]any {
	all := map[string]any{"user": u, "userinfo": map[string]string{"sub": u.ID}}
	if u.plan != "" {
		all["user_metadata"] = []map[string]any{{"key": "plan", "value": []byte(u.plan)}} // base64 in JSON
	}
	return all
}
