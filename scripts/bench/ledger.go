package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
)

const (
	// ledgerBar: with a full ledger, at most a fifth of the events a second is lost.
	ledgerBar = 0.8
	// fewDeliveries is how many the full ledger is held against.
	fewDeliveries = 10_000
	// fillBatch is how many writes BatchWrite takes, and fillers how many such calls are made at once.
	fillBatch = 500
	fillers   = 4
	// filledInstance is the one whose deliveries are measured.
	filledInstance = "default"
	// restDebt is how many bytes the store may have yet to merge when it is measured, and restTime how long that is waited for.
	restDebt = 32 << 20
	restTime = 5 * time.Minute
)

// measureLedger measures with few finished deliveries in the ledger and with many. It is filled once: the rounds of each follow each other,
// with bare loops beside them, which show how the machine did meanwhile.
func (b *bench) measureLedger(ctx context.Context) error {
	few := min(fewDeliveries, b.plan.ledger)
	medians, bareMedians := make([]float64, 2), make([]float64, 2)
	for i, total := range []int{few, b.plan.ledger} {
		if err := b.fill(ctx, total); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
		if err := b.rest(ctx); err != nil {
			return fmt.Errorf("wait for the store: %w", err)
		}
		var rates, loops series
		for range b.plan.rounds {
			loop, err := b.bare.rate(ctx, b.bare.loop)
			if err != nil {
				return err
			}
			rate, err := b.throughput(ctx, always(happened))
			if err != nil {
				return err
			}
			loops.add(loop)
			rates.add(rate)
			b.report.add(fmt.Sprintf("bare loops a second, ledger of %d", total), "/s", loop)
			b.report.add(fmt.Sprintf("events a second, ledger of %d", total), "/s", rate)
		}
		medians[i], bareMedians[i] = rates.median(), loops.median()
	}
	b.report.add(fmt.Sprintf("a second: bare loops, ledger of %d / of %d", b.plan.ledger, few), "x", bareMedians[1]/bareMedians[0])
	b.report.addAgainst(fmt.Sprintf("a second: events, ledger of %d / of %d", b.plan.ledger, few), "x", medians[1]/medians[0], bar{limit: ledgerBar})
	return nil
}

// fill writes finished deliveries until there are so many; what the run itself delivered counts.
func (b *bench) fill(ctx context.Context, total int) error {
	there, err := b.client.delivered(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.notes, "ledger: %d finished deliveries, %d to be written\n", there, max(total-there, 0))
	begin := time.Now()
	var written, shown atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(fillers)
	for from := there; from < total && groupCtx.Err() == nil; from += fillBatch {
		size := min(fillBatch, total-from)
		group.Go(func() error {
			if err := b.writeDeliveries(groupCtx, from, size); err != nil {
				return err
			}
			n, tenth := written.Add(int64(size)), max(int64(total-there)/10, fillBatch)
			if before := shown.Load(); n/tenth > before && shown.CompareAndSwap(before, n/tenth) {
				fmt.Fprintf(b.notes, "ledger: %d of %d written, %.0f a second\n", n, total-there, float64(n)/time.Since(begin).Seconds())
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// writeDeliveries writes deliveries of the last hours, to a thousand targets; from is the number of the first.
func (b *bench) writeDeliveries(ctx context.Context, from, size int) error {
	now := time.Now()
	request := &firestorepb.BatchWriteRequest{Database: b.bare.ground.database, Writes: make([]*firestorepb.Write, size)}
	for i := range request.Writes {
		age := time.Duration(from+i) * 7919 * time.Millisecond % (20 * time.Hour) // in no order
		request.Writes[i] = update(deliveryDocument(request.Database, filledInstance, fmt.Sprintf("filled%03d", (from+i)%1000), now.Add(-age)))
	}
	answer, err := b.bare.ground.documents.BatchWrite(ctx, request)
	if err != nil {
		return err
	}
	for _, s := range answer.GetStatus() {
		if codes.Code(s.GetCode()) != codes.OK {
			return fmt.Errorf("write delivery: %s: %s", codes.Code(s.GetCode()), s.GetMessage())
		}
	}
	return nil
}

// rest waits until the store has merged what was written: a ledger of many deliveries is filled over days, and here within minutes.
func (b *bench) rest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restTime)
	defer cancel()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for begin := time.Now(); ; {
		debt, err := b.client.debt(ctx)
		if err != nil || debt < restDebt {
			fmt.Fprintf(b.notes, "ledger: the store rests after %.0f s\n", time.Since(begin).Seconds())
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			fmt.Fprintf(b.notes, "ledger: the store has still %.0f MiB to merge\n", debt/(1<<20))
			return context.Cause(ctx)
		}
	}
}
