// Command bench measures Callout on one machine: how long an event takes from publish to its target and how many go through a second,
// beside a bare loop of signed POSTs to the same receiver in the same run. Machines are noisy: compare the ratios, not the times.
//
//	go run ./scripts/bench
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var p plan
	data := flag.String("data", "", "data `folder` of a running emulator; empty builds one and starts it on a temporary folder")
	flag.IntVar(&p.rounds, "rounds", 3, "how often everything is measured")
	flag.IntVar(&p.rate, "rate", 100, "events a second while latency is measured")
	flag.DurationVar(&p.latencyTime, "latency", 10*time.Second, "how long latency is measured, each round")
	flag.IntVar(&p.events, "events", 20_000, "events sent as fast as they are taken, each round")
	flag.IntVar(&p.batch, "batch", 100, "events in a request while throughput is measured")
	flag.IntVar(&p.senders, "senders", 8, "requests at once while throughput is measured")
	flag.IntVar(&p.payload, "payload", 600, "bytes of an event's payload")
	flag.Parse()
	if err := p.check(); err != nil {
		return err
	}
	folder := *data
	if folder == "" {
		e, err := startEmulator(ctx)
		if err != nil {
			return err
		}
		defer e.stop()
		folder = e.data
	}
	c, err := connect(ctx, folder)
	if err != nil {
		return err
	}
	r, err := newReceiver()
	if err != nil {
		return err
	}
	defer r.close()
	if err := c.route(ctx, r.url()); err != nil {
		return err
	}
	return measure(ctx, os.Stdout, p, c, r)
}
