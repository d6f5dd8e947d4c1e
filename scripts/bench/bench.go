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
	// meetTime bounds the wait for the first event.
	meetTime = 30 * time.Second
)

// bench measures one installation.
type bench struct {
	plan     plan
	client   *client
	receiver *receiver
	emulator int    // its process; 0: it is in this one
	good     target // gets the events of the type happened
	bare     *bare  // nil where the installation's own services are out of reach
	report   report
	out      io.Writer
	notes    io.Writer // how far it is
}

// newBench makes the target of the events and waits until it is reached, and the topic of the bare loop. Close removes all that was made.
func newBench(ctx context.Context, p plan, c *client, r *receiver, out, notes io.Writer) (*bench, error) {
	b := &bench{plan: p, client: c, receiver: r, out: out, notes: notes}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(err, b.close(ctx))
	}
	return b, nil
}

func (b *bench) prepare(ctx context.Context) error {
	if b.plan.has(partLedger) && !b.client.reachable() {
		return errors.New("the part ledger writes into Firestore itself: it needs -data of a running emulator, or none of -data and -api")
	}
	var err error
	if b.good, err = b.client.route(ctx, happened, b.receiver.url("/good"), goodTimeout); err != nil {
		return err
	}
	if err := b.meet(ctx); err != nil {
		return err
	}
	if !b.client.reachable() {
		return nil
	}
	g, err := openGround(ctx, b.client.ports)
	if err != nil {
		return err
	}
	b.bare = newBare(b.plan, g, b.receiver, b.good.key)
	return nil
}

// meet sends an event and waits for it: what is wrong on the way is told before anything is measured.
func (b *bench) meet(ctx context.Context) error {
	if err := b.client.seen(ctx); err != nil {
		return err
	}
	meeting, cancel := context.WithTimeout(ctx, meetTime)
	defer cancel()
	events := newEvents(1, always(happened))
	if err := b.client.publish(meeting, b.plan.payload, events...); err != nil {
		return fmt.Errorf("publish the first event: %w", err)
	}
	if _, err := b.receiver.wait(meeting, events); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the first event did not come to %s in %s: can the installation reach that URL, and does it lead to this program? "+
			"What its attempts met is in the installation's log: callout event explain %s", b.receiver.base, meetTime, events[0].id)
	}
	return ctx.Err()
}

// close gives up at a time, whatever became of ctx.
func (b *bench) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := b.client.forget(ctx)
	if b.bare != nil {
		err = errors.Join(err, b.bare.ground.close(ctx))
	}
	return err
}

// measure runs all rounds of the chosen parts and prints medians and ranges.
func (b *bench) measure(ctx context.Context) error {
	b.introduce()
	steps := []struct {
		part string
		run  func(ctx context.Context, round int) error
	}{
		{partLatency, b.measureLatency}, {partThroughput, b.measureThroughput}, {partHooks, b.measureHooks}, {partCost, b.measureCost}, {partSpread, b.measureSpread},
		{partNeighbour, b.measureNeighbour}, {partBacklog, b.measureBacklog},
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
	if p.has(partCost) {
		fmt.Fprintf(b.out, "cost: processor time of the emulator and of this program at %v events/s for %s each, in batches of %d; then as many as possible\n",
			p.costRates, p.costTime, p.batch)
	}
	if p.has(partHooks) {
		fmt.Fprintf(b.out, "hooks: %d/s for %s, each counted from when it was to be asked to its answer, failures too\n", p.rate, p.latencyTime)
	}
	if b.bare == nil {
		fmt.Fprintln(b.out, "bare POSTs and bare loops: skipped, the installation's own Firestore and Pub/Sub are out of reach. Compare with runs of the same place only")
	} else if p.has(partLatency) || p.has(partThroughput) {
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
	var posts, loops []time.Duration
	var err error
	if b.bare != nil {
		if posts, err = b.bare.latency(ctx, b.bare.post); err != nil {
			return fmt.Errorf("bare posts: %w", err)
		}
		if loops, err = b.bare.latency(ctx, b.bare.loop); err != nil {
			return fmt.Errorf("bare loop: %w", err)
		}
	}
	events, err := b.latency(ctx, happened, b.plan.rate, b.plan.latencyTime)
	if err != nil {
		return err
	}
	event50, event99 := b.report.addLatency("publish to delivery", events)
	if b.bare == nil {
		return nil
	}
	post50, _ := b.report.addLatency("bare signed POST", posts)
	loop50, loop99 := b.report.addLatency("bare publish, commit, commit, POST", loops)
	b.report.add("p50: publish to delivery / bare POST", "x", event50/post50)
	b.report.add("p50: publish to delivery / bare loop", "x", event50/loop50)
	b.report.add("p99: publish to delivery / bare loop", "x", event99/loop99)
	return nil
}

func (b *bench) measureThroughput(ctx context.Context, _ int) error {
	var posts, loops float64
	var err error
	if b.bare != nil {
		if posts, err = b.bare.rate(ctx, b.bare.post); err != nil {
			return fmt.Errorf("bare posts: %w", err)
		}
		if loops, err = b.bare.rate(ctx, b.bare.loop); err != nil {
			return fmt.Errorf("bare loop: %w", err)
		}
	}
	events, err := b.throughput(ctx, always(happened))
	if err != nil {
		return err
	}
	b.report.add("events a second, publish to delivery", "/s", events)
	if b.bare == nil {
		return nil
	}
	b.report.add("bare signed POSTs a second", "/s", posts)
	b.report.add("bare loops a second", "/s", loops)
	b.report.add("a second: events / bare POSTs", "x", events/posts)
	b.report.add("a second: events / bare loops", "x", events/loops)
	return nil
}
