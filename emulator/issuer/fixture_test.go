package issuer_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/callout-dev/callout/emulator/issuer"
	"github.com/callout-dev/callout/emulator/memnet"
)

const (
	issuerURL    = "http://127.0.0.1:8082"
	audience     = "callout"
	pushAudience = "http://127.0.0.1:8080/push"
	redirectURL  = "http://127.0.0.1:8080/console/callback"
	pushAccount  = "pubsub@callout.local"
)

// readyKeys are made once for all tests: making one takes long under the race detector.
var readyKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 6)
	var wait sync.WaitGroup
	for i := range keys {
		wait.Go(func() {
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				panic(err)
			}
			keys[i] = key
		})
	}
	wait.Wait()
	return keys
})

// nextKey hands out the ready keys in turn.
func nextKey() func() (*rsa.PrivateKey, error) {
	var n atomic.Int64
	return func() (*rsa.PrivateKey, error) {
		keys := readyKeys()
		return keys[int(n.Add(1)-1)%len(keys)], nil
	}
}

func config() issuer.Config {
	return issuer.Config{URL: issuerURL, Audience: audience, PushAudience: pushAudience, ConsoleRedirect: redirectURL, NewKey: nextKey()}
}

// fixture is an issuer that listens in memory.
type fixture struct {
	t *testing.T
	*issuer.Issuer
	http *http.Client // follows no redirects
}

func start(t *testing.T, c issuer.Config) *fixture {
	t.Helper()
	i, err := issuer.Open(c)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	listener := memnet.Listen("issuer")
	server := &http.Server{Handler: i}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // always http.ErrServerClosed
	}()
	transport := &http.Transport{DialContext: listener.DialContext}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &fixture{t: t, Issuer: i, http: &http.Client{Transport: transport, CheckRedirect: noRedirect}}
}

// ctx makes oauth2 and go-oidc use the fixture's client.
func (f *fixture) ctx() context.Context {
	return context.WithValue(f.t.Context(), oauth2.HTTPClient, f.http)
}

func (f *fixture) secret(name string) string { return f.Clients()[name].Secret }

var allScopes = []string{"openid", "profile", issuer.AudienceScope}

// clientToken gets a token with client credentials.
func (f *fixture) clientToken(name string, scopes ...string) string {
	f.t.Helper()
	c := clientcredentials.Config{ClientID: name, ClientSecret: f.secret(name), TokenURL: issuerURL + "/oauth/v2/token", Scopes: scopes}
	token, err := c.Token(f.ctx())
	if err != nil {
		f.t.Fatalf("token for %s: %v", name, err)
	}
	return token.AccessToken
}

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("not a JSON object: %v in %q", err, a.body)
	}
	return v
}

func (f *fixture) do(r *http.Request) answer {
	f.t.Helper()
	response, err := f.http.Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func (f *fixture) request(method, path, body string) *http.Request {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, issuerURL+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (f *fixture) get(path string) answer {
	f.t.Helper()
	return f.do(f.request(http.MethodGet, path, ""))
}

func (f *fixture) post(path string, form url.Values) answer {
	f.t.Helper()
	return f.do(f.request(http.MethodPost, path, form.Encode()))
}

// as is a form with a client's id and secret in it.
func (f *fixture) as(name string, pairs ...string) url.Values {
	form := url.Values{"client_id": {name}, "client_secret": {f.secret(name)}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form
}

// introspect asks as admin.
func (f *fixture) introspect(token string) map[string]any {
	f.t.Helper()
	a := f.post("/oauth/v2/introspect", f.as("admin", "token", token))
	if a.status != http.StatusOK {
		f.t.Fatalf("introspect: status %d: %s", a.status, a.body)
	}
	return a.json(f.t)
}

// wantError wants a refusal in the shape of RFC 6749.
func wantError(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.json(t)["error"] != code {
		t.Errorf("got %d %s, want %d with error %s", a.status, a.body, status, code)
	}
}
