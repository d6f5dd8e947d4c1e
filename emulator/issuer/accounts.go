package issuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/url"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	// serviceAccountID is the user id in the service account's key file, and the sub of its tokens.
	serviceAccountID = "service-account"
	// consoleID is the public client of the web page.
	consoleID = "console"
	// RolesClaim is the claim that holds a caller's roles: {role: {"callout": "callout.local"}}. Callers without a role lack it.
	RolesClaim = "urn:zitadel:iam:org:project:roles"
)

// clientRoles are the confidential clients, which are also the users who may sign in, and the role of each.
var clientRoles = map[string]string{"admin": "IAM_OWNER", "viewer": "IAM_OWNER_VIEWER", "nobody": ""}

// rolesOf is the value of RolesClaim for a subject, nil where it has no role or is unknown.
func rolesOf(subject string) map[string]map[string]string {
	role := clientRoles[subject]
	if subject == serviceAccountID {
		role = "IAM_OWNER"
	}
	if role == "" {
		return nil
	}
	return map[string]map[string]string{role: {"callout": "callout.local"}}
}

func isSubject(id string) bool {
	_, ok := clientRoles[id]
	return ok || id == serviceAccountID
}

// accepts says whether secret is that of the named client or user. It takes as long for a name that does not exist.
func (s *state) accepts(name, secret string) bool {
	want, known := s.read().Secrets[name]
	if !known {
		want = "no secret has this length or these characters"
	}
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && known
}

// client is what the library asks about a client.
type client struct {
	id       string
	redirect string // of a public client; empty for a confidential one
}

// clientOf finds a client by its id. Without a redirect there is no console.
func clientOf(id, consoleRedirect string) (client, bool) {
	if id == consoleID && consoleRedirect != "" {
		return client{id: id, redirect: consoleRedirect}, true
	}
	_, ok := clientRoles[id]
	return client{id: id}, ok
}

func (c client) public() bool  { return c.redirect != "" }
func (c client) GetID() string { return c.id }

// RedirectURIs is compared as a whole, port included.
func (c client) RedirectURIs() []string {
	if !c.public() {
		return nil
	}
	return []string{c.redirect}
}

// PostLogoutRedirectURIs is where the client begins.
func (c client) PostLogoutRedirectURIs() []string {
	if !c.public() {
		return nil
	}
	return []string{c.home()}
}

// home is the folder that the redirect lies in: http://host/console/ for http://host/console/callback.
func (c client) home() string {
	u, err := url.Parse(c.redirect)
	if err != nil {
		return "" // Open has parsed it
	}
	return u.ResolveReference(&url.URL{Path: "."}).String()
}

func (c client) ApplicationType() op.ApplicationType {
	if c.public() {
		return op.ApplicationTypeUserAgent
	}
	return op.ApplicationTypeWeb
}

func (c client) AuthMethod() oidc.AuthMethod {
	if c.public() {
		return oidc.AuthMethodNone
	}
	return oidc.AuthMethodBasic
}

func (c client) ResponseTypes() []oidc.ResponseType {
	if !c.public() {
		return nil
	}
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

func (c client) GrantTypes() []oidc.GrantType {
	if c.public() {
		return []oidc.GrantType{oidc.GrantTypeCode}
	}
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}

func (c client) LoginURL(request string) string {
	return signInPath + "?request=" + url.QueryEscape(request)
}
func (c client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (c client) IDTokenLifetime() time.Duration      { return tokenLifetime }
func (c client) ClockSkew() time.Duration            { return 0 }

// DevMode lets the library accept an http redirect; Open has accepted one on loopback only.
func (c client) DevMode() bool { return true }

// IsScopeAllowed leaves scopes to granted, which refuses some that would be dropped in silence here.
func (c client) IsScopeAllowed(string) bool           { return true }
func (c client) IDTokenUserinfoClaimsAssertion() bool { return true }

func (c client) RestrictAdditionalIdTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}

func (c client) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func(scopes []string) []string { return scopes }
}
