package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/scripts/capacity/machine"
)

const (
	// costBar is how far from 1 the ratio of the predicted to the measured rate may be.
	costBar = 0.25
	// keptRate is the share of a planned rate that must have been kept for it to count: what the machine does at its limit predicts nothing.
	keptRate = 0.95
	// fullTime is how long as many events as possible are under way before they are counted.
	fullTime = time.Second
)

// measureCost looks at the processor time that events take at rates that give the machine no trouble, predicts from that alone how many it
// does at most with the processors that others leave, and holds this against how many it does, between those rates and in the same round.
func (b *bench) measureCost(ctx context.Context, round int) error {
	rates := slices.Clone(b.plan.costRates)
	if round%2 == 1 {
		slices.Reverse(rates)
	}
	var loads []machine.Load
	var measured, left float64
	for n, rate := range rates {
		l, err := b.load(ctx, rate)
		if err != nil {
			return fmt.Errorf("%d events/s: %w", rate, err)
		}
		if l.Rate < keptRate*float64(rate) {
			fmt.Fprintf(b.notes, "cost: %.0f events/s came instead of %d, which does not count\n", l.Rate, rate)
		} else {
			loads = append(loads, l)
		}
		if n == len(rates)-1 {
			break
		}
		most, free, err := b.full(ctx)
		if err != nil {
			return fmt.Errorf("as many as possible: %w", err)
		}
		measured += most / float64(len(rates)-1)
		left += free / float64(len(rates)-1)
	}
	b.report.add("events a second at most, measured", "/s", measured)
	b.report.add("processors that others leave", "cpu", left)
	line, err := machine.Fit(loads)
	if err != nil {
		fmt.Fprintf(b.notes, "cost: this round predicts nothing, lower -cost-rates may: %v\n", err)
		return nil
	}
	predicted := line.Most(left)
	b.report.add("processors at any rate", "cpu", line.Fixed)
	b.report.add("processor time of a further event", "ms", line.Event*1000)
	b.report.add("events a second at most, predicted", "/s", predicted)
	b.report.addAgainst("at most: predicted / measured", "x", predicted/measured, bar{limit: costBar, off: true})
	fmt.Fprintf(b.notes, "cost: %.0f events/s predicted, %.0f measured: off by %+.0f %%\n", predicted, measured, 100*(predicted/measured-1))
	return nil
}

// load sends events at a rate, in batches, and says what came of it.
func (b *bench) load(ctx context.Context, rate int) (machine.Load, error) {
	if err := b.await(ctx); err != nil {
		return machine.Load{}, err
	}
	batch := min(b.plan.batch, count(rate, b.plan.costTime))
	every := time.Duration(batch) * time.Second / time.Duration(rate)
	events := newEvents(count(rate, b.plan.costTime)/batch*batch, always(happened))
	before, err := b.used()
	if err != nil {
		return machine.Load{}, err
	}
	start := time.Now()
	_, err = pacedEvery(ctx, len(events)/batch, every, func(ctx context.Context, n int) error {
		return b.client.publish(ctx, b.plan.payload, events[n*batch:(n+1)*batch]...)
	})
	if err != nil {
		return machine.Load{}, err
	}
	if _, err := b.receiver.wait(ctx, events); err != nil {
		return machine.Load{}, err
	}
	// The last batch has its time too, also the part of it in which nothing happens.
	if err := sleep(ctx, time.Until(start.Add(time.Duration(len(events)/batch)*every))); err != nil {
		return machine.Load{}, err
	}
	took := time.Since(start)
	after, err := b.used()
	u := after.since(before)
	l := machine.Load{Rate: float64(len(events)) / took.Seconds(), Busy: u.processors(u.ours)}
	b.noteUsage(fmt.Sprintf("%d events/s", rate), l.Rate, u)
	return l, err
}

// full sends as many events as arrive, each sender a batch after the other: how many a second arrive, and how many processors others leave.
// More under way would only wait, until the target counts as slow.
func (b *bench) full(ctx context.Context) (most, left float64, err error) {
	if err := b.await(ctx); err != nil {
		return 0, 0, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	sending, enough := context.WithCancel(groupCtx)
	defer enough()
	for range b.plan.senders {
		group.Go(func() error {
			for sending.Err() == nil {
				events := newEvents(b.plan.batch, always(happened))
				if err := b.client.publish(groupCtx, b.plan.payload, events...); err != nil {
					return err
				}
				if _, err := b.receiver.wait(groupCtx, events); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer enough()
		most, left, err = b.counted(groupCtx)
		return err
	})
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	return most, left, b.judge(ctx, most)
}

// counted counts what arrives, once as much as possible is under way.
func (b *bench) counted(ctx context.Context) (rate, left float64, err error) {
	if err := sleep(ctx, fullTime); err != nil {
		return 0, 0, err
	}
	start, first := time.Now(), b.receiver.total()
	before, err := b.used()
	if err != nil {
		return 0, 0, err
	}
	if err := sleep(ctx, b.plan.costTime); err != nil {
		return 0, 0, err
	}
	rate = float64(b.receiver.total()-first) / time.Since(start).Seconds()
	after, err := b.used()
	u := after.since(before)
	b.noteUsage("as many as possible", rate, u)
	return rate, u.processors(u.all - max(u.others, 0) - u.stolen), err
}

func (b *bench) noteUsage(name string, rate float64, u usage) {
	ours := u.processors(u.ours)
	fmt.Fprintf(b.notes, "cost: %s: %.0f/s with %.2f processors, %.2f ms each; %.2f for others, %.2f stolen\n",
		name, rate, ours, ours/rate*1000, u.processors(u.others), u.processors(u.stolen))
}

// used is the processor time until now, with that of this program and the emulator.
func (b *bench) used() (usage, error) {
	if b.emulator == 0 {
		return used(os.Getpid())
	}
	return used(os.Getpid(), b.emulator)
}

// processors is how many processors a share of the machine's time is.
func (u usage) processors(share time.Duration) float64 {
	return float64(share) / float64(u.all) * float64(runtime.NumCPU())
}
