package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// receiver is the target: it notes when each event first arrived.
type receiver struct {
	listener net.Listener
	server   *http.Server

	mu      sync.Mutex
	arrived map[string]time.Time
	changed chan struct{}
}

func newReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{listener: l, arrived: map[string]time.Time{}, changed: make(chan struct{}, 1)}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = r.server.Serve(l) }()
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() + "/" }

func (r *receiver) close() { _ = r.server.Close() }

func (r *receiver) ServeHTTP(_ http.ResponseWriter, request *http.Request) {
	_, _ = io.Copy(io.Discard, request.Body)
	now := time.Now()
	r.mu.Lock()
	if id := request.Header.Get("webhook-id"); r.arrived[id].IsZero() {
		r.arrived[id] = now
	}
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// wait returns when all ids have arrived: when each of them did.
func (r *receiver) wait(ctx context.Context, ids []string) (map[string]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		if missing := r.missing(ids); missing == 0 {
			return r.take(ids), nil
		} else if ctx.Err() != nil {
			return nil, fmt.Errorf("%d of %d events did not arrive", missing, len(ids))
		}
		select {
		case <-r.changed:
		case <-ctx.Done():
		}
	}
}

func (r *receiver) missing(ids []string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.arrived) < len(ids) {
		return len(ids) - len(r.arrived)
	}
	missing := 0
	for _, id := range ids {
		if r.arrived[id].IsZero() {
			missing++
		}
	}
	return missing
}

// take forgets what arrived and gives the times of these ids.
func (r *receiver) take(ids []string) map[string]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	times := make(map[string]time.Time, len(ids))
	for _, id := range ids {
		times[id] = r.arrived[id]
	}
	clear(r.arrived)
	return times
}
