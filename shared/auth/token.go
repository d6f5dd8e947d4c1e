package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

// maxToken is the longest token that is looked at.
const maxToken = 16 << 10

// algorithms are the signatures that are taken: never none, never HMAC.
func algorithms() []string { return []string{oidc.RS256, oidc.ES256, oidc.EdDSA, oidc.PS256} }

func joseAlgorithms() (all []jose.SignatureAlgorithm) {
	for _, name := range algorithms() {
		all = append(all, jose.SignatureAlgorithm(name))
	}
	return all
}

// Verifier checks the JWTs of one issuer for one audience against the issuer's published keys. It asks the issuer when the first
// token comes, not before.
type Verifier struct {
	issuer, audience string
	client           *http.Client

	flight singleflight.Group
	known  atomic.Pointer[provider]
	// verified are the tokens that were good a moment ago: to check a signature takes longer than all else that is done for a small call.
	verified *lru.Cache[tokenHash, finding]
}

// provider is what an issuer's configuration says.
type provider struct {
	tokens *oidc.IDTokenVerifier
	// introspection and revocation are endpoints, "" where there is none.
	introspection, revocation string
	// endpoint is where people are sent to sign in, and where their codes become tokens; scopes are those that there are, if it says so.
	endpoint oauth2.Endpoint
	scopes   []string
}

const (
	// discoverTime bounds the reading of an issuer's configuration.
	discoverTime = 10 * time.Second
	// maxAnswer is how much of an issuer's answer is read, in bytes.
	maxAnswer = 1 << 20
)

// NewVerifier makes a verifier that reaches the issuer through client.
func NewVerifier(issuer, audience string, client *http.Client) *Verifier {
	known, _ := lru.New[tokenHash, finding](maxKnown) // fails for sizes below one alone
	return &Verifier{issuer: issuer, audience: audience, client: client, verified: known}
}

// errUnreachable marks failures that are not the token's.
var errUnreachable = errors.New("issuer unreachable")

// isJWT says whether a token has the form of a signed one: then it is verified here, and nobody is asked about it.
func isJWT(token string) bool { return strings.Count(token, ".") == 2 }

// identify says whose a token is, by the roles that its one Guard reads. One that was good is believed for activeTime, and never beyond its
// end: for so long a key that its issuer has withdrawn may still be good for it.
func (v *Verifier) identify(ctx context.Context, token string, roles Roles) (identity, error) {
	hash, now := tokenHash(sha256.Sum256([]byte(token))), time.Now().Round(0)
	if known, ok := v.verified.Get(hash); ok && now.Before(known.until) && now.Add(activeTime).After(known.until) {
		return known.who, nil
	}
	t, err := v.verify(ctx, token)
	if err != nil {
		return identity{}, err
	}
	all, err := claims(t)
	if err != nil {
		return identity{}, err
	}
	who, err := roles.identity(t.Subject, all)
	if err != nil {
		return identity{}, err
	}
	good := finding{who: who, until: now.Add(activeTime)}
	if t.Expiry.Before(good.until) {
		good.until = t.Expiry
	}
	v.verified.Add(hash, good)
	return who, nil
}

// verify checks issuer, audience, expiry and signature; the error is errUnreachable where nothing can be said of the token.
func (v *Verifier) verify(ctx context.Context, token string) (*oidc.IDToken, error) {
	if len(token) > maxToken || !isJWT(token) {
		return nil, errors.New("not a JWT")
	}
	p, err := v.discover(ctx)
	if err != nil {
		return nil, err
	}
	var unreachable bool
	t, err := p.tokens.Verify(context.WithValue(ctx, unreachableKey{}, &unreachable), token)
	if unreachable {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	return t, err
}

// discover gives what the issuer says of itself. Callers that come while the issuer is asked wait for the one answer, each as long as it
// likes: one after the other they would wait for hours where an issuer does not answer at all.
func (v *Verifier) discover(ctx context.Context) (*provider, error) {
	if p := v.known.Load(); p != nil {
		return p, nil
	}
	answer := v.flight.DoChan("", func() (any, error) { return nil, v.ask(context.WithoutCancel(ctx)) })
	select {
	case result := <-answer:
		return v.known.Load(), result.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errUnreachable, ctx.Err())
	}
}

// ask reads the issuer's configuration; failures are not kept.
func (v *Verifier) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, discoverTime)
	defer cancel()
	issuer, err := oidc.NewProvider(oidc.ClientContext(ctx, v.client), v.issuer)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreachable, err)
	}
	var metadata struct {
		Keys          string   `json:"jwks_uri"`
		Introspection string   `json:"introspection_endpoint"`
		Revocation    string   `json:"revocation_endpoint"`
		Scopes        []string `json:"scopes_supported"`
	}
	if err := issuer.Claims(&metadata); err != nil || metadata.Keys == "" {
		return fmt.Errorf("%w: its discovery document names no jwks_uri", errUnreachable)
	}
	keys := &keySet{uri: metadata.Keys, client: v.client}
	v.known.Store(&provider{
		tokens:        oidc.NewVerifier(v.issuer, keys, &oidc.Config{ClientID: v.audience, SupportedSigningAlgs: algorithms()}),
		introspection: metadata.Introspection, revocation: metadata.Revocation,
		endpoint: issuer.Endpoint(), scopes: metadata.Scopes,
	})
	return nil
}

// answer reads the JSON that an issuer answers with 200. The error tells the status, and nothing of the body: that may repeat a token.
func answer(client *http.Client, request *http.Request, into any) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: status %d", request.Method, request.URL.Redacted(), response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(body) > maxAnswer || json.Unmarshal(body, into) != nil {
		return fmt.Errorf("%s %s: the answer is no JSON of at most %d bytes", request.Method, request.URL.Redacted(), maxAnswer)
	}
	return nil
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
