package host_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/queue"
)

func TestConcurrency(t *testing.T) {
	const bound, pushes = 3, 10
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		most := int32(0)
		next, done := make(chan struct{}), make(chan error, pushes)
		event := host.AtMost(bound, func(context.Context, queue.Message) error {
			running.Add(1)
			<-next
			running.Add(-1)
			return errOurs
		})
		for range pushes {
			go func() { done <- event(t.Context(), queue.Message{}) }()
		}
		for range pushes {
			synctest.Wait()
			most = max(most, running.Load())
			next <- struct{}{}
			if err := <-done; !errors.Is(err, errOurs) {
				t.Errorf("got %v", err)
			}
		}
		if most != bound {
			t.Errorf("at most %d at once, want %d", most, bound)
		}
	})
}

// A push that ends while it waits comes back, and has not run; one that panics gives its place back.
func TestConcurrencyOfWhatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		event := host.AtMost(1, func(_ context.Context, m queue.Message) error {
			if m.ID == "panics" {
				panic(m.ID)
			}
			<-hold
			return nil
		})
		func() {
			defer func() { _ = recover() }()
			_ = event(t.Context(), queue.Message{ID: "panics"})
		}()
		first := make(chan error)
		go func() { first <- event(t.Context(), queue.Message{}) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := event(ctx, queue.Message{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(hold)
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}
