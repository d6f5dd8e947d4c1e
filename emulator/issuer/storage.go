package issuer

import (
	"context"
	"crypto/rsa"
	"errors"
	"log/slog"
	"slices"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var (
	errUnknownClient = errors.New("no such client")
	errWrongSecret   = errors.New("wrong secret")
	errUnknownKey    = errors.New("no such key")
)

// storage is what the library builds on. Where it asks for something that this issuer does not have, the answer is an error.
type storage struct {
	*state
	requests *requests
	config   Config
}

// CreateAuthRequest refuses: sign-ins begin in Issuer.authorize, which knows the browser.
func (s *storage) CreateAuthRequest(context.Context, *oidc.AuthRequest, string) (op.AuthRequest, error) {
	return nil, oidc.ErrServerError()
}

// AuthRequestByID finds a request that is not redeemed yet.
func (s *storage) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	return s.requests.get(id)
}

// AuthRequestByCode uses the code up. If it was used before, the token that it gave is revoked.
func (s *storage) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	r, stolen, err := s.requests.redeem(code)
	if stolen {
		s.config.Log.WarnContext(ctx, "issuer: a code was used twice, its token is revoked")
		if failure := s.revoke(r.token, r.tokenEnd); failure != nil {
			s.config.Log.ErrorContext(ctx, "issuer: revoke", slog.Any("error", failure))
		}
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// SaveAuthCode binds a code to a request whose user has signed in.
func (s *storage) SaveAuthCode(_ context.Context, id, code string) error {
	return s.requests.saveCode(id, code)
}

// DeleteAuthRequest does nothing: a redeemed request is remembered for a while, to notice that its code is used again.
func (s *storage) DeleteAuthRequest(context.Context, string) error { return nil }

// CreateAccessToken gives a new token its id and its end.
func (s *storage) CreateAccessToken(_ context.Context, r op.TokenRequest) (string, time.Time, error) {
	g, ok := r.(grant)
	if !ok || slices.Contains(g.GetAudience(), s.config.PushAudience) {
		return "", time.Time{}, oidc.ErrServerError()
	}
	id, end := random(), time.Now().Add(tokenLifetime)
	if g.request != "" {
		if err := s.requests.issued(g.request, id, end); err != nil {
			return "", time.Time{}, oidc.ErrInvalidGrant().WithDescription("code: %s", err)
		}
	}
	return id, end, nil
}

// CreateAccessAndRefreshTokens refuses: this issuer has no refresh tokens.
func (s *storage) CreateAccessAndRefreshTokens(context.Context, op.TokenRequest, string) (string, string, time.Time, error) {
	return "", "", time.Time{}, op.ErrInvalidRefreshToken
}

// TokenRequestByRefreshToken refuses: this issuer has no refresh tokens.
func (s *storage) TokenRequestByRefreshToken(context.Context, string) (op.RefreshTokenRequest, error) {
	return nil, op.ErrInvalidRefreshToken
}

// GetRefreshTokenInfo knows none: this issuer has no refresh tokens.
func (s *storage) GetRefreshTokenInfo(context.Context, string, string) (string, string, error) {
	return "", "", op.ErrInvalidRefreshToken
}

// TerminateSession has nothing to end: every sign-in asks for the password, nobody stays signed in.
func (s *storage) TerminateSession(context.Context, string, string) error { return nil }

// RevokeToken revokes by the token's id for as long as a token made now would live.
func (s *storage) RevokeToken(_ context.Context, id, _, _ string) *oidc.Error {
	if err := s.revoke(id, time.Now().Add(tokenLifetime)); err != nil {
		return oidc.ErrServerError().WithParent(err)
	}
	return nil
}

// SigningKey is the key in use.
func (s *storage) SigningKey(ctx context.Context) (op.SigningKey, error) {
	return s.signer(ctx), nil
}

// signer is the key in use. Whoever makes a token sees to the age of the keys, so that they roll over without a clock of their own; a
// roll-over that fails leaves the old key in use.
func (s *storage) signer(ctx context.Context) privateKey {
	if s.config.RotateAfter > 0 {
		if err := s.rotateIfOld(s.config.RotateAfter); err != nil {
			s.config.Log.ErrorContext(ctx, "issuer: rotate signing key", slog.Any("error", err))
		}
	}
	return privateKey{s.signing()}
}

// SignatureAlgorithms is RS256 alone.
func (s *storage) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

// KeySet is what /oauth/v2/keys publishes.
func (s *storage) KeySet(context.Context) ([]op.Key, error) {
	var keys []op.Key
	for _, k := range s.published() {
		keys = append(keys, publicKey{k})
	}
	return keys, nil
}

// GetClientByClientID finds a client.
func (s *storage) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	c, ok := clientOf(id, s.config.ConsoleRedirect)
	if !ok {
		return nil, errUnknownClient
	}
	return c, nil
}

// AuthorizeClientIDSecret compares in constant time.
func (s *storage) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if !s.accepts(id, secret) {
		return errWrongSecret
	}
	return nil
}

// ClientCredentials finds a client by its id and secret.
func (s *storage) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if err := s.AuthorizeClientIDSecret(ctx, id, secret); err != nil {
		return nil, err
	}
	return s.GetClientByClientID(ctx, id)
}

// ClientCredentialsTokenRequest says what a client gets for itself.
func (s *storage) ClientCredentialsTokenRequest(_ context.Context, id string, asked []string) (op.TokenRequest, error) {
	return s.grant(id, id, asked)
}

// ValidateJWTProfileScopes picks the scopes that the service account gets.
func (s *storage) ValidateJWTProfileScopes(_ context.Context, _ string, asked []string) ([]string, error) {
	return granted(asked)
}

// JWTProfileTokenType is a JWT, as for every grant.
func (s *storage) JWTProfileTokenType(context.Context, op.TokenRequest) (op.AccessTokenType, error) {
	return op.AccessTokenTypeJWT, nil
}

func (s *storage) grant(subject, client string, asked []string) (grant, error) {
	scopes, err := granted(asked)
	return grant{subject: subject, client: client, scopes: scopes, audience: s.config.Audience}, err
}

// GetKeyByIDAndClientID finds the key that an assertion of the service account must be signed with.
func (s *storage) GetKeyByIDAndClientID(_ context.Context, key, id string) (*jose.JSONWebKey, error) {
	account := s.read().ServiceAccount
	if id != serviceAccountID || key != account.ID {
		return nil, errUnknownKey
	}
	return &jose.JSONWebKey{Key: &account.private.PublicKey, KeyID: account.ID, Use: oidc.KeyUseSignature}, nil
}

// GetPrivateClaimsFromRequest adds the roles and the granted scopes to an access token.
func (s *storage) GetPrivateClaimsFromRequest(_ context.Context, r op.TokenRequest, _ []string) (map[string]any, error) {
	g, ok := r.(grant)
	if !ok {
		return nil, oidc.ErrServerError()
	}
	return g.claims(), nil
}

// GetPrivateClaimsFromScopes refuses: the library asks GetPrivateClaimsFromRequest.
func (s *storage) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, oidc.ErrServerError()
}

// SetUserinfoFromScopes does nothing, as the library wishes: SetUserinfoFromRequest does it.
func (s *storage) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

// SetUserinfoFromRequest adds to an id token what userinfo says too.
func (s *storage) SetUserinfoFromRequest(_ context.Context, info *oidc.UserInfo, r op.IDTokenRequest, scopes []string) error {
	describe(info, r.GetSubject(), scopes)
	return nil
}

// SetUserinfoFromToken refuses: userinfo is answered from a verified token.
func (s *storage) SetUserinfoFromToken(context.Context, *oidc.UserInfo, string, string, string) error {
	return oidc.ErrServerError()
}

// SetIntrospectionFromToken refuses: introspection is answered from a verified token.
func (s *storage) SetIntrospectionFromToken(context.Context, *oidc.IntrospectionResponse, string, string, string) error {
	return oidc.ErrServerError()
}

// Health is nil: a state that was opened can be read.
func (s *storage) Health(context.Context) error { return nil }

// describe says who a subject is, as far as the scopes go.
func describe(info *oidc.UserInfo, subject string, scopes []string) {
	info.Subject = subject
	if slices.Contains(scopes, oidc.ScopeProfile) {
		info.Name, info.PreferredUsername = subject, subject
	}
	if roles := rolesOf(subject); roles != nil {
		info.AppendClaims(RolesClaim, roles)
	}
}

type privateKey struct{ storedKey }

func (k privateKey) ID() string                                  { return k.storedKey.ID }
func (k privateKey) Key() any                                    { return k.private }
func (k privateKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

type publicKey struct{ storedKey }

func (k publicKey) ID() string                         { return k.storedKey.ID }
func (k publicKey) Key() any                           { return k.public() }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k publicKey) Use() string                        { return oidc.KeyUseSignature }

func (k storedKey) public() *rsa.PublicKey { return &k.private.PublicKey }
