package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// TestSites: what a caller with 5 s sees of each, and how long it takes.
func TestSites(t *testing.T) {
	tests := []struct {
		name   string
		answer answer
		gives  time.Duration // how long the caller waits
		took   time.Duration
		status int
		aborts bool
	}{
		{"at once", atOnce, 5 * time.Second, 0, http.StatusOK, false},
		{"never", never, 5 * time.Second, 5 * time.Second, http.StatusServiceUnavailable, false},
		{"fails", fails, 5 * time.Second, 0, http.StatusInternalServerError, false},
		{"drips", drips, 5 * time.Second, 5 * time.Second, http.StatusOK, true},
		{"takes 900 ms", takes(900 * time.Millisecond), 5 * time.Second, 900 * time.Millisecond, http.StatusOK, false},
		{"takes longer than it is given", takes(900 * time.Millisecond), time.Millisecond, time.Millisecond, http.StatusOK, false},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s, start := newSite(tt.answer), time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), tt.gives)
			defer cancel()
			status, aborted := visit(ctx, s)
			if took := time.Since(start); took != tt.took || status != tt.status || aborted != tt.aborts {
				t.Errorf("%s: %d after %v, aborted %t", tt.name, status, took, aborted)
			}
			if calls, now, most := s.load(); calls != 1 || now != 0 || most != 1 {
				t.Errorf("%s: %d calls, %d under way, %d at once", tt.name, calls, now, most)
			}
		})
	}
}

// TestSiteEnds: calls that still wait are let go, and how many there were at once is known.
func TestSiteEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(never)
		for range 3 {
			go visit(t.Context(), s)
		}
		synctest.Wait()
		if calls, now, most := s.load(); calls != 3 || now != 3 || most != 3 {
			t.Errorf("%d calls, %d under way, %d at once", calls, now, most)
		}
		s.end()
		synctest.Wait()
		if _, now, most := s.load(); now != 0 || most != 3 {
			t.Errorf("%d under way after the end, %d at once", now, most)
		}
	})
}

func visit(ctx context.Context, s *site) (status int, aborted bool) {
	w := httptest.NewRecorder()
	defer func() {
		status = w.Code
		if p := recover(); p != nil {
			aborted = p == http.ErrAbortHandler
		}
	}()
	s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil))
	return
}
