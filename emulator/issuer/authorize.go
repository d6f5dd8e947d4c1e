package issuer

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// browserCookie ties a sign-in to the browser that began it: nobody can be made to finish another's, and no other site's form has it.
const browserCookie = "callout_signin"

// authorize begins a sign-in. Until the redirect is known to be the client's, nobody is sent anywhere.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	if len(r.URL.RawQuery) > maxQuery {
		i.fail(w, r, oidc.ErrInvalidRequest().WithDescription("the query is over %d bytes", maxQuery))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxQuery)
	if err := parseForm(r); err != nil {
		i.fail(w, r, err)
		return
	}
	asked, err := op.ParseAuthorizeRequest(r, i.provider.Decoder())
	if err != nil {
		i.fail(w, r, oidc.ErrInvalidRequest().WithDescription("a parameter has the wrong form"))
		return
	}
	client, ok := clientOf(asked.ClientID, i.config.ConsoleRedirect)
	if !ok {
		i.show(w, http.StatusBadRequest, signInPage{Over: true, Problem: "client_id: there is no such client."})
		return
	}
	if err := op.ValidateAuthReqRedirectURI(client, asked.RedirectURI, asked.ResponseType); err != nil {
		i.show(w, http.StatusBadRequest, signInPage{Over: true, Problem: "redirect_uri: is not that of the client."})
		return
	}
	pending, err := i.admit(r, asked, client)
	if err != nil {
		i.sendBack(w, r, asked, err)
		return
	}
	browser, ok := browserOf(r)
	if !ok {
		browser = random()
	}
	// Lax, not strict: whoever comes from another site's link must have it on the next page.
	http.SetCookie(w, &http.Cookie{Name: browserCookie, Value: browser, Path: "/", MaxAge: int(requestLifetime.Seconds()),
		HttpOnly: true, Secure: strings.HasPrefix(i.config.URL, "https:"), SameSite: http.SameSiteLaxMode})
	pending.browser = hash(browser)
	http.Redirect(w, r, client.LoginURL(i.requests.add(pending).id), http.StatusFound)
}

// admit checks what the library checks and what it would let pass: a request without PKCE, and answers other than a redirect with a
// query.
func (i *Issuer) admit(r *http.Request, asked *oidc.AuthRequest, client client) (request, error) {
	if _, err := op.ValidateAuthRequestClient(r.Context(), asked, client, i.provider.IDTokenHintVerifier(r.Context())); err != nil {
		return request{}, err
	}
	switch {
	case asked.RequestParam != "":
		return request{}, oidc.ErrRequestNotSupported()
	case asked.CodeChallengeMethod != oidc.CodeChallengeMethodS256:
		return request{}, oidc.ErrInvalidRequest().WithDescription("code_challenge_method: must be S256")
	case len(asked.CodeChallenge) != 43 || !isToken(asked.CodeChallenge, 43):
		return request{}, oidc.ErrInvalidRequest().WithDescription("code_challenge: must be 43 characters of base64url")
	case asked.ResponseMode != "" && asked.ResponseMode != oidc.ResponseModeQuery:
		return request{}, oidc.ErrInvalidRequest().WithDescription("response_mode: must be query")
	case slices.Contains(asked.Prompt, oidc.PromptNone):
		return request{}, oidc.ErrLoginRequired() // nobody stays signed in here
	}
	scopes, err := granted(asked.Scopes)
	return request{client: client.id, redirect: asked.RedirectURI, state: asked.State, nonce: asked.Nonce, challenge: asked.CodeChallenge,
		scopes: scopes}, err
}

// sendBack tells the client what is wrong, at its own redirect.
func (i *Issuer) sendBack(w http.ResponseWriter, r *http.Request, asked *oidc.AuthRequest, err error) {
	refusal := oidc.DefaultToServerError(err, "")
	refusal.Description, refusal.State = printable(refusal.Description), asked.State
	back, err := op.AuthResponseURL(asked.RedirectURI, asked.ResponseType, "", refusal, i.provider.Encoder())
	if err != nil {
		i.fail(w, r, err)
		return
	}
	i.config.Log.InfoContext(r.Context(), "issuer: refused", slog.String("path", r.URL.Path), slog.String("error", string(refusal.ErrorType)),
		slog.String("description", refusal.Description))
	http.Redirect(w, r, back, http.StatusFound)
}

// endSession sends the browser back to the client, if it is told where and that is registered. There is no session to end: every
// sign-in asks for the password.
func (i *Issuer) endSession(w http.ResponseWriter, r *http.Request) {
	if err := parseForm(r); err != nil {
		i.fail(w, r, err)
		return
	}
	asked, err := op.ParseEndSessionRequest(r, i.provider.Decoder())
	if err != nil {
		i.fail(w, r, err)
		return
	}
	session, err := op.ValidateEndSessionRequest(r.Context(), asked, i.provider)
	if err != nil {
		i.fail(w, r, oidc.ErrInvalidRequest().WithDescription("id_token_hint, client_id or post_logout_redirect_uri: is not valid"))
		return
	}
	http.Redirect(w, r, session.RedirectURI, http.StatusFound)
}

func browserOf(r *http.Request) (string, bool) {
	c, err := r.Cookie(browserCookie)
	if err != nil || len(c.Value) != 43 || !isToken(c.Value, 43) {
		return "", false
	}
	return c.Value, true
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
