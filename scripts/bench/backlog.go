package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// sibling is the type of the events that go to both targets.
	sibling = "bench.sibling"
	// lateBar is how many ms after its time a retry may come while its sibling has a backlog.
	lateBar = 2000
	// spare is for how long a target that fails asks to be spared: longer than the wait before a first retry, so it is the one that counts.
	spare = 6 * time.Second
	// failEvery: the first attempts of so many events, all but one, succeed at once. The target stays in good standing.
	failEvery = 4
	// lyingTime and drainTime bound the waits for a backlog to lie in its lane, and to be gone from it.
	lyingTime = 5 * time.Minute
	drainTime = 15 * time.Minute
)

// measureBacklog measures how late the retries of one target are while another one that gets the same events is healthy, while it hangs and
// has a backlog, and while that drains.
func (b *bench) measureBacklog(ctx context.Context, round int) error {
	path := fmt.Sprintf("/backlog/%d", round)
	hung, err := b.client.route(ctx, noise, b.receiver.url(path), 5*time.Second)
	if err != nil {
		return err
	}
	retried, err := b.client.route(ctx, sibling, b.receiver.url(path+"/sibling"), goodTimeout)
	if err != nil {
		return err
	}
	if err := b.client.execute(context.WithoutCancel(ctx), eventCondition(sibling), hung, retried); err != nil {
		return err
	}
	if err := b.client.seen(ctx); err != nil {
		return err
	}
	if err := b.lateness(ctx, "beside a healthy target", path); err != nil {
		return err
	}
	s := newSite(never)
	defer s.end()
	b.receiver.serve(path, s)
	if err := b.pile(ctx, hung); err != nil {
		return err
	}
	if err := b.lateness(ctx, fmt.Sprintf("beside a backlog of %d", b.plan.backlog), path); err != nil {
		return err
	}
	s.end()
	b.receiver.serve(path, newSite(atOnce))
	began := time.Now()
	if err := b.lateness(ctx, "while the backlog drains", path); err != nil {
		return err
	}
	if err := b.lies(ctx, hung, drainTime, func(held int) bool { return held == 0 }); err != nil {
		return err
	}
	b.report.add("backlog drained", "/s", float64(b.plan.backlog)/time.Since(began).Seconds())
	return nil
}

// pile sends a target that hangs its backlog, and waits until it lies in the target's lane.
func (b *bench) pile(ctx context.Context, hung target) error {
	events, began := newEvents(b.plan.backlog, always(noise)), time.Now()
	if err := b.send(ctx, events); err != nil {
		return err
	}
	err := b.lies(ctx, hung, lyingTime, func(held int) bool { return held >= b.plan.backlog })
	b.receiver.take(events)
	fmt.Fprintf(b.notes, "backlog: %d deliveries lie in their lane after %.0f s\n", b.plan.backlog, time.Since(began).Seconds())
	return err
}

// lies waits until as many deliveries as wanted are held for a target.
func (b *bench) lies(ctx context.Context, t target, most time.Duration, wanted func(held int) bool) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		v, err := b.client.valve(ctx, t)
		if err != nil || wanted(v.Held) {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%d deliveries are held for the target (%s, %s)", v.Held, v.State, v.Reason)
		}
	}
}

// lateness sends events to both targets and measures how late the retries of the sibling are.
func (b *bench) lateness(ctx context.Context, name, path string) error {
	s := &sparing{first: map[string]time.Time{}}
	b.receiver.serve(path+"/sibling", s)
	events := newEvents(count(neighbourRate, b.plan.neighbourTime), always(sibling))
	_, err := paced(ctx, len(events), neighbourRate, func(ctx context.Context, n int) error {
		return b.client.publish(ctx, b.plan.payload, events[n])
	})
	if err != nil {
		return err
	}
	if _, err := b.receiver.wait(ctx, events); err != nil {
		return err
	}
	late, err := s.retries(ctx)
	if err != nil {
		return err
	}
	b.report.addLatency("retries of a sibling "+name, late)
	worst := percentile(late, 100)
	b.report.addAgainst("retries of a sibling "+name+", latest", "ms", worst, bar{limit: lateBar, most: true})
	fmt.Fprintf(b.notes, "retries of a sibling %s: %d, %.0f ms late at most\n", name, len(late), worst)
	return nil
}

// sparing is a target that refuses the first attempt of some events and asks to be spared.
type sparing struct {
	mu    sync.Mutex
	calls int
	first map[string]time.Time // by webhook-id, where the retry has not come
	late  []time.Duration
}

func (s *sparing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, now := r.Header.Get("webhook-id"), time.Now()
	if first, found := s.first[id]; found {
		s.late = append(s.late, now.Sub(first)-spare)
		delete(s.first, id)
		return
	}
	if s.calls++; s.calls%failEvery == 1 {
		s.first[id] = now
		w.Header().Set("Retry-After", strconv.Itoa(int(spare.Seconds())))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// retries waits for all of them and gives how late each was.
func (s *sparing) retries(ctx context.Context) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		s.mu.Lock()
		missing, late := len(s.first), s.late
		s.mu.Unlock()
		if missing == 0 {
			return late, nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d retries did not come", missing)
		}
	}
}
