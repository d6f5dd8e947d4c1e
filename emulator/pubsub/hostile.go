package pubsub

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"time"
)

// Hostile makes the server use the whole freedom that at-least-once delivery gives it, so that consumers can be tested against it. Each
// chance is from 0 to 1. Subscriptions with exactly-once delivery, and ordered ones as to order, are left alone where their promise says so.
//
// What happens to a message depends on the seed, the subscription, how many messages it got before, and the attempt: messages that come in
// the same order meet the same fate whenever it is tried again.
type Hostile struct {
	Seed      uint64
	Duplicate float64       // a message is handed out twice at the same time
	Reorder   float64       // a message goes ahead of those that wait
	Delay     float64       // a message waits before it is first handed out
	MostDelay time.Duration // how long at most; 0 is a second
	DropAck   float64       // an acknowledgement is lost, so that the message comes again
}

// chaos draws the lots of Hostile for one subscription. A nil one never draws.
type chaos struct {
	h    Hostile
	name subscriptionName
	seen uint64 // messages so far
}

// newChaos is nil where there is no hostility.
func newChaos(h *Hostile, name subscriptionName) *chaos {
	if h == nil {
		return nil
	}
	c := &chaos{h: *h, name: name}
	if c.h.MostDelay <= 0 {
		c.h.MostDelay = time.Second
	}
	return c
}

// number gives d its place among the messages of the subscription.
func (c *chaos) number(d *delivery) {
	if c != nil {
		c.seen++
		d.number = c.seen
	}
}

// draw is a number from 0 to 1 that belongs to an attempt at a message and a purpose.
func (c *chaos) draw(d *delivery, purpose string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(purpose + string(c.name)))
	var b [24]byte
	binary.BigEndian.PutUint64(b[:], c.h.Seed)
	binary.BigEndian.PutUint64(b[8:], d.number)
	binary.BigEndian.PutUint64(b[16:], uint64(d.failed))
	_, _ = h.Write(b[:])
	x := h.Sum64() // the upper bits of FNV hardly change with the last bytes: mix them
	x ^= x >> 32
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 29
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 32
	return float64(x) / math.MaxUint64
}

func (c *chaos) duplicate(d *delivery) bool {
	return c != nil && c.draw(d, "duplicate") < c.h.Duplicate
}
func (c *chaos) reorder(d *delivery) bool { return c != nil && c.draw(d, "reorder") < c.h.Reorder }
func (c *chaos) dropAck(d *delivery) bool { return c != nil && c.draw(d, "ack") < c.h.DropAck }

// delay is how long a message waits before it is handed out, mostly not at all.
func (c *chaos) delay(d *delivery) time.Duration {
	if c == nil || c.draw(d, "delay") >= c.h.Delay {
		return 0
	}
	return time.Duration(c.draw(d, "time") * float64(c.h.MostDelay))
}
