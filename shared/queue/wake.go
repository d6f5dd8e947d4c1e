package queue

import (
	"context"
	"time"
)

const (
	// WakeWithin: what is due sooner than this is reason to wake a sweeper, which the scheduler wakes each minute anyway.
	WakeWithin = time.Minute
	// wakeEvery is how often one process wakes it at most.
	wakeEvery = time.Second
)

// Wake asks for a sweep, unless this process did so within the last second: a sweep goes on for longer than that.
func (q *Queue) Wake(ctx context.Context) error {
	if !q.takeWake(time.Now()) {
		return nil
	}
	return q.Publish(ctx, Ticks, Message{Data: []byte("{}")})
}

func (q *Queue) takeWake(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if since := now.Sub(q.woken); since >= 0 && since < wakeEvery {
		return false
	}
	q.woken = now
	return true
}
