package main

import (
	"context"
	"fmt"
	"time"
)

// standingTime bounds the wait for a valve to go.
const standingTime = time.Minute

// await returns when the good target is in good standing, which it may have lost while more was sent than the machine delivers: what is
// measured next is not to begin with what the last measurement left.
func (b *bench) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, standingTime)
	defer cancel()
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		v, err := b.client.valve(ctx, b.good)
		if err != nil || v.State == "" {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the good target is held: %s (%s)", v.State, v.Reason)
		}
	}
}

// judge says when the good target is held all the same: then the rate is that at which its valve lets deliveries through.
func (b *bench) judge(ctx context.Context, rate float64) error {
	v, err := b.client.valve(ctx, b.good)
	if err == nil && v.State != "" {
		fmt.Fprintf(b.out, "NOTE: the good target got a valve, %s (%s), in a measurement of %.0f events/s\n", v.State, v.Reason, rate)
	}
	return err
}
