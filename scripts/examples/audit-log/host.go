package main

import (
	"crypto/rand"
	"encoding/json"
	"net/http"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/hook"
)

const (
	addUser = "/acme.users.v1.UserService/AddUser"
	login   = "/acme.users.v1.UserService/Login"
)

// newHost is an API of users, behind the middleware. It keeps none of them: only what it publishes matters here.
func newHost(callout *hook.Installation) http.Handler {
	publishes := func(types ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var user struct {
				UserName string `json:"userName"`
			}
			if err := json.NewDecoder(r.Body).Decode(&user); err != nil || user.UserName == "" {
				http.Error(w, "userName is required", http.StatusBadRequest)
				return
			}
			payload, _ := json.Marshal(user) // texts always can be
			var events []*calloutv1.Event
			for _, t := range types {
				events = append(events, &calloutv1.Event{
					Id: rand.Text(), EventType: t, AggregateType: "user", AggregateId: user.UserName, EventPayloadJson: string(payload),
				})
			}
			// This waits until the events are on the queue, and not for who gets them.
			if _, err := callout.Publish(r.Context(), events...); err != nil {
				http.Error(w, "try again", http.StatusServiceUnavailable)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+addUser, publishes("user.human.added", "user.created"))
	mux.Handle("POST "+login, publishes("login.succeeded"))
	return (&hook.Host{Engine: callout}).Handler(mux)
}
