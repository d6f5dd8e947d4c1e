package access

import (
	"strings"
	"time"

	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
)

// Claims are what a token says of itself. Nobody has checked it: that is the API's to do.
type Claims struct {
	Issuer   string
	Audience []string
	// Issued and Expiry are zero where the token does not say.
	Issued, Expiry time.Time
}

// ReadClaims reads a JWT; false for any other token.
func ReadClaims(token string) (Claims, bool) {
	if strings.Count(token, ".") != 2 {
		return Claims{}, false
	}
	var claims zitadel.TokenClaims
	if _, err := zitadel.ParseToken(token, &claims); err != nil {
		return Claims{}, false
	}
	return Claims{Issuer: claims.Issuer, Audience: claims.Audience, Issued: claims.IssuedAt.AsTime(), Expiry: claims.Expiration.AsTime()}, true
}
