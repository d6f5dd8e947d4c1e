package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestPaced: one that takes long delays no other, and all are planned at the rate.
func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make([]time.Time, 5)
		planned, err := paced(t.Context(), 5, 10, func(_ context.Context, n int) error {
			sent[n] = time.Now()
			time.Sleep(time.Second)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(planned, sent) || planned[4].Sub(planned[0]) != 400*time.Millisecond {
			t.Errorf("planned %v\nsent    %v", planned, sent)
		}
	})
}

func TestPacedEnds(t *testing.T) {
	failure := errors.New("refused")
	tests := []struct {
		name string
		over bool // the context
		send error
		want error
	}{
		{"with the first failure", false, failure, failure},
		{"with its context", true, nil, context.Canceled},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			if tt.over {
				end()
			}
			start := time.Now()
			_, err := paced(ctx, 1000, 1, func(context.Context, int) error { return tt.send })
			if !errors.Is(err, tt.want) || time.Since(start) > 2*time.Second {
				t.Errorf("%s: %v after %v", tt.name, err, time.Since(start))
			}
		})
	}
}

func TestEvents(t *testing.T) {
	events := newEvents(3, func(n int) string { return spreadKind(n % 2) })
	if events[0].kind != "bench.spread.t0000" || events[1].kind != "bench.spread.t0001" || events[2].kind != events[0].kind || events[0].id == events[2].id {
		t.Errorf("got %v", events)
	}
	if n := len(payload(600)); n != 600 {
		t.Errorf("a payload of %d bytes, want 600", n)
	}
}

func TestCount(t *testing.T) {
	for _, tt := range []struct {
		rate int
		d    time.Duration
		want int
	}{{100, 10 * time.Second, 1000}, {50, 200 * time.Millisecond, 10}, {1, time.Millisecond, 1}} {
		if got := count(tt.rate, tt.d); got != tt.want {
			t.Errorf("%d/s for %v: %d, want %d", tt.rate, tt.d, got, tt.want)
		}
	}
}
