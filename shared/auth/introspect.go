package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

const (
	// activeTime is how long an active token is believed at the most, from when the issuer was asked; never beyond its exp.
	activeTime = 30 * time.Second
	// inactiveTime is the same for one that is refused.
	inactiveTime = 5 * time.Second
	// introspectTime bounds one question to the issuer.
	introspectTime = 10 * time.Second
	// maxKnown is how many active tokens are remembered, and how many refused ones: a flood of the latter must not drive out the former.
	maxKnown = 10000
	// notBeforeLeeway is by how much an issuer's clock may be ahead, the same as JWTs have.
	notBeforeLeeway = 5 * time.Minute
)

// Introspector asks the issuer about opaque tokens (RFC 7662).
type Introspector struct {
	verifier *Verifier
	roles    Roles
	// With basic authentication, as every issuer must take it.
	id, secret string
	client     http.Client

	flight            singleflight.Group
	active, dismissed *lru.Cache[tokenHash, finding]
}

type tokenHash [sha256.Size]byte

// finding is what is known of a token, and until when.
type finding struct {
	who identity
	err error
	// until has no monotonic reading: the ages of a process that was frozen are told by the wall clock.
	until time.Time
}

// NewIntrospector makes one that asks the issuer of a verifier, as the client of that id and secret, and reads these roles.
func NewIntrospector(v *Verifier, roles Roles, id, secret string) *Introspector {
	// No redirects: they would take token and secret to where nobody has said that they may go.
	client := *v.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	active, _ := lru.New[tokenHash, finding](maxKnown) // fails for sizes below one alone
	dismissed, _ := lru.New[tokenHash, finding](maxKnown)
	return &Introspector{verifier: v, roles: roles, id: id, secret: secret, client: client, active: active, dismissed: dismissed}
}

// identify says whose a token is. The error is errUnreachable where the issuer does not say.
func (i *Introspector) identify(ctx context.Context, token string) (identity, error) {
	if len(token) > maxToken || !isBearerSyntax(token) {
		return identity{}, errors.New("not a token")
	}
	hash := tokenHash(sha256.Sum256([]byte(token)))
	if f, ok := i.known(hash); ok {
		return f.who, f.err
	}
	result := i.flight.DoChan(string(hash[:]), func() (any, error) { return i.look(context.WithoutCancel(ctx), hash, token), nil })
	select {
	case r := <-result:
		f := r.Val.(finding)
		return f.who, f.err
	case <-ctx.Done():
		return identity{}, fmt.Errorf("%w: %w", errUnreachable, ctx.Err())
	}
}

func (i *Introspector) known(hash tokenHash) (finding, bool) {
	for _, cache := range []*lru.Cache[tokenHash, finding]{i.active, i.dismissed} {
		if f, ok := cache.Get(hash); ok && time.Now().Before(f.until) {
			return f, true
		}
	}
	return finding{}, false
}

// look asks and remembers the answer, unless somebody just has.
func (i *Introspector) look(ctx context.Context, hash tokenHash, token string) finding {
	if f, ok := i.known(hash); ok {
		return f
	}
	now := time.Now().Round(0)
	who, end, err := i.ask(ctx, token)
	switch {
	case errors.Is(err, errUnreachable):
		return finding{err: err}
	case err != nil:
		f := finding{err: err, until: now.Add(inactiveTime)}
		i.active.Remove(hash)
		i.dismissed.Add(hash, f)
		return f
	}
	f := finding{who: who, until: now.Add(activeTime)}
	if !end.IsZero() && end.Before(f.until) {
		f.until = end
	}
	i.dismissed.Remove(hash)
	i.active.Add(hash, f)
	return f
}

// ask is one question. It is put by hand, for the kept libraries do not fit: zitadel/oidc's resource server quotes answers in its errors,
// which repeat tokens and people's data in logs, and x/oauth2 has none.
func (i *Introspector) ask(ctx context.Context, token string) (who identity, end time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, introspectTime)
	defer cancel()
	p, err := i.verifier.discover(ctx)
	if err != nil {
		return identity{}, time.Time{}, err
	}
	if err := checkEndpoint(p.introspection, i.verifier.issuer); err != nil {
		return identity{}, time.Time{}, fmt.Errorf("%w: introspection_endpoint: %w", errUnreachable, err)
	}
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.introspection, strings.NewReader(form.Encode()))
	if err != nil {
		return identity{}, time.Time{}, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	request.SetBasicAuth(url.QueryEscape(i.id), url.QueryEscape(i.secret)) // RFC 6749 section 2.3.1
	var body json.RawMessage
	if err := answer(&i.client, request, &body); err != nil {
		return identity{}, time.Time{}, fmt.Errorf("%w: introspect: %w", errUnreachable, err)
	}
	return i.judge(body)
}

// judge wants of an answer what is wanted of a JWT; only an end and an issuer it may lack.
func (i *Introspector) judge(body []byte) (who identity, end time.Time, err error) {
	var c struct {
		Active bool   `json:"active"`
		Type   string `json:"token_type"`
		jwt.Claims
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(body, &c) != nil || json.Unmarshal(body, &all) != nil {
		return identity{}, time.Time{}, fmt.Errorf("%w: introspect: the answer has a member of the wrong type", errUnreachable)
	}
	if c.Expiry != nil {
		end = c.Expiry.Time()
	}
	now := time.Now()
	switch {
	case !c.Active:
		err = errors.New("the token is not active")
	case c.Type != "" && !strings.EqualFold(c.Type, "Bearer"): // bound to a key, or no access token
		err = errors.New("not a bearer token")
	case c.Issuer != "" && c.Issuer != i.verifier.issuer:
		err = errors.New("of another issuer")
	case !slices.Contains(c.Audience, i.verifier.audience):
		err = errors.New("for another audience")
	case c.Expiry != nil && !now.Before(end):
		err = errors.New("expired")
	case c.NotBefore != nil && now.Add(notBeforeLeeway).Before(c.NotBefore.Time()):
		err = errors.New("not valid yet")
	case c.Subject == "":
		err = errors.New("of nobody")
	}
	if err != nil {
		return identity{}, time.Time{}, err
	}
	who, err = i.roles.identity(c.Subject, all)
	return who, end, err
}

// checkEndpoint keeps token and secret from crossing a network in the clear, unless the issuer itself is reached so: on loopback.
func checkEndpoint(endpoint, issuer string) error {
	u, err := url.Parse(endpoint)
	switch {
	case endpoint == "":
		return errors.New("the issuer has none")
	case err != nil || u.Host == "":
		return errors.New("not a URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !strings.HasPrefix(issuer, "http://")):
		return errors.New("must be https")
	}
	return nil
}

// isBearerSyntax says whether a token has the characters that one may have (RFC 6750 section 2.1).
func isBearerSyntax(token string) bool {
	for _, c := range []byte(strings.TrimRight(token, "=")) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return true
}
