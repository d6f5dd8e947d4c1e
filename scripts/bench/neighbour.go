package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	neighbourRate = 50
	// noise is the type of the events that go to the other target.
	noise = "bench.noise"
	// shareBar is how many calls of one target may be under way at once.
	shareBar = 128
	// neighbourBar is how many times as long as beside a healthy one events may take beside one that is not.
	neighbourBar = 2
	// settleTime bounds the wait for what was sent to a target to come to rest.
	settleTime = 30 * time.Second
)

// neighbour is the target beside the healthy one.
type neighbour struct {
	name    string
	rate    int // events a second into it
	timeout time.Duration
	answer  answer
}

// neighbours are in the order in which they are measured. The requests are as many for each: a higher rate has larger ones.
func neighbours(flood int) []neighbour {
	const patient, endless = 5 * time.Second, 60 * time.Second
	return []neighbour{
		{"one hangs to its 5 s timeout", neighbourRate, patient, never},
		{"one fails at once", neighbourRate, patient, fails},
		{"one drips to its 5 s timeout", neighbourRate, patient, drips},
		{"one takes 900 ms", neighbourRate, patient, takes(900 * time.Millisecond)},
		{fmt.Sprintf("one hangs to its 60 s timeout, %d/s", flood), flood, endless, never},
	}
}

// measureNeighbour measures the healthy target beside each kind of neighbour, and right before that beside a healthy one with the same
// events: what else the machine does changes within minutes.
func (b *bench) measureNeighbour(ctx context.Context, _ int) error {
	var quiet99 float64
	for i, n := range neighbours(b.plan.flood) {
		healthy := n
		healthy.answer = atOnce
		control, err := b.beside(ctx, healthy, fmt.Sprintf("/healthy/%d", i))
		if err != nil {
			return fmt.Errorf("control of %s: %w", n.name, err)
		}
		result, err := b.beside(ctx, n, fmt.Sprintf("/noise/%d", i))
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		control50, control99 := b.report.addLatency(n.name+": control", control.latencies)
		p50, p99 := b.report.addLatency(n.name, result.latencies)
		b.report.add(n.name+": p50 / control", "x", p50/control50)
		b.report.addAgainst(n.name+": p99 / control", "x", p99/control99, bar{limit: neighbourBar, most: true})
		calm, controlCalm := tenths(result.latencies), tenths(control.latencies)
		b.report.add(n.name+": control, p99 of a tenth", "ms", controlCalm)
		b.report.add(n.name+", p99 of a tenth", "ms", calm)
		b.report.addAgainst(n.name+": p99 of a tenth / control", "x", calm/controlCalm, bar{limit: neighbourBar, most: true})
		if n.rate == neighbourRate {
			quiet99 = control99
		} else { // the machine may be too slow for so many deliveries; then the control beside them is a low bar
			b.report.addAgainst(fmt.Sprintf("%s: p99 / control at %d/s", n.name, neighbourRate), "x", p99/quiet99, bar{limit: neighbourBar, most: true})
		}
		b.report.addAgainst(n.name+": calls at once", "", float64(result.most), bar{limit: shareBar, most: true})
		b.report.add(n.name+": calls in all", "", float64(result.calls))
		b.report.add(fmt.Sprintf("%s: held, of %d", n.name, result.sent), "", float64(result.held))
		fmt.Fprintf(b.notes, "%s: p99 %.1f ms, %.1f ms beside a healthy one\n", n.name, p99, control99)
	}
	return nil
}

// besides is what was seen of a healthy target and of the one beside it.
type besides struct {
	latencies   []time.Duration // of the healthy one
	sent        int             // to the other one
	held        int             // of them, at the end of the load
	calls, most int             // of the other one
}

func (b *bench) beside(ctx context.Context, n neighbour, path string) (besides, error) {
	s := newSite(n.answer)
	defer s.end()
	b.receiver.serve(path, s)
	other, err := b.client.route(ctx, noise, b.receiver.url(path), n.timeout)
	if err != nil {
		return besides{}, err
	}
	if err := b.client.seen(ctx); err != nil {
		return besides{}, err
	}
	batch := max(n.rate/neighbourRate, 1)
	events := newEvents(count(neighbourRate, b.plan.neighbourTime)*batch, always(noise))
	result := besides{sent: len(events)}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := paced(groupCtx, len(events)/batch, neighbourRate, func(ctx context.Context, i int) error {
			return b.client.publish(ctx, b.plan.payload, events[i*batch:(i+1)*batch]...)
		})
		return err
	})
	group.Go(func() (err error) {
		result.latencies, err = b.latency(groupCtx, happened, neighbourRate, b.plan.neighbourTime)
		return err
	})
	if err := group.Wait(); err != nil {
		return besides{}, err
	}
	valve, err := b.client.valve(ctx, other)
	if err != nil {
		return besides{}, err
	}
	result.held = valve.Held
	err = b.settle(ctx, s, other)
	result.calls, _, result.most = s.load()
	b.receiver.take(events)
	return result, err
}

// settle pauses a target and waits until nothing more happens to it: the next measurement is not to pay for this one.
func (b *bench) settle(ctx context.Context, s *site, t target) error {
	if err := b.client.pause(ctx, t); err != nil {
		return err
	}
	s.end()
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	ticker := time.NewTicker(min(500*time.Millisecond, b.plan.neighbourTime/4))
	defer ticker.Stop()
	for before, quiet := -1, 0; quiet < 3; {
		valve, err := b.client.valve(ctx, t)
		if ctx.Err() != nil {
			return nil // long enough
		}
		if err != nil {
			return err
		}
		if _, now, _ := s.load(); valve.Held != before || now > 0 {
			quiet = 0
		} else {
			quiet++
		}
		before = valve.Held
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	return nil
}
