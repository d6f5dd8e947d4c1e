package issuer

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var errInactive = errors.New("the token is not active")

// verify reads an access token that this issuer has given to a client and that is good still. Id tokens have no jti, and tokens for pushes
// no client: neither is an access token here.
func (i *Issuer) verify(ctx context.Context, token string) (*oidc.AccessTokenClaims, error) {
	claims, err := op.VerifyAccessToken[*oidc.AccessTokenClaims](ctx, token, i.provider.AccessTokenVerifier(ctx))
	switch {
	case err != nil:
		return nil, err
	case claims.JWTID == "" || claims.ClientID == "" || !isSubject(claims.Subject) || i.state.revoked(claims.JWTID):
		return nil, errInactive
	}
	return claims, nil
}

// introspect tells an authenticated client about a token (RFC 7662). What is wrong with an inactive one it does not say.
func (i *Issuer) introspect(w http.ResponseWriter, r *http.Request) {
	if err := i.authenticate(r); err != nil {
		i.fail(w, r, err)
		return
	}
	token := r.PostForm.Get("token")
	if token == "" {
		i.fail(w, r, oidc.ErrInvalidRequest().WithDescription("token: is missing"))
		return
	}
	claims, err := i.verify(r.Context(), token)
	if err != nil {
		writeJSON(w, http.StatusOK, &oidc.IntrospectionResponse{})
		return
	}
	answer := &oidc.IntrospectionResponse{Active: true, Scope: claims.Scopes, ClientID: claims.ClientID, TokenType: oidc.BearerToken,
		Expiration: claims.Expiration, IssuedAt: claims.IssuedAt, NotBefore: claims.NotBefore, Subject: claims.Subject,
		Audience: claims.Audience, Issuer: claims.Issuer, JWTID: claims.JWTID, Username: claims.Subject}
	if roles, ok := claims.Claims[RolesClaim]; ok {
		answer.Claims = map[string]any{RolesClaim: roles}
	}
	writeJSON(w, http.StatusOK, answer)
}

// authenticate wants a confidential client's id and secret, in the header or in the body.
func (i *Issuer) authenticate(r *http.Request) error {
	if err := parseBody(r); err != nil {
		return err
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		if secret != "" {
			return oidc.ErrInvalidRequest().WithDescription("client_secret: is in the header already")
		}
		id, secret = user, password // ours have nothing that form encoding would change
	}
	if !i.state.accepts(id, secret) {
		return oidc.ErrInvalidClient()
	}
	return nil
}

// revoke takes back a token of the client that asks (RFC 7009). A token that is not active needs no revoking.
func (i *Issuer) revoke(w http.ResponseWriter, r *http.Request) {
	if err := parseBody(r); err != nil {
		i.fail(w, r, err)
		return
	}
	token, _, client, err := op.ParseTokenRevocationRequest(r, i.provider)
	if err == nil && token == "" {
		err = oidc.ErrInvalidRequest().WithDescription("token: is missing")
	}
	if err != nil {
		i.fail(w, r, err)
		return
	}
	claims, err := i.verify(r.Context(), token)
	switch {
	case err != nil:
	case claims.ClientID != client:
		i.fail(w, r, oidc.ErrUnauthorizedClient().WithDescription("token: was given to another client"))
		return
	default:
		if err := i.state.revoke(claims.JWTID, claims.GetExpiration().Add(time.Second)); err != nil {
			i.config.Log.ErrorContext(r.Context(), "issuer: revoke", slog.Any("error", err))
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": string(oidc.ServerError)})
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// userinfo tells the holder of a token with the scope openid about its subject.
func (i *Issuer) userinfo(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, oidc.BearerToken) || token == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="callout"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_request", "error_description": "Authorization: must be Bearer and a token"})
		return
	}
	claims, err := i.verify(r.Context(), token)
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="callout", error="invalid_token"`)
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	if !slices.Contains(claims.Scopes, oidc.ScopeOpenID) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="callout", error="insufficient_scope", scope="openid"`)
		writeJSON(w, http.StatusForbidden, map[string]string{"error": "insufficient_scope"})
		return
	}
	info := new(oidc.UserInfo)
	describe(info, claims.Subject, claims.Scopes)
	writeJSON(w, http.StatusOK, info)
}
