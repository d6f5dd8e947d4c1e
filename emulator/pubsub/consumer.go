package pubsub

import (
	"slices"
	"time"
)

// consumer is one who takes messages: the pusher, a stream, or one call of Pull. Its fields belong to its subscription's lock.
type consumer struct {
	maxMessages int           // at once; 0 is no limit
	maxBytes    int           // the same; one message is always allowed
	deadline    time.Duration // for the acknowledgement; the pusher's is the subscription's
	many        bool          // several messages of one ordering key at once
	push        bool          // the pusher
	pull        *pull         // of a call of Pull
	take        func(handout) // must not block
	ended       func(error)   // the subscription is no more; must not block; may be nil

	messages int
	bytes    int
	unsent   int // bytes that a stream has taken and not yet sent
}

// handout is one message on its way to a consumer.
type handout struct {
	seq     seq
	turn    uint64
	size    int
	attempt int      // 0 where the subscription has no dead-letter policy
	msg     *message // nil: to be read from disk
}

// pull is the state of one call of Pull.
type pull struct {
	immediate bool // do not wait for messages to come
	got       []handout
	err       error
	ended     chan struct{} // closed when the call may answer
}

func (c *consumer) room() bool {
	return (c.maxMessages == 0 || c.messages < c.maxMessages) && (c.maxBytes == 0 || c.bytes < c.maxBytes) && c.unsent < outboxBytes
}

// nextConsumer is one with room. Streams take turns; a call of Pull is filled before the next.
func (s *subscription) nextConsumer() *consumer {
	for i, c := range s.consumers {
		if !c.room() {
			continue
		}
		if c.pull == nil && len(s.consumers) > 1 {
			s.consumers = append(slices.Delete(s.consumers, i, i+1), c)
		}
		return c
	}
	return nil
}

// addConsumer fails where the subscription has ended in the meantime.
func (s *subscription) addConsumer(c *consumer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		if s.deleted {
			return notFound(string(s.name))
		}
		return errClosing
	}
	s.consumers = append(s.consumers, c)
	s.active = time.Now()
	s.pump()
	return nil
}

// removeConsumer leaves what it holds as it is: deadlines go on.
func (s *subscription) removeConsumer(c *consumer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropConsumer(c)
	s.active = time.Now()
}

func (s *subscription) dropConsumer(c *consumer) {
	s.consumers = slices.DeleteFunc(s.consumers, func(o *consumer) bool { return o == c })
	c.many = false // a lane must not hand it more
}

// giveBack returns what was handed out and never reached anybody; it does not count as a failure.
func (s *subscription) giveBack(handouts []handout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range handouts {
		d := s.live[h.seq]
		if d == nil || d.state != out || d.turn != h.turn {
			continue
		}
		if d.lane != nil {
			s.rewind(d)
			d.lane.out--
		}
		s.release(d)
		s.comeBack(d)
	}
	s.pump()
}

// finishPulls lets calls of Pull answer that have messages, or that do not want to wait for any. While more are being read from disk, one
// that has room waits for them.
func (s *subscription) finishPulls() {
	for i := 0; i < len(s.consumers); {
		c := s.consumers[i]
		if c.pull != nil && (!c.room() || !s.loading && (len(c.pull.got) > 0 || c.pull.immediate)) {
			s.dropConsumer(c)
			c.ended(nil)
			continue
		}
		i++
	}
}
