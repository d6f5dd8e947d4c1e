package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestSparing: one of four is refused once and asks for time; how late its retry comes counts from then.
func TestSparing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sparing{first: map[string]time.Time{}}
		attempt := func(id int) (status int, after string) {
			w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
			r.Header.Set("webhook-id", fmt.Sprint(id))
			s.ServeHTTP(w, r)
			return w.Code, w.Header().Get("Retry-After")
		}
		for id := range 8 {
			status, after := attempt(id)
			if refused := id%failEvery == 0; refused != (status == http.StatusServiceUnavailable) || refused != (after == "6") {
				t.Errorf("event %d: %d, Retry-After %q", id, status, after)
			}
		}
		go func() {
			for n, id := range []int{0, 4} {
				time.Sleep(spare + time.Duration(n)*time.Second)
				attempt(id)
			}
		}()
		late, err := s.retries(t.Context())
		if want := []time.Duration{0, spare + time.Second}; err != nil || !slices.Equal(late, want) {
			t.Errorf("late by %v, want %v: %v", late, want, err)
		}
	})
}

// TestRetriesThatDoNotCome are waited for for a time.
func TestRetriesThatDoNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start := &sparing{first: map[string]time.Time{"e1": time.Now()}}, time.Now()
		if _, err := s.retries(t.Context()); err == nil || time.Since(start) != waitTime {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
