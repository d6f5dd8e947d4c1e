package console

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// attemptTime is how long a sign-in may take.
const attemptTime = 10 * time.Minute

// begun is what the browser keeps of a sign-in that has begun.
type begun struct {
	auth.Attempt
	To    string    `json:"to"`
	Until time.Time `json:"until"`
}

func (c *Console) callbackURL(r *http.Request) string { return c.origin(r) + root + "callback" }

// signIn sends the browser to the issuer.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	if c.Party == nil {
		http.Redirect(w, r, root, http.StatusSeeOther)
		return
	}
	attempt, there, err := c.Party.Begin(r.Context(), c.callbackURL(r))
	if err != nil {
		c.fail(w, r, "", err)
		return
	}
	content, err := json.Marshal(begun{Attempt: attempt, To: local(r.URL.Query().Get("to")), Until: time.Now().Add(attemptTime)})
	if err == nil {
		err = c.setCookie(w, attemptCookie, placeOfCookie(attemptCookie, string(c.instance(r))), string(content), attemptTime)
	}
	if err != nil {
		c.fail(w, r, "", err)
		return
	}
	http.Redirect(w, r, there, http.StatusSeeOther)
}

// callback is where the issuer sends the browser back to.
func (c *Console) callback(w http.ResponseWriter, r *http.Request) {
	if c.Party == nil {
		http.Redirect(w, r, root, http.StatusSeeOther)
		return
	}
	var b begun
	content, ok := c.cookie(r, attemptCookie, placeOfCookie(attemptCookie, string(c.instance(r))))
	dropCookie(w, attemptCookie)
	if !ok || json.Unmarshal([]byte(content), &b) != nil || !time.Now().Before(b.Until) {
		c.show(w, r, http.StatusBadRequest, "", message{Title: "This sign-in is over",
			Text: "It took longer than ten minutes, or was begun in another browser. Begin again.", Link: root, Label: "Sign in"})
		return
	}
	who, err := c.Party.Finish(r.Context(), c.callbackURL(r), b.Attempt, r.URL.Query())
	if err != nil {
		c.fail(w, r, "", err)
		return
	}
	c.end(r) // who signs in again has one session
	if err := c.begin(w, r, who); err != nil {
		c.fail(w, r, "", err)
		return
	}
	c.Log.InfoContext(r.Context(), "signed in", slog.String("user", who.Subject))
	http.Redirect(w, r, local(b.To), http.StatusSeeOther)
}

// signOut ends the session, here and at the issuer.
func (c *Console) signOut(w http.ResponseWriter, r *http.Request) {
	c.end(r)
	dropCookie(w, sessionCookie)
	dropCookie(w, noteCookie)
	http.Redirect(w, r, root+"?signed=out", http.StatusSeeOther)
}

// end removes the session of a request and revokes its tokens. An issuer that does not answer keeps nobody signed in here.
func (c *Console) end(r *http.Request) {
	s := session{instance: c.instance(r)}
	var ok bool
	if s.reference, ok = c.cookie(r, sessionCookie, placeOfCookie(sessionCookie, string(s.instance))); !ok || c.Party == nil {
		return
	}
	ctx := context.WithoutCancel(r.Context()) // a browser that goes away meanwhile is signed out too
	err := c.load(ctx, &s)
	if err == nil {
		if err := c.Sessions.RemoveSession(ctx, s.instance, s.reference); err != nil {
			c.Log.ErrorContext(ctx, "session not removed", logging.Err, err)
		}
		err = c.Party.Revoke(ctx, s.Person)
	}
	if err != nil && !errs.Is(err, errs.Unauthenticated) {
		c.Log.WarnContext(ctx, "tokens not revoked", logging.Err, err)
	}
}

// local is a path of the console: what was asked for if it is one, else where it begins.
func local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, root) || strings.ContainsAny(u.Path,
		"\\\x00") ||
		!strings.HasPrefix(path.Clean(u.Path)+"/", root) || u.Path == root+"signin" || u.Path == root+"callback" {
		return root
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}
