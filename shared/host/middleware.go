package host

import (
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	connectcors "connectrpc.com/cors"
	"github.com/rs/cors"
	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/shared/logging"
)

const headerRequestID = "X-Request-Id"

// withCORS answers preflights for any origin, without credentials, as browsers' gRPC-Web and Connect clients need.
func withCORS(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: []string{"*"},
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: append(connectcors.AllowedHeaders(), "Authorization", "Idempotency-Key"),
		ExposedHeaders: append(connectcors.ExposedHeaders(), headerRequestID, "Retry-After"),
		MaxAge:         7200,
	}).Handler(next)
}

// observe gives every request an id, one log line and a net under panics.
func observe(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := strings.ToLower(rand.Text())
		r = r.WithContext(logging.With(r.Context(), slog.String(logging.Request, id)))
		w.Header().Set(headerRequestID, id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		seen := &statusWriter{ResponseWriter: w}
		boundBody(w, r)
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				log.ErrorContext(r.Context(), "panic", "panic", p, "stack", string(debug.Stack()))
				if seen.status == 0 {
					Refuse(seen, http.StatusInternalServerError, codes.Internal, "An internal error occurred")
					p = nil
				}
			}
			status := seen.status
			if status == 0 && p == nil {
				status = http.StatusOK // what net/http answers for a handler that says nothing
			}
			log.LogAttrs(r.Context(), levelOf(status), "request",
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", status),
				slog.Duration(logging.Took, time.Since(start)))
			if p != nil {
				panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// readTime is how long a body may take to arrive.
const readTime = 60 * time.Second

// boundBody limits how long a body may take to arrive. http.Server.ReadTimeout would go on counting after that, and end handlers that
// work for longer.
func boundBody(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	controller := http.NewResponseController(w)
	if controller.SetReadDeadline(time.Now().Add(readTime)) == nil {
		r.Body = &timedBody{r.Body, controller}
	}
}

type timedBody struct {
	io.ReadCloser
	controller *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.controller.SetReadDeadline(time.Time{})
	}
	return n, err
}

// levelOf keeps the log quiet while all is well: one line a request is there for those who ask for debugging.
func levelOf(status int) slog.Level {
	if status >= http.StatusInternalServerError {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// statusWriter remembers the status. Unwrap lets http.ResponseController reach the flusher that gRPC needs.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Flush sends what is buffered.
func (w *statusWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
