package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// event is one to be sent; its id comes back as the webhook-id.
type event struct{ id, kind string }

// text is the event as the API takes it, with a payload of about so many bytes.
func (e event) text(size int) string {
	return fmt.Sprintf(`{"id":%q,"event_type":%q,"aggregateID":"a1","event_payload":%s}`, e.id, e.kind, payload(size))
}

// payload is a JSON object of about so many bytes.
func payload(size int) string {
	return `{"text":"` + strings.Repeat("x", max(size-11, 0)) + `"}`
}

// newEvents are events with ids that no run had before, of the type that kind says for each.
func newEvents(total int, kind func(n int) string) []event {
	stamp := time.Now().UnixNano()
	events := make([]event, total)
	for n := range events {
		events[n] = event{id: fmt.Sprintf("bench-%d-%d", stamp, n), kind: kind(n)}
	}
	return events
}

func always(kind string) func(int) string { return func(int) string { return kind } }

// mostAtOnce is how many sends may be under way: past that the sender falls behind, and its times show it.
const mostAtOnce = 4096

// paced sends at a fixed rate, whatever becomes of what was sent before, and says when each was to be sent: a system that falls behind
// shows it where times are counted from there.
func paced(ctx context.Context, total, rate int, send func(ctx context.Context, n int) error) ([]time.Time, error) {
	return pacedEvery(ctx, total, time.Second/time.Duration(rate), send)
}

// pacedEvery sends one each so often.
func pacedEvery(ctx context.Context, total int, every time.Duration, send func(ctx context.Context, n int) error) ([]time.Time, error) {
	planned := make([]time.Time, total)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(mostAtOnce)
	start := time.Now().Add(10 * time.Millisecond)
	for n := range total {
		planned[n] = start.Add(time.Duration(n) * every)
		timer := time.NewTimer(time.Until(planned[n]))
		select {
		case <-timer.C:
		case <-groupCtx.Done():
			timer.Stop()
			if err := group.Wait(); err != nil {
				return nil, err
			}
			return nil, ctx.Err()
		}
		group.Go(func() error { return send(groupCtx, n) })
	}
	return planned, group.Wait()
}

// count is how many there are of a rate in a time, one at least.
func count(rate int, d time.Duration) int { return max(int(d.Seconds()*float64(rate)), 1) }

// latencies are the times from planned to arrived.
func latencies(planned, arrived []time.Time) []time.Duration {
	took := make([]time.Duration, len(planned))
	for n := range planned {
		took[n] = arrived[n].Sub(planned[n])
	}
	return took
}

// latency is how long each event took, from when it was to be sent to its arrival.
func (b *bench) latency(ctx context.Context, kind string, rate int, d time.Duration) ([]time.Duration, error) {
	events := newEvents(count(rate, d), always(kind))
	planned, err := paced(ctx, len(events), rate, func(ctx context.Context, n int) error {
		return b.client.publish(ctx, b.plan.payload, events[n])
	})
	if err != nil {
		return nil, err
	}
	arrived, err := b.receiver.wait(ctx, events)
	if err != nil {
		return nil, err
	}
	return latencies(planned, arrived), nil
}

// throughput sends as fast as events are taken: how many a second, from the first publish to the last arrival.
func (b *bench) throughput(ctx context.Context, kind func(n int) string) (float64, error) {
	if err := b.await(ctx); err != nil {
		return 0, err
	}
	events, start := newEvents(b.plan.events, kind), time.Now()
	if err := b.send(ctx, events); err != nil {
		return 0, err
	}
	arrived, err := b.receiver.wait(ctx, events)
	if err != nil {
		return 0, err
	}
	last := start
	for _, at := range arrived {
		if at.After(last) {
			last = at
		}
	}
	rate := float64(len(events)) / last.Sub(start).Seconds()
	return rate, b.judge(ctx, rate)
}

// send sends events in batches as fast as they are taken.
func (b *bench) send(ctx context.Context, events []event) error {
	batches := make(chan []event)
	group, groupCtx := errgroup.WithContext(ctx)
	for range b.plan.senders {
		group.Go(func() error {
			for some := range batches {
				if err := b.client.publish(groupCtx, b.plan.payload, some...); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(batches)
		for some := range slices.Chunk(events, b.plan.batch) {
			select {
			case batches <- some:
			case <-groupCtx.Done():
				return nil
			}
		}
		return nil
	})
	return group.Wait()
}

// sleep waits for a time, or until ctx ends: then it gives its error.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
