package main

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// site is a target that answers in a way of its own, and counts.
type site struct {
	answer answer
	stop   context.Context // when it is done, calls that still wait are let go
	end    context.CancelFunc

	mu    sync.Mutex
	calls int
	now   int // under way
	most  int // at once
}

// answer is how a site answers a call; gone is closed when the caller or the site has enough of it.
type answer func(w http.ResponseWriter, gone <-chan struct{})

func newSite(a answer) *site {
	s := &site{answer: a}
	s.stop, s.end = context.WithCancel(context.Background())
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.begin()
	defer s.finish()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stop, cancel)()
	s.answer(w, ctx.Done())
}

func (s *site) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.now++
	s.most = max(s.most, s.now)
}

func (s *site) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
}

// load is how many calls there were, how many are under way, and how many there were at once.
func (s *site) load() (calls, now, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.now, s.most
}

func atOnce(http.ResponseWriter, <-chan struct{}) {}

// never does not answer.
func never(w http.ResponseWriter, gone <-chan struct{}) {
	<-gone
	w.WriteHeader(http.StatusServiceUnavailable)
}

func fails(w http.ResponseWriter, _ <-chan struct{}) { w.WriteHeader(http.StatusInternalServerError) }

// drips begins to answer at once, and does not end.
func drips(w http.ResponseWriter, gone <-chan struct{}) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := w.Write([]byte{'.'}); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-ticker.C:
		case <-gone:
			panic(http.ErrAbortHandler) // an answer that just ended would be a good one
		}
	}
}

// takes answers after some time.
func takes(d time.Duration) answer {
	return func(_ http.ResponseWriter, gone <-chan struct{}) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-gone:
		}
	}
}
