// Package issuer is the local OAuth2 and OIDC provider of a single-machine installation: an http.Handler that gives tokens to the
// clients, users and service account that it makes itself on its first start. It is no part of the cloud image.
//
// It serves discovery, the key set, the token endpoint (client credentials, JWT bearer assertions, authorization code with PKCE),
// introspection, revocation, userinfo, a sign-in page and the end of a session. The protocol is github.com/zitadel/oidc's; this package
// decides who there is, what they get, and what is refused.
package issuer

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// Config says what an issuer is for.
type Config struct {
	// URL is the issuer's own, as clients reach it: http on loopback or https, without a path or a trailing slash.
	URL string
	// Audience is the API's. A client's token carries it if AudienceScope was asked for.
	Audience string
	// PushAudience is what pushes carry. No client ever gets it. Empty where nothing is pushed.
	PushAudience string
	// ConsoleRedirect is where the console takes its codes: http on loopback or https. Empty where there is no console.
	ConsoleRedirect string
	// Dir holds issuer.json and service-account.json; it is made if need be. Empty keeps everything in memory.
	Dir string
	// RotateAfter is how old a signing key gets: then the next one is published, and signs a day later. 0 keeps the key for good.
	RotateAfter time.Duration
	// Log is told what is refused and what fails. Nil drops it.
	Log *slog.Logger
	// NewKey makes RSA keys of 2048 bits or more: two on the first start and one for each Rotate. Nil is a fresh key each time;
	// tests pass ready ones.
	NewKey func() (*rsa.PrivateKey, error)
}

// Issuer is an http.Handler for the provider's paths; others are not found.
type Issuer struct {
	config   Config
	state    *state
	storage  *storage
	requests *requests
	guesses  *guesses
	provider *op.Provider
	handler  http.Handler
}

// Client is an OAuth2 client's id and its secret, which is empty for a public client.
type Client struct {
	ID     string `json:"id"`
	Secret string `json:"secret,omitempty"`
}

// Open starts an issuer on the state in config.Dir, which it makes if there is none. State that is damaged or of an unknown version is an
// error and stays as it is.
func Open(config Config) (*Issuer, error) {
	if err := config.check(); err != nil {
		return nil, fmt.Errorf("open issuer: %w", err)
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.NewKey == nil {
		config.NewKey = func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) }
	}
	state, err := openState(config.Dir, config.NewKey)
	if err != nil {
		return nil, fmt.Errorf("open issuer: %w", err)
	}
	i := &Issuer{config: config, state: state, requests: newRequests(), guesses: newGuesses()}
	i.storage = &storage{state: state, requests: i.requests, config: config}
	if config.Dir != "" {
		if err := keepFile(filepath.Join(config.Dir, serviceAccountFile), i.ServiceAccount()); err != nil {
			return nil, fmt.Errorf("open issuer: %w", err)
		}
	}
	if i.provider, err = newProvider(config.URL, i.storage); err != nil {
		return nil, fmt.Errorf("open issuer: %w", err)
	}
	i.handler = i.routes()
	return i, nil
}

// ServeHTTP answers the provider's paths. It bounds the body's size and the time to read it itself.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.handler.ServeHTTP(w, r) }

// Clients are the registered clients by name: admin, viewer, nobody, and console if it has a redirect. The secrets of the first three
// are also the passwords of the users of these names.
func (i *Issuer) Clients() map[string]Client {
	clients := map[string]Client{}
	for name, secret := range i.state.read().Secrets {
		clients[name] = Client{ID: name, Secret: secret}
	}
	if i.config.ConsoleRedirect != "" {
		clients[consoleID] = Client{ID: consoleID}
	}
	return clients
}

// ServiceAccount is the key file of a user that holds IAM_OWNER, as JSON in ZITADEL's form.
func (i *Issuer) ServiceAccount() []byte {
	account := i.state.read().ServiceAccount
	file, _ := json.MarshalIndent(struct { // strings alone: it cannot fail
		Type   string `json:"type"`
		KeyID  string `json:"keyId"`
		Key    string `json:"key"`
		UserID string `json:"userId"`
	}{"serviceaccount", account.ID, account.PEM, serviceAccountID}, "", "  ")
	return append(file, '\n')
}

// Rotate publishes a new signing key, and signs with it from a day later on, so that it is known everywhere by then. The old key stays
// published until every token it has signed has expired. If the new key cannot be made durable, nothing changes; while one waits for its
// day already, nothing does either.
func (i *Issuer) Rotate() error {
	if err := i.state.rotate(); err != nil {
		return fmt.Errorf("rotate signing key: %w", err)
	}
	return nil
}

func (c Config) check() error {
	if err := checkURL(c.URL); err != nil {
		return fmt.Errorf("URL: %w", err)
	}
	if u, _ := url.Parse(c.URL); u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return errors.New("URL: has a path or a query")
	}
	if c.ConsoleRedirect != "" {
		if err := checkURL(c.ConsoleRedirect); err != nil {
			return fmt.Errorf("ConsoleRedirect: %w", err)
		}
	}
	switch {
	case c.Audience == "":
		return errors.New("no Audience")
	case c.RotateAfter < 0:
		return errors.New("RotateAfter: is negative")
	case c.PushAudience != "" && slices.Contains(c.clientAudiences(), c.PushAudience):
		return errors.New("PushAudience: is one that clients get")
	}
	return nil
}

// clientAudiences are those that a client's token may have, and the issuer itself, which is the audience of assertions.
func (c Config) clientAudiences() []string {
	return append(slices.Collect(maps.Keys(clientRoles)), c.Audience, c.URL, consoleID, serviceAccountID)
}

// checkURL wants https, or http on loopback: what is in it must not cross a network in the clear.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("not an absolute URL")
	case u.User != nil || u.Fragment != "":
		return errors.New("has a user or a fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("neither https nor http")
	case u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		return errors.New("http is for loopback only")
	}
	return nil
}
