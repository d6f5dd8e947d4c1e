// Package sweep is the function that is woken by ticks: it brings deliveries that are due back to the queue. Two of it at once do no
// harm, because each delivery is claimed by a conditional update.
package sweep

import (
	"context"
	"log/slog"
	"sync"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/queue"
)

const (
	// window is how long one tick keeps looking while something comes due: the scheduler's next tick comes after a minute.
	window = time.Minute
	// pace is how often it looks.
	pace = time.Second
	// linger is how long it goes on after a tick though nothing is due: whoever records a retry asks for a sweep once a second at most,
	// and leaves it to the last one it asked for.
	linger = 2 * pace
	// batch is how many deliveries are read at once, claims how many are claimed side by side.
	batch  = 200
	claims = 16
)

// Sweeper handles the ticks topic.
type Sweeper struct {
	Ledger *ledger.Ledger
	Queue  *queue.Queue
	Shards int
	// Stopping ends a sweep that only waits; what comes due is for the next process then. Nil never does.
	Stopping <-chan struct{}
	Log      *slog.Logger

	mu      sync.Mutex
	running bool
	ticked  time.Time
}

// Handle takes one tick. While a sweep runs in this process, another tick only makes it run longer.
func (s *Sweeper) Handle(ctx context.Context, _ cloudevents.Event) error {
	if !s.start() {
		return nil
	}
	for {
		wait, err := s.look(ctx)
		if err != nil {
			s.stop()
			return err
		}
		if wait > pace && s.finish() {
			return nil
		}
		timer := time.NewTimer(min(wait, pace))
		select {
		case <-timer.C:
		case <-s.Stopping:
			timer.Stop()
			s.stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			s.stop()
			return ctx.Err()
		}
	}
}

// look brings back what is due and says how long it is until more is.
func (s *Sweeper) look(ctx context.Context) (time.Duration, error) {
	if err := s.sweep(ctx); err != nil {
		return 0, err
	}
	return s.next(ctx)
}

func (s *Sweeper) start() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticked = time.Now()
	if s.running {
		return false
	}
	s.running = true
	return true
}

// finish ends the sweep unless a tick came just now.
func (s *Sweeper) finish() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.ticked) >= linger {
		s.running = false
	}
	return !s.running
}

func (s *Sweeper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = false
}

// sweep brings back all that is due now.
func (s *Sweeper) sweep(ctx context.Context) error {
	for shard := range max(s.Shards, 1) {
		for {
			due, err := s.Ledger.Due(ctx, ledger.Lane(shard), time.Now(), batch)
			if err != nil {
				return err
			}
			if err := s.release(ctx, due); err != nil {
				return err
			}
			if len(due) < batch {
				break
			}
		}
	}
	return nil
}

// release claims deliveries and publishes those that it got. A claim whose message is not published is due again in ledger.ClaimTime.
func (s *Sweeper) release(ctx context.Context, due []ledger.Version) error {
	messages := make([]queue.Message, len(due))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(claims)
	for i, v := range due {
		group.Go(func() error {
			err := s.Ledger.Claim(groupCtx, v, time.Now())
			if errs.Is(err, errs.FailedPrecondition) || errs.Is(err, errs.NotFound) {
				return nil // somebody else was faster
			}
			if err != nil {
				return err
			}
			messages[i], err = queue.EncodeDelivery(queue.Delivery{Instance: v.Instance, ID: v.ID, Tried: v.Tried()})
			return err
		})
	}
	err := group.Wait()
	var claimed []queue.Message
	for _, m := range messages {
		if m.Data != nil {
			claimed = append(claimed, m)
		}
	}
	if len(claimed) > 0 {
		if publishErr := s.Queue.Publish(ctx, queue.DeliveriesSlow, claimed...); publishErr != nil {
			return publishErr
		}
		s.Log.DebugContext(ctx, "deliveries released", "count", len(claimed))
	}
	return err
}

// next is how long it is until the next delivery is due, more than pace if none is within the window of the last tick.
func (s *Sweeper) next(ctx context.Context) (time.Duration, error) {
	s.mu.Lock()
	until := s.ticked.Add(window)
	s.mu.Unlock()
	const never = 2 * pace
	now := time.Now()
	next := now.Add(never)
	for shard := range max(s.Shards, 1) {
		due, err := s.Ledger.Due(ctx, ledger.Lane(shard), until, 1)
		if err != nil {
			return 0, err
		}
		if len(due) == 0 {
			continue
		}
		// Something is due within the window: look again in a moment, or earlier if it is due earlier.
		next = minTime(next, minTime(due[0].Due, now.Add(pace)))
	}
	return max(next.Sub(now), 0), nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
