// Command bench measures Callout on one machine: how long an event takes from publish to its target and how many go through a second,
// beside bare loops of what has to be done for an event in the same run; the same with many targets, with a full ledger, and for a target
// whose neighbour misbehaves. Machines are noisy: compare the ratios, not the times.
//
//	go run ./scripts/bench
//	go run ./scripts/bench -only ledger -ledger 1000000
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
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

func run(ctx context.Context) (err error) {
	p, data, err := parse()
	if err != nil {
		return err
	}
	if data == "" {
		e, err := startEmulator(ctx)
		if err != nil {
			return err
		}
		defer func() { fmt.Printf("%-58s %10d MiB\n", "memory of the emulator, at most", e.stop()) }()
		data = e.data
	}
	c, err := connect(ctx, data)
	if err != nil {
		return err
	}
	r, err := newReceiver()
	if err != nil {
		return err
	}
	defer r.close()
	b, err := newBench(ctx, p, c, r, os.Stdout, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	return b.measure(ctx)
}

// parse reads the flags: the plan, and the data folder.
func parse() (p plan, data string, err error) {
	flag.StringVar(&data, "data", "", "data `folder` of a running emulator; empty builds one and starts it on a temporary folder")
	only := flag.String("only", strings.Join(usual, ","), "`parts` to measure, out of "+strings.Join(parts, ","))
	flag.IntVar(&p.rounds, "rounds", 3, "how often everything is measured")
	flag.IntVar(&p.rate, "rate", 100, "events a second while latency is measured")
	flag.DurationVar(&p.latencyTime, "latency", 10*time.Second, "how long latency is measured, each round")
	flag.IntVar(&p.events, "events", 20_000, "events sent as fast as they are taken, each round")
	flag.IntVar(&p.batch, "batch", 100, "events in a request while throughput is measured")
	flag.IntVar(&p.senders, "senders", 8, "requests at once while throughput is measured")
	flag.IntVar(&p.payload, "payload", 600, "bytes of an event's payload")
	flag.IntVar(&p.targets, "targets", 1000, "over how many targets the part spread sends its events")
	flag.DurationVar(&p.neighbourTime, "neighbour", 30*time.Second, "how long a target is measured beside each kind of neighbour, each round")
	flag.IntVar(&p.flood, "flood", 1000, "events a second into the neighbour that hangs for 60 s")
	flag.IntVar(&p.backlog, "backlog", 100_000, "deliveries that are held for a target while the part backlog measures the retries of another")
	flag.IntVar(&p.ledger, "ledger", 1_000_000, "finished deliveries in the ledger for the part ledger; what it writes to a running emulator stays for a day")
	flag.Parse()
	if p.parts, err = parseParts(*only); err != nil {
		return p, data, err
	}
	return p, data, p.check()
}
