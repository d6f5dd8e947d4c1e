package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	maxBody = 1 << 20
	// maxQuery bounds what of an authorization request is kept until its user has signed in.
	maxQuery = 8 << 10
	// requestTimeout is for reading a request and for answering it.
	requestTimeout = 10 * time.Second
)

var errTooLarge = errors.New("the body is over 1 MiB")

func (i *Issuer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+discoveryPath, anyOrigin(i.discovery))
	mux.Handle("GET "+keysPath, anyOrigin(i.keys))
	mux.Handle("POST "+tokenPath, anyOrigin(i.token))
	for _, path := range []string{discoveryPath, keysPath, tokenPath} {
		mux.HandleFunc("OPTIONS "+path, preflight)
	}
	mux.HandleFunc("POST "+introspectPath, i.introspect)
	mux.HandleFunc("POST "+revokePath, i.revoke)
	mux.HandleFunc("GET "+userinfoPath, i.userinfo)
	mux.HandleFunc("POST "+userinfoPath, i.userinfo)
	mux.HandleFunc("GET "+authorizePath, i.authorize)
	mux.HandleFunc("POST "+authorizePath, i.authorize)
	mux.HandleFunc("GET "+endSessionPath, i.endSession)
	mux.HandleFunc("POST "+endSessionPath, i.endSession)
	mux.HandleFunc("GET "+signInPath, i.showSignIn)
	mux.Handle("POST "+signInPath, http.NewCrossOriginProtection().Handler(http.HandlerFunc(i.signIn)))
	mux.HandleFunc("GET "+stylePath, style)
	mux.HandleFunc("GET "+signedOutPath, i.signedOut)
	return i.bound(mux)
}

// bound gives every request its limits and every answer the headers that all share.
func (i *Issuer) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(op.ContextWithIssuer(r.Context(), i.config.URL), requestTimeout)
		defer cancel()
		// A writer without deadlines (a test's recorder) has nothing to wait for either.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTimeout))
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache") // RFC 6749 section 5.1
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'")
		next.ServeHTTP(w, r)
	})
}

// anyOrigin lets pages of other origins read the answer, without their cookies.
func anyOrigin(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		next(w, r)
	})
}

func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// parseBody reads the parameters of a POST to an OAuth endpoint: in the body alone, as a form, each at most once (RFC 6749 section 3.2).
func parseBody(r *http.Request) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/x-www-form-urlencoded" {
		return oidc.ErrInvalidRequest().WithDescription("Content-Type: must be application/x-www-form-urlencoded")
	}
	if r.URL.RawQuery != "" {
		return oidc.ErrInvalidRequest().WithDescription("parameters belong in the body, not in the URL")
	}
	return parseForm(r)
}

// parseForm reads the parameters of a request, each at most once.
func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return errTooLarge
		}
		return oidc.ErrInvalidRequest().WithDescription("the parameters are not form-encoded")
	}
	for name, values := range r.Form {
		if len(values) > 1 {
			if !isToken(name, 1) || len(name) >= minSecret {
				name = "a parameter" // whatever it is, it is not for the log
			}
			return oidc.ErrInvalidRequest().WithDescription("%s: occurs more than once", name)
		}
	}
	return nil
}

// fail answers an error in the shape of RFC 6749 section 5.2. What is not meant for the client is logged, not sent.
func (i *Issuer) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errTooLarge) {
		err = oidc.ErrInvalidRequest().WithDescription("%s", err)
		i.refuse(w, r, http.StatusRequestEntityTooLarge, err)
		return
	}
	e, ok := errors.AsType[*oidc.Error](err)
	switch {
	case !ok || e.ErrorType == oidc.ServerError:
		i.config.Log.ErrorContext(r.Context(), "issuer: internal error", slog.String("path", r.URL.Path), slog.Any("error", err))
		writeJSON(w, http.StatusInternalServerError, map[string]string{"error": string(oidc.ServerError)})
	case e.ErrorType == oidc.InvalidClient:
		w.Header().Set("WWW-Authenticate", `Basic realm="callout", charset="UTF-8"`)
		i.refuse(w, r, http.StatusUnauthorized, e)
	default:
		i.refuse(w, r, http.StatusBadRequest, e)
	}
}

func (i *Issuer) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	e, _ := errors.AsType[*oidc.Error](err)
	i.config.Log.InfoContext(r.Context(), "issuer: refused", slog.String("path", r.URL.Path), slog.Int("status", status),
		slog.String("error", string(e.ErrorType)), slog.String("description", printable(e.Description)))
	body := map[string]string{"error": string(e.ErrorType)}
	if e.Description != "" {
		body["error_description"] = printable(e.Description)
	}
	writeJSON(w, status, body)
}

// printable keeps what RFC 6749 section 5.2 allows in a description, 200 characters at most.
func printable(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, s)
	return s[:min(len(s), 200)]
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the client has gone
}
