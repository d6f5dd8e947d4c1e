package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/callout-dev/callout/shared/errs"
)

// audienceScope asks for the API's audience in the token (callout.md section 2).
const audienceScope = "urn:zitadel:iam:org:project:id:zitadel:aud"

// Party signs people in at an issuer, for pages of ours: the authorization code flow with PKCE, as a client without a secret.
type Party struct {
	verifier *Verifier // of id tokens, whose audience is the client
	id       string
	client   *http.Client
}

// NewParty makes one that reaches the issuer through client, as the client of that id. The issuer is asked when the first person comes.
func NewParty(issuer, id string, client *http.Client) *Party {
	// No redirects: they would take codes and tokens to where nobody has said that they may go.
	strict := *client
	strict.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Party{verifier: NewVerifier(issuer, id, client), id: id, client: &strict}
}

// Attempt is a sign-in that has begun. Its browser keeps it, and nobody else may see it.
type Attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
}

// Person is who has signed in, and what they may show to the API.
type Person struct {
	Subject string `json:"subject"`
	// Name is what the issuer calls them, briefly: a name, else a user name or an address, else the subject.
	Name string `json:"name"`
	// Access is good until Expires. Refresh is "" where the issuer gives none.
	Access  string    `json:"access"`
	Refresh string    `json:"refresh,omitempty"`
	Expires time.Time `json:"expires"`
}

// errSignIn is what a sign-in that came to nothing is, whatever the reason: that is for the log.
var errSignIn = errs.New(errs.Unauthenticated, "", "the sign-in did not succeed; begin again")

// Begin gives a new attempt, and where to send the browser: it comes back to redirect. Unavailable where the issuer does not answer.
func (p *Party) Begin(ctx context.Context, redirect string) (Attempt, string, error) {
	config, err := p.config(ctx, redirect)
	if err != nil {
		return Attempt{}, "", err
	}
	a := Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	return a, config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// Finish makes a person of what the browser came back with. Unauthenticated where it does not belong to the attempt, where the issuer
// refuses, and where its id token is not good; Unavailable where it does not answer.
func (p *Party) Finish(ctx context.Context, redirect string, a Attempt, query url.Values) (Person, error) {
	if a.State == "" || subtle.ConstantTimeCompare([]byte(a.State), []byte(query.Get("state"))) != 1 {
		return Person{}, errSignIn.Because(errors.New("the state is not that of the attempt"))
	}
	if iss := query.Get("iss"); iss != "" && iss != p.verifier.issuer { // RFC 9207
		return Person{}, errSignIn.Because(errors.New("the answer is another issuer's"))
	}
	if problem := query.Get("error"); problem != "" || query.Get("code") == "" {
		return Person{}, errSignIn.Because(fmt.Errorf("the issuer says %q", errs.Brief(problem)))
	}
	config, err := p.config(ctx, redirect)
	if err != nil {
		return Person{}, err
	}
	token, err := config.Exchange(p.through(ctx), query.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Person{}, refusal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := p.verifier.verify(ctx, raw)
	switch {
	case errors.Is(err, errUnreachable):
		return Person{}, errIssuer.Because(err)
	case err != nil:
		return Person{}, errSignIn.Because(err)
	case subtle.ConstantTimeCompare([]byte(a.Nonce), []byte(id.Nonce)) != 1:
		return Person{}, errSignIn.Because(errors.New("the id token has another nonce"))
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return Person{}, errSignIn.Because(errors.New("the id token is for another access token"))
	}
	return person(id, token), nil
}

func person(id *oidc.IDToken, token *oauth2.Token) Person {
	var said struct {
		Name     string `json:"name"`
		Username string `json:"preferred_username"`
		Email    string `json:"email"`
	}
	_ = id.Claims(&said) // names of another type are none
	who := Person{Subject: id.Subject, Access: token.AccessToken, Refresh: token.RefreshToken, Expires: token.Expiry}
	for _, name := range []string{said.Name, said.Username, said.Email, id.Subject} {
		if who.Name = errs.Brief(strings.TrimSpace(name)); who.Name != "" {
			break
		}
	}
	return who
}

// Renew gives a person with a new access token. Unauthenticated where the issuer gives none any more.
func (p *Party) Renew(ctx context.Context, who Person) (Person, error) {
	if who.Refresh == "" {
		return who, errSignIn.Because(errors.New("there is no refresh token"))
	}
	config, err := p.config(ctx, "")
	if err != nil {
		return who, err
	}
	token, err := config.TokenSource(p.through(ctx), &oauth2.Token{RefreshToken: who.Refresh}).Token()
	if err != nil {
		return who, refusal(err)
	}
	who.Access, who.Refresh, who.Expires = token.AccessToken, token.RefreshToken, token.Expiry
	return who, nil
}

// refusal tells an issuer that says no from one that says nothing. The cause names no token: oauth2's own text would show the answer.
func refusal(err error) error {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e.Response != nil && e.Response.StatusCode < http.StatusInternalServerError {
		return errSignIn.Because(fmt.Errorf("the token endpoint answers %d %q", e.Response.StatusCode, errs.Brief(e.ErrorCode)))
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return errIssuer.Because(e)
	}
	return errIssuer.Because(errors.New("the token endpoint gives no token"))
}

// Revoke takes a person's tokens back (RFC 7009), as far as the issuer does that.
func (p *Party) Revoke(ctx context.Context, who Person) error {
	found, err := p.verifier.discover(ctx)
	if err != nil || found.revocation == "" {
		return err
	}
	for _, token := range []string{who.Refresh, who.Access} {
		if token != "" {
			err = errors.Join(err, p.revoke(ctx, found.revocation, token))
		}
	}
	return err
}

func (p *Party) revoke(ctx context.Context, endpoint, token string) error {
	form := url.Values{"token": {token}, "client_id": {p.id}}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("revoke: status %d", response.StatusCode)
	}
	return nil
}

func (p *Party) config(ctx context.Context, redirect string) (*oauth2.Config, error) {
	found, err := p.verifier.discover(ctx)
	if err != nil {
		return nil, errIssuer.Because(err)
	}
	scopes := []string{oidc.ScopeOpenID, "profile", audienceScope}
	if slices.Contains(found.scopes, oidc.ScopeOfflineAccess) {
		scopes = append(scopes, oidc.ScopeOfflineAccess)
	}
	endpoint := found.endpoint
	endpoint.AuthStyle = oauth2.AuthStyleInParams // a client without a secret has its id there
	return &oauth2.Config{ClientID: p.id, Endpoint: endpoint, RedirectURL: redirect, Scopes: scopes}, nil
}

func (p *Party) through(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, p.client)
}

// Client calls the API with a person's token, through base.
func (w Person) Client(base http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: &oauth2.Transport{Base: base, Source: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.Access})},
		// The API redirects nobody, and a token goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
