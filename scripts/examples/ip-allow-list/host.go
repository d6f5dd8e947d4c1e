package main

import (
	"crypto/rand"
	"encoding/json"
	"net/http"

	"github.com/callout-dev/callout/shared/hook"
)

// newHost is the login API: one method, behind the middleware.
func newHost(engine hook.Engine) http.Handler {
	host := &hook.Host{Engine: engine}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+createSession, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"sessionId": rand.Text()})
	})
	return host.Handler(mux)
}
