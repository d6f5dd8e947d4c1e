package issuer

import (
	"crypto/rand"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// The paths are ZITADEL's, so that clients with fixed ones work too.
const (
	discoveryPath  = oidc.DiscoveryEndpoint
	authorizePath  = "/oauth/v2/authorize"
	tokenPath      = "/oauth/v2/token"
	introspectPath = "/oauth/v2/introspect"
	revokePath     = "/oauth/v2/revoke"
	keysPath       = "/oauth/v2/keys"
	userinfoPath   = "/oidc/v1/userinfo"
	endSessionPath = "/oidc/v1/end_session"

	signInPath    = "/signin"
	stylePath     = "/signin/style.css"
	signedOutPath = "/signed-out"
)

func newProvider(url string, s *storage) (*op.Provider, error) {
	config := &op.Config{
		DefaultLogoutRedirectURI: signedOutPath,
		CodeMethodS256:           true,
		AuthMethodPost:           true,
		SupportedScopes:          knownScopes,
		SupportedClaims: []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "scope", "auth_time", "nonce", "amr", "azp",
			"at_hash", "c_hash", "name", "preferred_username", RolesClaim},
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails; codes are sealed with it, and do not outlive the process anyway
	return op.NewProvider(config, s, op.StaticIssuer(url),
		op.WithAllowInsecure(), // Config.check has seen to it that http is on loopback
		op.WithCORSOptions(nil),
		op.WithCrypto(op.NewAES256GCMCrypto(key, "")),
		op.WithAccessTokenVerifierOpts(op.WithSupportedAccessTokenSigningAlgorithms("RS256")),
		op.WithCustomEndpoints(op.NewEndpoint(authorizePath), op.NewEndpoint(tokenPath), op.NewEndpoint(userinfoPath),
			op.NewEndpoint(revokePath), op.NewEndpoint(endSessionPath), op.NewEndpoint(keysPath)),
		op.WithCustomIntrospectionEndpoint(op.NewEndpoint(introspectPath)),
	)
}

// discovery says what there is: less than the library would by itself.
func (i *Issuer) discovery(w http.ResponseWriter, r *http.Request) {
	d := op.CreateDiscoveryConfig(r.Context(), i.provider, i.storage)
	d.DeviceAuthorizationEndpoint = ""
	d.ResponseTypesSupported = []string{string(oidc.ResponseTypeCode)}
	d.ResponseModesSupported = []string{string(oidc.ResponseModeQuery)}
	d.GrantTypesSupported = []oidc.GrantType{oidc.GrantTypeCode, oidc.GrantTypeClientCredentials, oidc.GrantTypeBearer}
	d.IntrospectionEndpointAuthMethodsSupported = []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost}
	d.IntrospectionEndpointAuthSigningAlgValuesSupported = nil
	d.RevocationEndpointAuthSigningAlgValuesSupported = nil
	writeJSON(w, http.StatusOK, d)
}

// keys is the key set. It may not be cached: a verifier that does not know a key asks again and must find it.
func (i *Issuer) keys(w http.ResponseWriter, r *http.Request) { op.Keys(w, r, i.storage) }
