// Command bench measures Callout: how long an event takes from publish to its target and how many go through a second, beside bare loops of
// what has to be done for an event in the same run; how long a hook takes; the same with many targets, with a full ledger, and for a target
// whose neighbour misbehaves. Machines are noisy: compare the ratios, not the times. An installation anywhere is measured by its URL, without
// the bare loops. What was made is removed at the end, also after SIGINT.
//
//	go run ./scripts/bench
//	CALLOUT_CLIENT_SECRET=… go run ./scripts/bench -api URL -issuer URL -client-id ID -receiver URL -listen :9000
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
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	p, at, err := parse(args)
	if err != nil {
		return err
	}
	process := 0
	if at.data == "" && at.api == "" {
		e, err := startEmulator(ctx)
		if err != nil {
			return err
		}
		defer func() { fmt.Printf("%-58s %10d MiB\n", "memory of the emulator, at most", e.stop()) }()
		at.data = e.data
		process = e.cmd.Process.Pid
	}
	r, err := listen(at)
	if err != nil {
		return err
	}
	defer r.close()
	c, err := connect(ctx, at, os.Getenv, nil)
	if err != nil {
		return advise(err)
	}
	b, err := newBench(ctx, p, c, r, os.Stdout, os.Stderr)
	if err != nil {
		return advise(err)
	}
	b.emulator = process
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	return advise(b.measure(ctx))
}

// parse reads the flags: what is measured, and where.
func parse(args []string) (p plan, at place, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&at.data, "data", "", "data `folder` of a running emulator; without -data and -api, one is built and started on a temporary folder")
	f.StringVar(&at.api, "api", "", "`URL` of an installation anywhere; what its services do by themselves is not measured then")
	f.StringVar(&at.issuer, "issuer", "", "`URL` of the issuer of the installation's tokens")
	f.StringVar(&at.clientID, "client-id", "", "`id` of an OAuth2 client of the issuer; its secret is in CALLOUT_CLIENT_SECRET. Instead, CALLOUT_TOKEN may have a token")
	f.StringVar(&at.receiver, "receiver", "", "`URL` under which the installation reaches this program, through a tunnel or a proxy; empty: that of -listen")
	f.StringVar(&at.listen, "listen", "127.0.0.1:0", "`address` at which this program is the targets")
	rates := f.String("cost-rates", "150,300,500", "events a second at which the part cost looks at processor time; `rates` that the machine has no trouble with")
	f.DurationVar(&p.costTime, "cost", 5*time.Second, "how long the part cost looks at each rate, each round")
	only := f.String("only", "", "`parts` to measure, out of "+strings.Join(parts, ",")+"; empty: "+strings.Join(place{}.usual(), ",")+
		", and with -api "+strings.Join(place{api: "-"}.usual(), ","))
	f.IntVar(&p.rounds, "rounds", 3, "how often everything is measured")
	f.IntVar(&p.rate, "rate", 100, "events or hooks a second while latency is measured")
	f.DurationVar(&p.latencyTime, "latency", 10*time.Second, "how long latency is measured, each round")
	f.IntVar(&p.events, "events", 20_000, "events sent as fast as they are taken, each round")
	f.IntVar(&p.batch, "batch", 100, "events in a request while throughput is measured")
	f.IntVar(&p.senders, "senders", 8, "requests at once while throughput is measured")
	f.IntVar(&p.payload, "payload", 600, "bytes of an event's payload")
	f.IntVar(&p.targets, "targets", 1000, "over how many targets the part spread sends its events")
	f.DurationVar(&p.neighbourTime, "neighbour", 30*time.Second, "how long a target is measured beside each kind of neighbour, each round")
	f.IntVar(&p.flood, "flood", 1000, "events a second into the neighbour that hangs for 60 s")
	f.IntVar(&p.backlog, "backlog", 100_000, "deliveries that are held for a target while the part backlog measures the retries of another")
	f.IntVar(&p.ledger, "ledger", 1_000_000, "finished deliveries in the ledger for the part ledger; what it writes to a running emulator stays for a day")
	if err := f.Parse(args); err != nil {
		return p, at, err
	}
	if f.NArg() > 0 {
		return p, at, fmt.Errorf("%q: there are flags only, see -help", f.Arg(0))
	}
	if p.costRates, err = parseRates(*rates); err != nil {
		return p, at, err
	}
	p.parts = at.usual()
	if *only != "" {
		if p.parts, err = parseParts(*only); err != nil {
			return p, at, err
		}
	}
	if p.has(partCost) && (at.data != "" || at.api != "") {
		err = errors.New("the part cost looks at the processes: it needs an emulator of its own, without -data and -api")
	}
	return p, at, errors.Join(err, p.check(), at.check())
}
