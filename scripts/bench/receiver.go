package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// waitTime bounds the wait for events that were sent.
	waitTime = 2 * time.Minute
	// lookEvery is how often it is looked whether all are there. No time is measured with it.
	lookEvery = 20 * time.Millisecond
)

// receiver is all targets: it notes when each event first arrived, whatever the path.
type receiver struct {
	base   string // URL under which targets reach it
	server *http.Server

	mu      sync.Mutex
	events  int // that arrived until now
	arrived map[string]time.Time
	sites   map[string]http.Handler // by path; the other paths answer at once
}

func newReceiver(base string) *receiver {
	return &receiver{base: strings.TrimRight(base, "/"), arrived: map[string]time.Time{}, sites: map[string]http.Handler{}}
}

// listen serves at the address of a place.
func listen(at place) (*receiver, error) {
	l, err := net.Listen("tcp", at.listen)
	if err != nil {
		return nil, fmt.Errorf("-listen: %w", err)
	}
	if at.receiver == "" {
		at.receiver = "http://" + l.Addr().String()
	}
	r := newReceiver(at.receiver)
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

// url is the address of a path, which begins with a slash.
func (r *receiver) url(path string) string { return r.base + path }

func (r *receiver) close() { _ = r.server.Close() }

// serve lets a site answer its path from now on.
func (r *receiver) serve(path string, s http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sites[path] = s
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	_, _ = io.Copy(io.Discard, request.Body)
	now := time.Now()
	r.mu.Lock()
	if id := request.Header.Get("webhook-id"); r.arrived[id].IsZero() {
		r.arrived[id] = now
		r.events++
	}
	s := r.sites[request.URL.Path]
	r.mu.Unlock()
	if s != nil {
		s.ServeHTTP(w, request)
	}
}

// wait returns when all events have arrived: when each of them did, in their order.
func (r *receiver) wait(ctx context.Context, events []event) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		missing := r.missing(events)
		if missing == 0 {
			return r.take(events), nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d events did not arrive: %w", missing, len(events), context.Cause(ctx))
		}
	}
}

func (r *receiver) missing(events []event) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.arrived) < len(events) {
		return len(events) - len(r.arrived)
	}
	missing := 0
	for _, e := range events {
		if r.arrived[e.id].IsZero() {
			missing++
		}
	}
	return missing
}

// take gives the times of events, and forgets them.
func (r *receiver) take(events []event) []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	times := make([]time.Time, len(events))
	for i, e := range events {
		times[i] = r.arrived[e.id]
		delete(r.arrived, e.id)
	}
	return times
}

// total is how many different events have arrived since the beginning.
func (r *receiver) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events
}
