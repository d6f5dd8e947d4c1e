// Package console is the function that serves the web page: targets, executions, deliveries, and what it takes to try them. It uses the
// public API alone, with the token of who has signed in, so that nobody can do here what they could not do there. Pages are made here and
// work without a script; the one script makes some of them quicker to use.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
)

// Sessions keeps what belongs to a signed-in browser, under a reference that nobody can guess.
type Sessions interface {
	PutSession(ctx context.Context, instance action.InstanceID, reference, content string, expires time.Time) error
	// ReplaceSession changes the content of a session, and is NotFound where it has ended meanwhile.
	ReplaceSession(ctx context.Context, instance action.InstanceID, reference, content string) error
	// Session is NotFound where there is none, or none any more.
	Session(ctx context.Context, instance action.InstanceID, reference string) (content string, expires time.Time, err error)
	RemoveSession(ctx context.Context, instance action.InstanceID, reference string) error
}

// Sealer seals for a place, and opens what was sealed for it.
type Sealer interface {
	Seal(place, value string) (string, error)
	Open(place, sealed string) (string, error)
}

// Party signs people in at the issuer.
type Party interface {
	Begin(ctx context.Context, redirect string) (auth.Attempt, string, error)
	Finish(ctx context.Context, redirect string, a auth.Attempt, query url.Values) (auth.Person, error)
	Renew(ctx context.Context, who auth.Person) (auth.Person, error)
	Revoke(ctx context.Context, who auth.Person) error
}

// Console serves the pages.
type Console struct {
	Sessions Sessions
	Sealer   Sealer
	// Party is nil where the installation has no client for the console: then pages say so.
	Party Party
	// API reaches the API at URL, scheme and host; where a request's host is Known, at that one.
	API   http.RoundTripper
	URL   string
	Known func(host string) bool
	// Instance picks the instance of a host.
	Instance func(host string) action.InstanceID
	Log      *slog.Logger

	renewals singleflight.Group
}

const (
	root = "/console/"
	// maxForm is how large a form may be: a payload of 512 KiB, encoded.
	maxForm = 2 << 20
	// pageTime bounds the making of a page, and all calls for it.
	pageTime = 30 * time.Second
	// policy lets nothing in but what is served here. There is no script and no style within a page.
	policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
		"frame-ancestors 'none'; base-uri 'none'"
)

// Handler serves all below /console/. The error says that URL is none.
func (c *Console) Handler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /console", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, root, http.StatusMovedPermanently) })
	mux.HandleFunc("GET /console/static/{name}", static)
	mux.HandleFunc("GET /console/signin", c.signIn)
	mux.HandleFunc("GET /console/callback", c.callback)
	mux.HandleFunc("POST /console/signout", c.signOut)
	mux.HandleFunc("GET /console/{$}", c.front)
	for pattern, show := range c.pages() {
		mux.HandleFunc(pattern, c.signedIn(show))
	}
	mux.HandleFunc("/console/", c.signedIn(func(*visit) error { return errNoPage }))
	guard := http.NewCrossOriginProtection()
	if c.URL != "" {
		if err := guard.AddTrustedOrigin(c.URL); err != nil {
			return nil, err
		}
	}
	guard.SetDenyHandler(http.HandlerFunc(c.denied))
	return headers(guard.Handler(mux)), nil
}

// pages are those for people who have signed in.
func (c *Console) pages() map[string]func(*visit) error {
	return map[string]func(*visit) error{
		"GET /console/targets":                            listTargets,
		"GET /console/targets/new":                        newTarget,
		"POST /console/targets/new":                       createTarget,
		"GET /console/targets/{id}":                       showTarget,
		"GET /console/targets/{id}/edit":                  editTarget,
		"POST /console/targets/{id}/edit":                 updateTarget,
		"POST /console/targets/{id}/delivery":             updateDelivery,
		"POST /console/targets/{id}/pause":                pauseTarget,
		"POST /console/targets/{id}/resume":               resumeTarget,
		"POST /console/targets/{id}/test":                 testTarget,
		"POST /console/targets/{id}/rotate":               rotateKey,
		"GET /console/targets/{id}/delete":                askDelete,
		"POST /console/targets/{id}/delete":               deleteTarget,
		"POST /console/targets/{id}/keys":                 addKey,
		"POST /console/targets/{id}/keys/{key}/{command}": changeKey,
		"GET /console/executions":                         listExecutions,
		"GET /console/executions/new":                     pickCondition,
		"GET /console/executions/edit":                    editExecution,
		"POST /console/executions/edit":                   setExecution,
		"GET /console/deliveries":                         listDeliveries,
		"POST /console/deliveries/redeliver":              redeliverAll,
		"GET /console/deliveries/{id}":                    showDelivery,
		"POST /console/deliveries/{id}/redeliver":         redeliver,
		"GET /console/explain":                            explain,
		"GET /console/try":                                try,
		"POST /console/try/event":                         sendEvent,
		"POST /console/try/hook":                          invokeHook,
	}
}

// headers are those of every answer.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		ctx, cancel := context.WithTimeout(r.Context(), pageTime)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// origin is where this request's instance is to be found, for browsers and for calls to the API alike. A host that is not ours is nobody's.
func (c *Console) origin(r *http.Request) string {
	if c.Known != nil && c.Known(r.Host) {
		scheme, _, _ := strings.Cut(c.URL, "://")
		return scheme + "://" + strings.ToLower(r.Host)
	}
	return c.URL
}

// instance is that of the request's origin.
func (c *Console) instance(r *http.Request) action.InstanceID {
	_, host, _ := strings.Cut(c.origin(r), "://")
	return c.Instance(host)
}
