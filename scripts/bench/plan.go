package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// plan says what is measured.
type plan struct {
	rounds      int
	rate        int
	latencyTime time.Duration
	events      int
	batch       int
	senders     int
	payload     int
}

func (p plan) check() error {
	switch {
	case p.rounds < 1, p.rate < 1, p.latencyTime <= 0, p.events < 1, p.senders < 1:
		return errors.New("-rounds, -rate, -latency, -events and -senders must be at least 1")
	case p.batch < 1 || p.batch > 1000:
		return errors.New("-batch must be 1 to 1000")
	case p.payload < 1 || p.payload > 500<<10:
		return errors.New("-payload must be 1 to 512000")
	}
	return nil
}

// measure runs all rounds and prints medians and ranges.
func measure(ctx context.Context, out io.Writer, p plan, c *client, r *receiver) error {
	fmt.Fprintf(out, "%d rounds: %d events/s for %s, then %d events in batches of %d from %d senders; payload %d bytes\n",
		p.rounds, p.rate, p.latencyTime, p.events, p.batch, p.senders, p.payload)
	var bare50, bare99, bareRate, callout50, callout99, calloutRate, ratio50, ratioRate series
	for round := range p.rounds {
		bare, err := barePosts(ctx, p, c.key, r)
		if err != nil {
			return fmt.Errorf("bare posts: %w", err)
		}
		latencies, err := latency(ctx, p, c, r, round)
		if err != nil {
			return fmt.Errorf("latency: %w", err)
		}
		rate, err := throughput(ctx, p, c, r, round)
		if err != nil {
			return fmt.Errorf("throughput: %w", err)
		}
		b50, c50 := percentile(bare.latencies, 50), percentile(latencies, 50)
		bare50.add(b50)
		bare99.add(percentile(bare.latencies, 99))
		bareRate.add(bare.rate)
		callout50.add(c50)
		callout99.add(percentile(latencies, 99))
		calloutRate.add(rate)
		ratio50.add(c50 / b50)
		ratioRate.add(rate / bare.rate)
		fmt.Fprintf(out, "round %d done\n", round+1)
	}
	fmt.Fprintf(out, "\n%-44s %s\n", "", "median [lowest .. highest]")
	for _, row := range []struct {
		name, unit string
		values     series
	}{
		{"bare signed POST, p50", "ms", bare50},
		{"bare signed POST, p99", "ms", bare99},
		{"bare signed POSTs a second", "/s", bareRate},
		{"publish to delivery, p50", "ms", callout50},
		{"publish to delivery, p99", "ms", callout99},
		{"events a second, publish to delivery", "/s", calloutRate},
		{"p50: publish to delivery / bare POST", "x", ratio50},
		{"a second: events / bare POSTs", "x", ratioRate},
	} {
		fmt.Fprintf(out, "%-44s %s\n", row.name, row.values.format(row.unit))
	}
	return nil
}
