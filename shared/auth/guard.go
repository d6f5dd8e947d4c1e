package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

// Guard authenticates the callers of the API.
type Guard struct {
	Verifier *Verifier
	// Introspector is asked about tokens that are no JWTs; nil refuses these.
	Introspector *Introspector
	Roles        Roles
	// ScopePermissions: a scope of the token that equals a permission grants it.
	ScopePermissions bool
	// Instances maps request hosts to instances; other hosts are the default instance.
	Instances map[string]action.InstanceID
}

// Authenticate reads an Authorization header; host is the request's and picks the instance. The error is Unauthenticated, or
// Unavailable where the issuer does not answer.
func (g *Guard) Authenticate(ctx context.Context, authorization, host string) (Caller, error) {
	if authorization == "" {
		return Caller{}, errNoToken
	}
	token, ok := bearer(authorization)
	if !ok {
		return Caller{}, errToken.Because(errors.New("not a bearer token"))
	}
	who, err := g.identify(ctx, token)
	if errors.Is(err, errUnreachable) {
		return Caller{}, errIssuer.Because(err)
	}
	if err != nil {
		return Caller{}, errToken.Because(err)
	}
	c := g.Roles.Caller(who.subject, g.Instance(host), who.roles...)
	if g.ScopePermissions {
		c.scopes = scopePermissions(who.scope)
	}
	return c, nil
}

// identity is what a good token says. It is shared: nobody changes it.
type identity struct {
	subject string
	roles   []string
	scope   string
}

// identify says whose a token is. The error is errUnreachable where nothing can be said of it.
func (g *Guard) identify(ctx context.Context, token string) (identity, error) {
	if g.Introspector != nil && !isJWT(token) {
		return g.Introspector.identify(ctx, token)
	}
	return g.Verifier.identify(ctx, token, g.Roles)
}

// Instance is the one of a request's host. It picks by the host as it came, and then without its port: "id.example.org:443" is no other
// tenant than "id.example.org".
func (g *Guard) Instance(host string) action.InstanceID {
	host = strings.ToLower(host)
	if instance, ok := g.Instances[host]; ok {
		return instance
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if instance, ok := g.Instances[strings.TrimSuffix(host, ".")]; ok {
		return instance
	}
	return action.DefaultInstance
}

// scopePermissions are those of a token's scopes that are permissions.
func scopePermissions(scope string) (found []Permission) {
	for s := range strings.FieldsSeq(scope) {
		if slices.Contains(permissions(), Permission(s)) {
			found = append(found, Permission(s))
		}
	}
	return found
}

type callerKey struct{}

// WithCaller puts who is calling into a request's context.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// Require is who is calling, if they have the permission. Nobody in the context counts as nobody with a role.
func Require(ctx context.Context, p Permission) (Caller, error) {
	c, err := Authenticated(ctx)
	if err != nil {
		return Caller{}, err
	}
	return c, c.Allow(p)
}

// Authenticated is who is calling, whatever they may do.
func Authenticated(ctx context.Context) (Caller, error) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	if !ok {
		return Caller{}, errNoToken
	}
	return c, nil
}

// PushGuard authenticates the queue: a token of its issuer and audience, for one of these accounts.
type PushGuard struct {
	Verifier *Verifier
	// Accounts are e-mail addresses or subjects.
	Accounts []string

	mu    sync.Mutex
	known [sha256.Size]byte // hash of the last good token: the queue sends the same one for most of an hour
	until time.Time
}

// Authenticate reads an Authorization header of a push. The error is Unauthenticated or PermissionDenied, or Unavailable where the
// issuer does not answer.
func (g *PushGuard) Authenticate(ctx context.Context, authorization string) error {
	if authorization == "" {
		return errNoToken
	}
	token, ok := bearer(authorization)
	if !ok {
		return errToken
	}
	hash := sha256.Sum256([]byte(token))
	if g.isKnown(hash) {
		return nil
	}
	t, err := g.Verifier.verify(ctx, token)
	if errors.Is(err, errUnreachable) {
		return errIssuer.Because(err)
	}
	if err != nil {
		return errToken.Because(err)
	}
	var account struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err := t.Claims(&account); err != nil {
		return errToken.Because(err)
	}
	if !(account.Verified && slices.Contains(g.Accounts, account.Email)) && !slices.Contains(g.Accounts, t.Subject) {
		return errNoPermission.Because(fmt.Errorf("account %q is not one that pushes", t.Subject))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known, g.until = hash, t.Expiry
	return nil
}

func (g *PushGuard) isKnown(hash [sha256.Size]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Before(g.until) && subtle.ConstantTimeCompare(hash[:], g.known[:]) == 1
}
