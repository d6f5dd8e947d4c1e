package issuer

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// assertionSkew is by how much the clock of a service account's host may be ahead of ours.
const assertionSkew = 5 * time.Second

// token is the token endpoint.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	response, err := i.exchange(r)
	if err != nil {
		i.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, response)
}

func (i *Issuer) exchange(r *http.Request) (*oidc.AccessTokenResponse, error) {
	if err := parseBody(r); err != nil {
		return nil, err
	}
	if _, _, ok := r.BasicAuth(); ok && r.PostForm.Has("client_secret") {
		return nil, oidc.ErrInvalidRequest().WithDescription("client_secret: is in the header already")
	}
	for _, name := range []string{"audience", "resource"} { // RFC 8707 and what some clients send in its place
		if r.PostForm.Has(name) && r.PostForm.Get(name) != i.config.Audience {
			return nil, oidc.ErrInvalidTarget().WithDescription("%s: no audience but the API's is given to clients", name)
		}
	}
	switch oidc.GrantType(r.PostForm.Get("grant_type")) {
	case oidc.GrantTypeClientCredentials:
		return i.clientCredentials(r)
	case oidc.GrantTypeBearer:
		return i.assertion(r)
	case oidc.GrantTypeCode:
		return i.code(r)
	case "":
		return nil, oidc.ErrInvalidRequest().WithDescription("grant_type: is missing")
	default:
		return nil, oidc.ErrUnsupportedGrantType().WithDescription("grant_type: is not supported")
	}
}

func (i *Issuer) clientCredentials(r *http.Request) (*oidc.AccessTokenResponse, error) {
	request, err := op.ParseClientCredentialsRequest(r, i.provider.Decoder())
	if err != nil {
		return nil, err
	}
	grant, client, err := op.ValidateClientCredentialsRequest(r.Context(), request, i.provider)
	if err != nil {
		return nil, err
	}
	return op.CreateClientCredentialsTokenResponse(r.Context(), grant, i.provider, client)
}

// assertion is the JWT bearer grant of RFC 7523: the service account signs who it is.
func (i *Issuer) assertion(r *http.Request) (*oidc.AccessTokenResponse, error) {
	request, err := op.ParseJWTProfileGrantRequest(r, i.provider.Decoder())
	if err != nil {
		return nil, err
	}
	if request.Assertion == "" {
		return nil, oidc.ErrInvalidRequest().WithDescription("assertion: is missing")
	}
	verifier := op.NewJWTProfileVerifier(i.storage, i.config.URL, tokenLifetime, assertionSkew)
	claims, err := op.VerifyJWTAssertion(r.Context(), request.Assertion, verifier)
	if err != nil || !begun(claims) {
		return nil, oidc.ErrInvalidGrant().WithDescription("assertion: is not a valid JWT of the service account for %s", i.config.URL)
	}
	asked := []string(request.Scope)
	if text, ok := claims.GetCustomClaim("scope").(string); ok && len(asked) == 0 {
		asked = strings.Fields(text) // where golang.org/x/oauth2/jwt puts it
	}
	grant, err := i.storage.grant(claims.Subject, claims.Subject, asked)
	if err != nil {
		return nil, err
	}
	return op.CreateJWTTokenResponse(r.Context(), grant, i.provider)
}

// begun says whether the assertion's nbf, if it has one, has come; the library does not look at it.
func begun(claims *oidc.JWTTokenRequest) bool {
	value := claims.GetCustomClaim("nbf")
	if value == nil {
		return true
	}
	seconds, ok := value.(float64)
	return ok && seconds <= float64(time.Now().Add(assertionSkew).Unix())
}

// code redeems an authorization code. The access token is for the API, the id token for the client alone.
func (i *Issuer) code(r *http.Request) (*oidc.AccessTokenResponse, error) {
	redemption, err := op.ParseAccessTokenRequest(r, i.provider.Decoder())
	if err != nil {
		return nil, err
	}
	if redemption.Code == "" {
		return nil, oidc.ErrInvalidRequest().WithDescription("code: is missing")
	}
	authorized, client, err := op.ValidateAccessTokenRequest(r.Context(), redemption, i.provider)
	if err != nil {
		return nil, err
	}
	g := grant{subject: authorized.GetSubject(), client: client.GetID(), scopes: authorized.GetScopes(), audience: i.config.Audience,
		request: authorized.GetID()}
	token, _, validity, err := op.CreateAccessToken(r.Context(), g, op.AccessTokenTypeJWT, i.provider, client, "")
	if err != nil {
		return nil, err
	}
	response := &oidc.AccessTokenResponse{AccessToken: token, TokenType: oidc.BearerToken, ExpiresIn: uint64(validity.Seconds()), Scope: g.scopes}
	if slices.Contains(g.scopes, oidc.ScopeOpenID) {
		response.IDToken, err = i.idToken(r.Context(), authorized, client, token, redemption.Code)
	}
	return response, err
}

func (i *Issuer) idToken(ctx context.Context, authorized op.AuthRequest, client op.Client, token, code string) (string, error) {
	return op.CreateIDToken(ctx, i.config.URL, authorized, client.IDTokenLifetime(), token, code, i.storage, client)
}
