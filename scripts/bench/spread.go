package main

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// spreadBar: spread over many targets, at most a fifth of the deliveries a second is lost.
const spreadBar = 0.8

func spreadKind(n int) string { return fmt.Sprintf("bench.spread.t%04d", n) }

// measureSpread sends the same stream to one target and to many, each with an event type and an execution of its own. Which comes first
// alternates.
func (b *bench) measureSpread(ctx context.Context, round int) error {
	if round == 0 {
		if err := b.makeSpread(ctx); err != nil {
			return err
		}
	}
	one, many := always(happened), func(n int) string { return spreadKind(n % b.plan.targets) }
	order := []func(int) string{one, many}
	if round%2 == 1 {
		order[0], order[1] = many, one
	}
	rates := make([]float64, 2)
	for i, kind := range order {
		rate, err := b.throughput(ctx, kind)
		if err != nil {
			return err
		}
		rates[(i+round)%2] = rate
	}
	b.report.add("events a second to one target", "/s", rates[0])
	b.report.add(fmt.Sprintf("events a second to %d targets", b.plan.targets), "/s", rates[1])
	b.report.addAgainst("a second: spread / one target", "x", rates[1]/rates[0], bar{limit: spreadBar})
	return nil
}

// makeSpread makes the targets, and sends each of them an event: what is measured is not how they are met for the first time.
func (b *bench) makeSpread(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(b.plan.senders)
	for n := range b.plan.targets {
		group.Go(func() error {
			_, err := b.client.route(groupCtx, spreadKind(n), b.receiver.url(fmt.Sprintf("/spread/%d", n)), goodTimeout)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := b.client.seen(ctx); err != nil {
		return err
	}
	first := newEvents(b.plan.targets, spreadKind)
	for from := 0; from < len(first); from += b.plan.batch {
		if err := b.client.publish(ctx, b.plan.payload, first[from:min(from+b.plan.batch, len(first))]...); err != nil {
			return fmt.Errorf("first events: %w", err)
		}
	}
	_, err := b.receiver.wait(ctx, first)
	return err
}
