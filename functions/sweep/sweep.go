// Package sweep is the function that is woken by ticks: it brings deliveries that are due back to the queue, turns the valves of targets in
// trouble, publishes what the configuration's outbox still holds, rotates web keys, and gives up what has no time left. Two of it at once
// do no harm: a delivery is taken by a conditional update, an event that is published twice is known by its id, and keys are rotated in a
// transaction.
package sweep

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/routing"
	"github.com/callout-dev/callout/shared/telemetry"
)

const (
	// window is how long one tick keeps looking while something comes due: the scheduler's next tick comes after a minute.
	window = time.Minute
	// pace is how often it looks.
	pace = ledger.Pace
	// linger is how long it goes on after a tick though nothing is due: whoever records something that is due soon asks for a sweep once a
	// second at most, and leaves it to the last one it asked for.
	linger = 2 * pace
	// batch is how many deliveries are read and written at once.
	batch = 200
)

// Routes finds targets, with their valves.
type Routes interface {
	Destination(ctx context.Context, instance action.InstanceID, id action.TargetID) (*routing.Destination, error)
}

// Outbox keeps events of changes of the configuration until they are published. PublishDue publishes what a process that stopped has left,
// and says whether more comes due until then.
type Outbox interface {
	PublishDue(ctx context.Context, until time.Time) (more bool, err error)
}

// Removals finishes those of targets, where a process that stopped has not.
type Removals interface {
	FinishRemovals(ctx context.Context) error
}

// WebKeys rotates those that have signed for long enough.
type WebKeys interface {
	RotateOldWebKeys(ctx context.Context) error
}

// Sweeper handles the ticks topic.
type Sweeper struct {
	Routes   Routes
	Ledger   *ledger.Ledger
	Queue    *queue.Queue
	Outbox   Outbox
	Removals Removals
	WebKeys  WebKeys
	// Stopping ends a sweep that only waits; what comes due is for the next process then. Nil never does.
	Stopping <-chan struct{}
	Metrics  *telemetry.Metrics
	Log      *slog.Logger

	mu       sync.Mutex
	running  bool
	ticked   time.Time
	surveyed time.Time
}

// Handle takes one tick. While a sweep runs in this process, another tick only makes it run longer.
func (s *Sweeper) Handle(ctx context.Context, _ queue.Message) error {
	if !s.start() {
		return nil
	}
	for {
		began := time.Now()
		due, err := s.look(ctx)
		if err != nil {
			s.stop()
			return err
		}
		if !due && s.finish() {
			return nil
		}
		timer := time.NewTimer(pace - time.Since(began))
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

// look does all that is due, and says whether more comes due within the window. Lanes of shards and valves are looked at side by side: what
// one target holds must not keep the retries of the others waiting.
func (s *Sweeper) look(ctx context.Context) (bool, error) {
	s.mu.Lock()
	until := s.ticked.Add(window)
	s.mu.Unlock()
	var shards, valves, changes bool
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		shards, err = s.shards(ctx, until)
		return err
	})
	group.Go(func() (err error) {
		if err := s.survey(ctx); err != nil {
			return err
		}
		valves, err = s.valves(ctx, until)
		return err
	})
	group.Go(func() (err error) {
		if changes, err = s.Outbox.PublishDue(ctx, until); err != nil { // no delivery waits for it: the next look tries again
			s.Log.WarnContext(ctx, "events of changes not published yet", logging.Err, err)
		}
		return nil
	})
	err := group.Wait()
	return shards || valves || changes, err
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
