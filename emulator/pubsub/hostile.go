package pubsub

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Hostile makes the server use the whole freedom that at-least-once delivery gives it, so that consumers can be tested against it. Each
// chance is from 0 to 1. Subscriptions with exactly-once delivery, and ordered ones as to order, are left alone where their promise says so.
type Hostile struct {
	Seed      uint64        // the same seed makes the same choices, in the order in which they come up
	Duplicate float64       // a message is handed out twice at the same time
	Reorder   float64       // a message goes ahead of those that wait
	Delay     float64       // a message waits before it is first handed out
	MostDelay time.Duration // how long at most; 0 is a second
	DropAck   float64       // an acknowledgement is lost, so that the message comes again
}

// chaos draws the lots of Hostile. A nil one never draws.
type chaos struct {
	h Hostile

	mu  sync.Mutex
	rng *rand.Rand
}

func newChaos(h *Hostile) *chaos {
	if h == nil {
		return nil
	}
	c := &chaos{h: *h, rng: rand.New(rand.NewPCG(h.Seed, h.Seed))}
	if c.h.MostDelay <= 0 {
		c.h.MostDelay = time.Second
	}
	return c
}

func (c *chaos) chance(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.Float64() < p
}

func (c *chaos) duplicate() bool { return c != nil && c.chance(c.h.Duplicate) }
func (c *chaos) reorder() bool   { return c != nil && c.chance(c.h.Reorder) }
func (c *chaos) dropAck() bool   { return c != nil && c.chance(c.h.DropAck) }

// delay is how long a message waits, mostly not at all.
func (c *chaos) delay() time.Duration {
	if c == nil || !c.chance(c.h.Delay) {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.rng.Int64N(int64(c.h.MostDelay)))
}
