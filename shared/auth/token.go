package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"
)

// maxToken is the longest token that is looked at.
const maxToken = 16 << 10

// algorithms are the signatures that are taken: never none, never HMAC.
func algorithms() []string { return []string{oidc.RS256, oidc.ES256, oidc.EdDSA, oidc.PS256} }

// Verifier checks the JWTs of one issuer for one audience against the issuer's published keys. It asks the issuer when the first
// token comes, not before.
type Verifier struct {
	issuer, audience string
	client           *http.Client

	flight   singleflight.Group
	verifier atomic.Pointer[oidc.IDTokenVerifier]
}

// discoverTime bounds the reading of an issuer's configuration.
const discoverTime = 10 * time.Second

// NewVerifier makes a verifier that reaches the issuer through client.
func NewVerifier(issuer, audience string, client *http.Client) *Verifier {
	return &Verifier{issuer: issuer, audience: audience, client: client}
}

// errUnreachable marks failures that are not the token's.
var errUnreachable = errors.New("issuer unreachable")

// verify checks issuer, audience, expiry and signature; the error is errUnreachable where nothing can be said of the token.
func (v *Verifier) verify(ctx context.Context, token string) (*oidc.IDToken, error) {
	if len(token) > maxToken || strings.Count(token, ".") != 2 {
		return nil, errors.New("not a JWT")
	}
	verifier, err := v.discover(ctx)
	if err != nil {
		return nil, err
	}
	var unreachable bool
	t, err := verifier.Verify(context.WithValue(ctx, unreachableKey{}, &unreachable), token)
	if unreachable {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	return t, err
}

// discover gives what reads tokens. Callers that come while the issuer is asked wait for the one answer, each as long as it likes:
// one after the other they would wait for hours where an issuer does not answer at all.
func (v *Verifier) discover(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	if known := v.verifier.Load(); known != nil {
		return known, nil
	}
	answer := v.flight.DoChan("", func() (any, error) { return nil, v.ask(context.WithoutCancel(ctx)) })
	select {
	case result := <-answer:
		return v.verifier.Load(), result.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errUnreachable, ctx.Err())
	}
}

// ask reads the issuer's configuration; failures are not kept.
func (v *Verifier) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, v.client), v.issuer)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	var metadata struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&metadata); err != nil || metadata.Keys == "" {
		return fmt.Errorf("%w: its discovery document names no jwks_uri", errUnreachable)
	}
	// The key set outlives this request, and its context gives it nothing but the client.
	keys := keySet{oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), v.client), metadata.Keys)}
	v.verifier.Store(oidc.NewVerifier(v.issuer, keys, &oidc.Config{ClientID: v.audience, SupportedSigningAlgs: algorithms()}))
	return nil
}

type unreachableKey struct{}

// keySet tells a key set that cannot be fetched from a signature that is wrong: the verifier above it flattens both to text.
type keySet struct{ remote *oidc.RemoteKeySet }

func (k keySet) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := k.remote.VerifySignature(ctx, jwt)
	if err != nil && strings.HasPrefix(err.Error(), "fetching keys") {
		if unreachable, ok := ctx.Value(unreachableKey{}).(*bool); ok {
			*unreachable = true
		}
	}
	return payload, err
}

// bearer takes the token out of an Authorization header.
func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer") && strings.TrimSpace(token) != ""
}

// claims reads the whole payload of a verified token.
func claims(t *oidc.IDToken) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	err := t.Claims(&all)
	return all, err
}
