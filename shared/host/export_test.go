package host

import (
	"log/slog"
	"net/http"
)

// NewPushHandler lets tests choose the guard.
func NewPushHandler(event EventFunc, guard PushGuard, log *slog.Logger) http.Handler {
	return &pushHandler{event: event, guard: guard, log: log}
}

// AtMost lets tests see the bound of Function.Concurrency.
func AtMost(n int, event EventFunc) EventFunc { return atMost(n, event) }
