package issuer

import (
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/op"
)

//go:embed page
var pageFiles embed.FS

// pages are the templates; every value in them is escaped by its place.
var pages = template.Must(template.ParseFS(pageFiles, "page/*.html"))

// signInPage is what page/signin.html shows.
type signInPage struct {
	Action, Style, Home string
	Request, User       string
	Problem             string
	Over                bool // this sign-in cannot go on: begin again
}

// showSignIn shows the form to the browser that began.
func (i *Issuer) showSignIn(w http.ResponseWriter, r *http.Request) {
	request, err := i.pending(r, r.URL.Query().Get("request"))
	if err != nil {
		i.show(w, http.StatusBadRequest, signInPage{Over: true, Problem: "This sign-in is over or was begun in another browser."})
		return
	}
	i.show(w, http.StatusOK, signInPage{Request: request.id})
}

// signIn takes the form, and sends the browser back to the client with a code.
func (i *Issuer) signIn(w http.ResponseWriter, r *http.Request) {
	if err := parseForm(r); err != nil {
		i.fail(w, r, err)
		return
	}
	request, err := i.pending(r, r.PostForm.Get("request"))
	if err != nil {
		i.show(w, http.StatusBadRequest, signInPage{Over: true, Problem: "This sign-in is over or was begun in another browser."})
		return
	}
	user, password := r.PostForm.Get("user"), r.PostForm.Get("password")
	page := signInPage{Request: request.id, User: user[:min(len(user), 64)]}
	if wait := i.guesses.next(user); wait > 0 {
		seconds := int(math.Ceil(wait.Seconds()))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		page.Problem = fmt.Sprintf("Too many wrong passwords. Try again in %d seconds.", seconds)
		i.show(w, http.StatusTooManyRequests, page)
		return
	}
	if !i.state.accepts(user, password) {
		page.Over = i.requests.failed(request.id) <= 0
		page.Problem = "User or password is wrong."
		i.config.Log.WarnContext(r.Context(), "issuer: sign-in refused", slog.Bool("over", page.Over))
		i.show(w, http.StatusForbidden, page)
		return
	}
	i.guesses.succeeded(user)
	i.finish(w, r, request.id, user)
}

func (i *Issuer) finish(w http.ResponseWriter, r *http.Request, id, user string) {
	request, err := i.requests.signIn(id, user)
	if err != nil {
		i.show(w, http.StatusBadRequest, signInPage{Over: true, Problem: "This sign-in is over."})
		return
	}
	back, err := op.BuildAuthResponseCallbackURL(r.Context(), request, i.provider)
	if err != nil {
		i.fail(w, r, err)
		return
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// pending finds the request that this browser may sign in for.
func (i *Issuer) pending(r *http.Request, id string) (request, error) {
	pending, err := i.requests.get(id)
	browser, ok := browserOf(r)
	if err != nil || !ok || hash(browser) != pending.browser || pending.Done() {
		return request{}, errNoRequest
	}
	return pending, nil
}

func (i *Issuer) signedOut(w http.ResponseWriter, _ *http.Request) {
	i.render(w, http.StatusOK, "signedout.html", signInPage{})
}

func (i *Issuer) show(w http.ResponseWriter, status int, page signInPage) {
	i.render(w, status, "signin.html", page)
}

func (i *Issuer) render(w http.ResponseWriter, status int, name string, page signInPage) {
	page.Action, page.Style = signInPath, stylePath
	console, ok := clientOf(consoleID, i.config.ConsoleRedirect)
	if ok {
		page.Home = console.home()
	}
	var body strings.Builder
	if err := pages.ExecuteTemplate(&body, name, page); err != nil {
		i.config.Log.Error("issuer: page", slog.Any("error", err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	// Browsers hold the redirect that answers the form to form-action too.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'"+origin(console.redirect)+
		"; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body.String())) // the browser has gone
}

func style(w http.ResponseWriter, _ *http.Request) {
	data, err := pageFiles.ReadFile("page/style.css")
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write(data) // the browser has gone
}

// origin is a URL's, after a space, for a policy; empty for an empty URL.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return " " + u.Scheme + "://" + u.Host
}
