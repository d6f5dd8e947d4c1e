package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client/profile"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// scopes ask for the API's audience (callout.md section 2).
func scopes() []string {
	return []string{oidc.ScopeOpenID, "urn:zitadel:iam:org:project:id:zitadel:aud"}
}

// TokenSource asks the issuer for its token endpoint and gives access tokens, each used again until it is about to expire. What it
// needs of the network goes through client, whose timeout counts for each request.
func (s Settings) TokenSource(ctx context.Context, client *http.Client) (oauth2.TokenSource, error) {
	if s.token != "" {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: s.token}), nil
	}
	ctx = oidc.ClientContext(ctx, client)
	endpoint, err := s.tokenEndpoint(ctx)
	if err != nil {
		return nil, err
	}
	if s.account != nil {
		next, err := profile.NewJWTProfileTokenSource(ctx, s.Issuer, s.account.UserID, s.account.KeyID, []byte(s.account.Key), scopes(),
			profile.WithHTTPClient(client), profile.WithStaticTokenEndpoint(s.Issuer, endpoint))
		if err != nil { // its text may quote the key
			return nil, fmt.Errorf("the key of %s is not a PEM private key", s.Who)
		}
		return oauth2.ReuseTokenSource(nil, source{next: next, settings: s}), nil
	}
	config := clientcredentials.Config{ClientID: s.client.ID, ClientSecret: s.client.Secret, TokenURL: endpoint,
		Scopes: scopes(), AuthStyle: oauth2.AuthStyleInHeader}
	return oauth2.ReuseTokenSource(nil, source{next: config.TokenSource(ctx), settings: s}), nil
}

// tokenEndpoint is discovered. It must be as safe as the issuer, because the secret goes there.
func (s Settings) tokenEndpoint(ctx context.Context) (string, error) {
	provider, err := oidc.NewProvider(ctx, s.Issuer)
	if mismatch, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return "", fmt.Errorf("%s calls itself %q: give its own name with --issuer", s.Issuer, mismatch.Discovered)
	}
	if network, ok := errors.AsType[*url.Error](err); ok {
		return "", network
	}
	if err != nil {
		return "", fmt.Errorf("%s is not an OpenID Connect issuer: its /.well-known/openid-configuration cannot be read", s.Issuer)
	}
	endpoint := provider.Endpoint().TokenURL
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u)) {
		return "", fmt.Errorf("%s names no token endpoint that a secret may be sent to", s.Issuer)
	}
	return endpoint, nil
}

// source words the refusals of the issuer: without the answer's body, which may be a page, and without the request.
type source struct {
	next     oauth2.TokenSource
	settings Settings
}

// Token asks the issuer.
func (s source) Token() (*oauth2.Token, error) {
	token, err := s.next.Token()
	if err == nil && token.AccessToken == "" {
		return nil, fmt.Errorf("%s gave no token to %s", s.settings.Issuer, s.settings.Who)
	}
	if err == nil {
		return token, nil
	}
	if network, ok := errors.AsType[*url.Error](err); ok {
		return nil, network
	}
	refused := &RefusedError{Issuer: s.settings.Issuer, Who: s.settings.Who}
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		refused.Code, refused.Description = e.ErrorCode, e.ErrorDescription
		if e.ErrorCode == "" && e.Response != nil {
			refused.Code = e.Response.Status
		}
	} else if e, ok := errors.AsType[*zitadel.Error](err); ok {
		refused.Code, refused.Description = string(e.ErrorType), e.Description
	}
	return nil, refused
}

// RefusedError says that an issuer gave no token, and its words for it.
type RefusedError struct{ Issuer, Who, Code, Description string }

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%s gives %s no token", e.Issuer, e.Who)
	if e.Code != "" {
		text += ": " + e.Code
	}
	if e.Description != "" {
		text += ": " + e.Description
	}
	return text
}

// serviceAccount is a key file as ZITADEL's SDKs read it.
type serviceAccount struct {
	Type   string `json:"type"`
	KeyID  string `json:"keyId"`
	Key    string `json:"key"`
	UserID string `json:"userId"`
}

func readServiceAccount(path string) (serviceAccount, error) {
	text, err := readFile(path)
	if err != nil {
		return serviceAccount{}, fmt.Errorf("service account: %w", err)
	}
	var account serviceAccount
	if json.Unmarshal(text, &account) != nil || account.Type != "serviceaccount" || account.KeyID == "" || account.Key == "" || account.UserID == "" {
		return serviceAccount{}, fmt.Errorf("%s is not the key file of a service account: JSON with type \"serviceaccount\", keyId, key and userId", path)
	}
	return account, nil
}
