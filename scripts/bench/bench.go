package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	// happened is the type of the events that go to the one target in good standing.
	happened = "bench.happened"
	// goodTimeout is how long targets in good standing are waited for.
	goodTimeout = 10 * time.Second
)

// bench measures one installation.
type bench struct {
	plan     plan
	client   *client
	receiver *receiver
	good     target // gets the events of the type happened
	bare     *bare
	report   report
	out      io.Writer
	notes    io.Writer // how far it is
}

// newBench makes the target of the events, and the topic of the bare loop. Close removes all that was made.
func newBench(ctx context.Context, p plan, c *client, r *receiver, out, notes io.Writer) (*bench, error) {
	b := &bench{plan: p, client: c, receiver: r, out: out, notes: notes}
	var err error
	if b.good, err = c.route(ctx, happened, r.url("/good"), goodTimeout); err != nil {
		return nil, err
	}
	g, err := openGround(ctx, c.installation)
	if err != nil {
		return nil, errors.Join(err, c.forget(ctx))
	}
	b.bare = newBare(p, g, r, b.good.key)
	return b, nil
}

// close gives up at a time, whatever became of ctx.
func (b *bench) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(b.client.forget(ctx), b.bare.ground.close(ctx))
}

// measure runs all rounds of the chosen parts and prints medians and ranges.
func (b *bench) measure(ctx context.Context) error {
	b.introduce()
	steps := []struct {
		part string
		run  func(ctx context.Context, round int) error
	}{
		{partLatency, b.measureLatency}, {partThroughput, b.measureThroughput}, {partSpread, b.measureSpread}, {partNeighbour, b.measureNeighbour},
		{partBacklog, b.measureBacklog},
	}
	for round := range b.plan.rounds {
		for _, s := range steps {
			if !b.plan.has(s.part) {
				continue
			}
			if err := s.run(ctx, round); err != nil {
				return fmt.Errorf("%s: %w", s.part, err)
			}
			fmt.Fprintf(b.notes, "round %d: %s done\n", round+1, s.part)
		}
	}
	if b.plan.has(partLedger) {
		if err := b.measureLedger(ctx); err != nil {
			return fmt.Errorf("%s: %w", partLedger, err)
		}
	}
	b.report.print(b.out)
	return nil
}

func (b *bench) introduce() {
	p := b.plan
	fmt.Fprintf(b.out, "%d rounds, payload %d bytes\n", p.rounds, p.payload)
	if p.has(partLatency) {
		fmt.Fprintf(b.out, "latency: %d events/s for %s, each counted from when it was to be sent to its arrival\n", p.rate, p.latencyTime)
	}
	if p.has(partThroughput) || p.has(partSpread) || p.has(partLedger) {
		fmt.Fprintf(b.out, "throughput: %d events in batches of %d from %d senders, from the first publish to the last arrival\n", p.events, p.batch, p.senders)
	}
	if p.has(partLatency) || p.has(partThroughput) {
		fmt.Fprintln(b.out, "bare loop: publish, commit, commit, signed POST, one after the other and each on the disk; it reaches Firestore and Pub/Sub over\n"+
			"  loopback TCP, where the functions of the same process need no connection")
	}
	if p.has(partNeighbour) {
		fmt.Fprintf(b.out, "neighbour: %d events/s to one target for %s, beside another one that misbehaves\n", neighbourRate, p.neighbourTime)
	}
	if p.has(partBacklog) {
		fmt.Fprintf(b.out, "backlog: %d events/s to two targets for %s; one fails for every %dth and is to be called again %s later\n",
			neighbourRate, p.neighbourTime, failEvery, spare)
	}
}

func (b *bench) measureLatency(ctx context.Context, _ int) error {
	posts, err := b.bare.latency(ctx, b.bare.post)
	if err != nil {
		return fmt.Errorf("bare posts: %w", err)
	}
	loops, err := b.bare.latency(ctx, b.bare.loop)
	if err != nil {
		return fmt.Errorf("bare loop: %w", err)
	}
	events, err := b.latency(ctx, happened, b.plan.rate, b.plan.latencyTime)
	if err != nil {
		return err
	}
	post50, _ := b.report.addLatency("bare signed POST", posts)
	loop50, loop99 := b.report.addLatency("bare publish, commit, commit, POST", loops)
	event50, event99 := b.report.addLatency("publish to delivery", events)
	b.report.add("p50: publish to delivery / bare POST", "x", event50/post50)
	b.report.add("p50: publish to delivery / bare loop", "x", event50/loop50)
	b.report.add("p99: publish to delivery / bare loop", "x", event99/loop99)
	return nil
}

func (b *bench) measureThroughput(ctx context.Context, _ int) error {
	posts, err := b.bare.rate(ctx, b.bare.post)
	if err != nil {
		return fmt.Errorf("bare posts: %w", err)
	}
	loops, err := b.bare.rate(ctx, b.bare.loop)
	if err != nil {
		return fmt.Errorf("bare loop: %w", err)
	}
	events, err := b.throughput(ctx, always(happened))
	if err != nil {
		return err
	}
	b.report.add("bare signed POSTs a second", "/s", posts)
	b.report.add("bare loops a second", "/s", loops)
	b.report.add("events a second, publish to delivery", "/s", events)
	b.report.add("a second: events / bare POSTs", "x", events/posts)
	b.report.add("a second: events / bare loops", "x", events/loops)
	return nil
}
