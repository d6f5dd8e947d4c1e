package feed

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"

	"github.com/callout-dev/callout/emulator/memnet"
)

// server answers POST /v1/events as the API does: an event whose type begins with "bad" is refused by its index.
type server struct {
	// first answer requests in the place of the API, one after the other, for as long as there are any.
	first []func(w http.ResponseWriter)
	// anonymous: refusals do not say which event they are about.
	anonymous bool

	requests []request
	accepted []string // ids
	sent     int      // events, refused ones too
}

type request struct {
	contentType string
	bytes       int
	events      int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var events []json.RawMessage
	list := struct{ Events *[]json.RawMessage }{&events}
	contentType := r.Header.Get("Content-Type")
	if contentType == "application/json" {
		err = json.Unmarshal(body, &list)
	} else {
		err = json.Unmarshal(body, &events)
	}
	s.requests = append(s.requests, request{contentType, len(body), len(events)})
	s.sent += len(events)
	if len(s.first) > 0 {
		answer := s.first[0]
		s.first = s.first[1:]
		answer(w)
		return
	}
	if err != nil || len(events) == 0 || len(events) > MaxEvents || len(body) > MaxBytes {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("%d events in %d bytes: %v", len(events), len(body), err))
		return
	}
	var ids []string
	for i, text := range events {
		var e struct {
			ID, Type string
			Event    string `json:"event_type"`
		}
		if err := json.Unmarshal(text, &e); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		if strings.HasPrefix(e.Type+e.Event, "bad") {
			message := fmt.Sprintf("events[%d]: %s is bad", i, e.Type+e.Event)
			if s.anonymous {
				message = "something is bad"
			}
			refuse(w, http.StatusBadRequest, message)
			return
		}
		ids = append(ids, e.ID)
	}
	s.accepted = append(s.accepted, ids...)
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string][]string{"ids": ids})
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// start serves and gives a client for it.
func (s *server) start(t *testing.T) *Client {
	listener := memnet.Listen("api")
	web := &http.Server{Handler: s, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = web.Serve(listener) // always http.ErrServerClosed
	}()
	transport := &http.Transport{DialContext: listener.DialContext}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = web.Close()
		<-done
	})
	return &Client{HTTP: &http.Client{Transport: transport}, API: "http://api"}
}
