package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/shared/signature"
)

const (
	// bareInstance holds the documents of the bare loop: out of the way of Callout's, in the same indexes.
	bareInstance = "bench"
	// bareTime bounds the measurement of how much of something bare goes through a second.
	bareTime = 10 * time.Second
)

// bare does by hand what Callout does for an event, and nothing else.
type bare struct {
	plan     plan
	ground   *ground // nil where only POSTs are made
	receiver *receiver
	http     *http.Client
	key      string
}

func newBare(p plan, g *ground, r *receiver, key string) *bare {
	return &bare{plan: p, ground: g, receiver: r, key: key, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 30 * time.Second}}
}

// post sends a signed body of the size of an event to the receiver: what no webhook system can be faster than.
func (b *bare) post(ctx context.Context, e event) error {
	text := body(e.id, b.plan.payload)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.receiver.url("/bare"), bytes.NewReader(text))
	if err != nil {
		return err
	}
	signature.Sign(request.Header, []string{b.key}, e.id, time.Now(), text)
	response, err := b.http.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// loop is publish, commit, commit, POST: each of the first three is on the disk before the next one begins.
func (b *bare) loop(ctx context.Context, e event) error {
	now := time.Now()
	if err := b.ground.publish(ctx, body(e.id, b.plan.payload)); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := b.ground.commit(ctx, eventDocument(b.ground.database, bareInstance, b.plan.payload, now)); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := b.ground.commit(ctx, deliveryDocument(b.ground.database, bareInstance, "bench", now)); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return b.post(ctx, e)
}

// latency is how long each took to arrive, at the rate at which events are sent.
func (b *bare) latency(ctx context.Context, do func(context.Context, event) error) ([]time.Duration, error) {
	events := newEvents(count(b.plan.rate, b.plan.latencyTime), always("bench.bare"))
	planned, err := paced(ctx, len(events), b.plan.rate, func(ctx context.Context, n int) error { return do(ctx, events[n]) })
	if err != nil {
		return nil, err
	}
	arrived, err := b.receiver.wait(ctx, events)
	if err != nil {
		return nil, err
	}
	return latencies(planned, arrived), nil
}

// rate is how many a second there are with as many at once as there are senders.
func (b *bare) rate(ctx context.Context, do func(context.Context, event) error) (float64, error) {
	events := newEvents(b.plan.events, always("bench.bare"))
	done := make([]int, b.plan.senders)
	group, groupCtx := errgroup.WithContext(ctx)
	start := time.Now()
	for s := range b.plan.senders {
		group.Go(func() error {
			for n := s; n < len(events) && time.Since(start) < bareTime; n += b.plan.senders {
				if err := do(groupCtx, events[n]); err != nil {
					return err
				}
				done[s]++
			}
			return nil
		})
	}
	err := group.Wait()
	took := time.Since(start)
	total := 0
	for _, n := range done {
		total += n
	}
	b.receiver.take(events)
	return float64(total) / took.Seconds(), err
}
