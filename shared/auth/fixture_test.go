package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/auth"
)

const (
	issuerURL    = "https://issuer.test"
	audience     = "callout"
	pushAudience = "https://api.test/push"
)

// keys are made once: making RSA keys takes long under the race detector.
var keys = sync.OnceValue(func() map[string]crypto.Signer {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return map[string]crypto.Signer{"rsa": rsaKey, "other": other, "ec": ec, "ed": ed}
})

// issuer is one whose every answer a test decides.
type issuer struct {
	mu        sync.Mutex
	published []string
	discovery int // status, 200 unless set
	jwks      int
	hang      time.Duration
	odd       string // JSON before the published keys
	asked     int
	fetched   int // times that the keys were asked for

	endpoint   string // for introspection
	introspect http.HandlerFunc
	name       string

	token, revoke http.HandlerFunc // for people who sign in
	scopes        []string
}

func (i *issuer) set(edit func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	edit(i)
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.asked++
	if r.URL.Path == "/keys" {
		i.fetched++
	}
	published, discovery, jwks, hang, name, odd := i.published, i.discovery, i.jwks, i.hang, i.name, i.odd
	endpoint, introspect, token, revoke, scopes := i.endpoint, i.introspect, i.token, i.revoke, i.scopes
	i.mu.Unlock()
	time.Sleep(hang) // virtual
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		if discovery != 0 {
			w.WriteHeader(discovery)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": name, "jwks_uri": issuerURL + "/keys", "introspection_endpoint": endpoint,
			"authorization_endpoint": issuerURL + "/authorize", "token_endpoint": issuerURL + "/token", "revocation_endpoint": issuerURL + "/revoke",
			"scopes_supported": scopes})
	case "/token":
		token(w, r)
	case "/revoke":
		revoke(w, r)
	case "/introspect":
		introspect(w, r)
	case "/keys":
		if jwks != 0 {
			w.WriteHeader(jwks)
			return
		}
		var set []string
		for _, id := range published {
			key, err := json.Marshal(jose.JSONWebKey{Key: keys()[id].Public(), KeyID: id, Use: "sig"})
			if err != nil {
				panic(err)
			}
			set = append(set, string(key))
		}
		_, _ = io.WriteString(w, `{"keys":[`+odd+strings.Join(set, ",")+`]}`)
	}
}

// withIssuer runs a test in a bubble, with an issuer in memory and a client that reaches it.
func withIssuer(t *testing.T, test func(t *testing.T, i *issuer, client *http.Client)) {
	t.Helper()
	keys()
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{published: []string{"rsa", "ec", "ed"}, name: issuerURL}
		serve(t, i, func(client *http.Client) { test(t, i, client) })
	})
}

// plainDial makes https addresses of a test reach a plain listener.
type plainDial struct{ http.RoundTripper }

func (p plainDial) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme = "http"
	return p.RoundTripper.RoundTrip(r)
}

func serve(t *testing.T, handler http.Handler, test func(*http.Client)) {
	t.Helper()
	listener := memnet.Listen("issuer.test")
	server := &http.Server{Handler: handler}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	transport := &http.Transport{DialContext: listener.DialContext}
	test(&http.Client{Transport: plainDial{transport}, Timeout: 10 * time.Second})
	transport.CloseIdleConnections()
	_ = server.Shutdown(context.Background())
	<-served
}

// claimSet is what a good token of a caller says.
func claimSet(edits ...func(map[string]any)) map[string]any {
	now := time.Now()
	c := map[string]any{"iss": issuerURL, "aud": audience, "sub": "user-1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"urn:zitadel:iam:org:project:roles": map[string]any{"IAM_OWNER": map[string]string{"1": "x"}}}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

func with(name string, value any) func(map[string]any) {
	return func(c map[string]any) { c[name] = value }
}

func without(name string) func(map[string]any) {
	return func(c map[string]any) { delete(c, name) }
}

// sign makes a token with a key; kid is its header's, "" for none.
func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func guard(client *http.Client) *auth.Guard {
	return &auth.Guard{Verifier: auth.NewVerifier(issuerURL, audience, client), Roles: auth.DefaultRoles()}
}
