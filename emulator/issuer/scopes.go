package issuer

import (
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

const (
	// AudienceScope asks for the API's audience in the token.
	AudienceScope = audiencePrefix + "zitadel" + audienceSuffix

	audiencePrefix = "urn:zitadel:iam:org:project:id:"
	audienceSuffix = ":aud"

	maxScopes = 64
)

// knownScopes may be granted. Others are dropped, as RFC 6749 section 3.3 allows; the answer's scope says what was granted.
var knownScopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, AudienceScope, RolesClaim}

// granted picks the scopes that a caller gets of those it asked for. To ask for the audience of anything but the API is an error:
// most of all for that of the pushes, which only the embedded Pub/Sub may have.
func granted(asked []string) ([]string, error) {
	if len(asked) > maxScopes {
		return nil, oidc.ErrInvalidScope().WithDescription("scope: more than %d", maxScopes)
	}
	var scopes []string
	for _, scope := range asked {
		foreign := scope != AudienceScope && strings.HasPrefix(scope, audiencePrefix) && strings.HasSuffix(scope, audienceSuffix)
		switch {
		case foreign:
			return nil, oidc.ErrInvalidScope().WithDescription("scope: no audience but the API's is given to clients")
		case slices.Contains(knownScopes, scope) && !slices.Contains(scopes, scope):
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}

// grant is what an access token is made from. It is the one place where a client's audience comes from.
type grant struct {
	subject, client string
	scopes          []string
	audience        string // the API's
	request         string // the authorization request behind it, empty for other grants
}

// GetSubject is the token's sub.
func (g grant) GetSubject() string { return g.subject }

// GetScopes is the token's scope.
func (g grant) GetScopes() []string { return g.scopes }

// GetAudience is the API's audience if its scope was granted, else the client itself.
func (g grant) GetAudience() []string {
	if slices.Contains(g.scopes, AudienceScope) {
		return []string{g.audience}
	}
	return []string{g.client}
}

// claims are the claims of the access token besides the registered ones.
func (g grant) claims() map[string]any {
	claims := map[string]any{}
	if len(g.scopes) > 0 {
		claims["scope"] = strings.Join(g.scopes, " ")
	}
	if roles := rolesOf(g.subject); roles != nil {
		claims[RolesClaim] = roles
	}
	return claims
}
