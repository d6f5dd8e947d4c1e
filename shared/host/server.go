package host

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/shared/env"
)

// Limits of the server. Answers have no limit of their own: each handler's work does.
const (
	readHeaderTime = 10 * time.Second
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	maxStreams     = 1024
	// DrainTime is how long requests under way may take after a signal to stop.
	DrainTime = 10 * time.Second
)

// Routes splits one origin between functions, and adds the health checks, and the metrics where Prometheus may ask for them. The handlers are made from c.
func Routes(c *env.Clients, functions []Function) (http.Handler, error) {
	mux := http.NewServeMux()
	for _, f := range functions {
		handler, err := f.Handler(c)
		if err != nil {
			return nil, err
		}
		for _, path := range f.Paths {
			mux.Handle(path, handler)
		}
	}
	if handler := c.Metrics.Handler(); handler != nil {
		mux.Handle("GET /metrics", scraped(handler, c.Metrics.Local()))
	}
	mux.HandleFunc("GET /health", healthy)
	mux.HandleFunc("GET /healthz", healthy)
	mux.HandleFunc("/", notFound)
	return observe(c.Log, cleanPaths(mux)), nil
}

// cleanPaths refuses paths that the mux would redirect: double slashes and dot segments name nothing here.
func cleanPaths(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cleaned := path.Clean("/" + r.URL.Path)
		if r.URL.Path != cleaned && r.URL.Path != strings.TrimSuffix(cleaned, "/")+"/" {
			notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"status":"ok"}` + "\n"))
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	Refuse(w, http.StatusNotFound, codes.NotFound, "Not Found")
}

// Refuse answers in the shape that REST callers know (actions-v2.md section 3.2).
func Refuse(w http.ResponseWriter, status int, code codes.Code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct {
		Code    codes.Code `json:"code"`
		Message string     `json:"message"`
	}{code, message})
}

// NewServer makes a server for HTTP/1.1 and h2c.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: readHeaderTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Serve serves until ctx ends, then lets requests under way finish, for DrainTime at the longest.
func Serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
