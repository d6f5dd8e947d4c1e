package main

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/hook"
)

// host is the login system: its users, by name, and their ids.
type host struct {
	callout *hook.Installation
	mu      sync.Mutex
	users   map[string]string
}

func newHost(callout *hook.Installation) http.Handler {
	h := &host{callout: callout, users: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /users", h.add)
	return mux
}

// add adds a user and publishes that. Who is told to try again may: it is the same user then, and the same event.
func (h *host) add(w http.ResponseWriter, r *http.Request) {
	var user struct {
		UserName string `json:"userName"`
	}
	if err := json.NewDecoder(r.Body).Decode(&user); err != nil || user.UserName == "" {
		http.Error(w, "userName is required", http.StatusBadRequest)
		return
	}
	id := h.idOf(user.UserName)
	payload, _ := json.Marshal(user) // texts always can be
	_, err := h.callout.Publish(r.Context(), &calloutv1.Event{
		Id: id + "-added", EventType: "user.human.added", AggregateId: id, EventPayloadJson: string(payload),
	})
	if err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (h *host) idOf(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users[name] == "" {
		h.users[name] = rand.Text()
	}
	return h.users[name]
}
