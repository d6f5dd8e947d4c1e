package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// hooked is the method whose requests are hooked.
	hooked = "/bench.v1.Bench/Call"
	// hookPath is where the hook's target is.
	hookPath = "/hook"
)

// measureHooks asks for a hook at a fixed rate: how long each takes, from when it was to be asked to its answer, failures too.
func (b *bench) measureHooks(ctx context.Context, round int) error {
	if round == 0 {
		if err := b.makeHook(ctx); err != nil {
			return err
		}
	}
	var post50 float64
	if b.bare != nil {
		posts, err := b.bare.latency(ctx, b.bare.post)
		if err != nil {
			return fmt.Errorf("bare posts: %w", err)
		}
		post50, _ = b.report.addLatency("bare signed POST beside hooks", posts)
	}
	took, failures, err := b.hooks(ctx)
	if err != nil {
		return err
	}
	hook50, _ := b.report.addLatency("hook", took)
	b.report.add("hook, longest", "ms", percentile(took, 100))
	b.report.add(fmt.Sprintf("hooks that failed, of %d", len(took)), "", float64(len(failures)))
	if b.bare != nil {
		b.report.add("p50: hook / bare POST", "x", hook50/post50)
	}
	if len(failures) > 0 {
		fmt.Fprintf(b.notes, "hooks: %d of %d failed; the first: %v\n", len(failures), len(took), failures[0])
	}
	return nil
}

// makeHook makes the target of the hook, and waits until it is called.
func (b *bench) makeHook(ctx context.Context) error {
	if err := b.client.hook(ctx, b.receiver.url(hookPath), goodTimeout); err != nil {
		return err
	}
	if err := b.client.seen(ctx); err != nil {
		return err
	}
	if err := b.client.invoke(ctx, b.plan.payload); err != nil {
		return fmt.Errorf("the first hook: %w", err)
	}
	return nil
}

// hooks gives how long each took, and what was wrong with those that failed. The error is that of ctx.
func (b *bench) hooks(ctx context.Context) (took []time.Duration, failures []error, err error) {
	var mu sync.Mutex
	answered := make([]time.Time, count(b.plan.rate, b.plan.latencyTime))
	planned, err := paced(ctx, len(answered), b.plan.rate, func(ctx context.Context, n int) error {
		failure := b.client.invoke(ctx, b.plan.payload)
		answered[n] = time.Now()
		if failure != nil {
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, failure)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, nil, err
	}
	return latencies(planned, answered), failures, nil
}

// hook makes the target of the one hook, and the execution that calls it.
func (c *client) hook(ctx context.Context, endpoint string, timeout time.Duration) error {
	t, err := c.make(ctx, "restCall", endpoint, timeout)
	if err != nil {
		return err
	}
	return c.execute(context.WithoutCancel(ctx), fmt.Sprintf(`{"request":{"method":%q}}`, hooked), t)
}

// invoke asks for the hook. A target that did not answer well is an error.
func (c *client) invoke(ctx context.Context, size int) error {
	var answer struct {
		Calls []struct {
			Outcome string `json:"outcome"`
			Status  int    `json:"statusCode"`
		} `json:"calls"`
	}
	text := fmt.Sprintf(`{"request":{"fullMethod":%q,"request":%s}}`, hooked, payload(size))
	if err := c.send(ctx, http.MethodPost, "/v1/hooks:invoke", text, &answer); err != nil {
		return err
	}
	switch {
	case len(answer.Calls) != 1:
		return fmt.Errorf("%d targets were called, and it should be one", len(answer.Calls))
	case answer.Calls[0].Outcome != "success":
		return fmt.Errorf("the target's outcome is %s, status %d: can the installation reach this program?", answer.Calls[0].Outcome, answer.Calls[0].Status)
	}
	return nil
}
