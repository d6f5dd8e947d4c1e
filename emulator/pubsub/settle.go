package pubsub

import (
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// Back-off of push subscriptions that have no retry policy, as production documents for push; and the bounds of a retry policy that
// leaves them out.
const (
	pushBackoffLeast = 100 * time.Millisecond
	pushBackoffMost  = 60 * time.Second
	retryLeast       = 10 * time.Second
	retryMost        = 600 * time.Second
)

// ackOutcome is what became of an acknowledgement or of a change of deadline.
type ackOutcome bool

const (
	counted ackOutcome = true
	stale   ackOutcome = false
)

// find is the delivery that an ack id speaks of, nil if the id no longer counts. Without exactly-once delivery and ordering a late
// acknowledgement is as good as one in time.
func (s *subscription) find(a ackID) *delivery {
	d := s.live[a.seq]
	if d == nil || d.state == moving {
		return nil
	}
	current := d.state == out && d.turn == a.turn
	if !current && (s.conf.EnableExactlyOnceDelivery || d.lane != nil) {
		return nil
	}
	return d
}

// acknowledge ends a delivery.
func (s *subscription) acknowledge(a ackID) ackOutcome {
	d := s.find(a)
	if d == nil {
		return stale
	}
	if s.conf.EnableExactlyOnceDelivery || !s.chaos.dropAck(d) {
		s.finish(d)
	}
	return counted
}

func (s *subscription) finish(d *delivery) {
	s.release(d)
	if d.lane != nil {
		s.finishOrdered(d)
		return
	}
	s.settle(d)
}

// extend sets a new deadline, from now; zero refuses the message.
func (s *subscription) extend(a ackID, by time.Duration) ackOutcome {
	d := s.find(a)
	switch {
	case d == nil || d.state != out || d.turn != a.turn:
		return stale
	case by == 0:
		s.fail(d)
	case d.at >= 0:
		d.due = time.Now().Add(by)
		s.schedule(d)
	}
	return counted
}

// release takes d off whoever holds it. The pusher counts its own requests.
func (s *subscription) release(d *delivery) {
	s.unschedule(d)
	s.releaseHolder(d)
}

func (s *subscription) releaseHolder(d *delivery) {
	c := d.holder
	d.holder = nil
	if c != nil && !c.push {
		c.messages--
		c.bytes -= d.size
	}
}

// settle is the end of d: acknowledged, expired or moved elsewhere.
func (s *subscription) settle(d *delivery) {
	s.forgetBody(d)
	s.unschedule(d)
	d.state = settled
	delete(s.live, d.seq)
	for s.order.len() > 0 && s.order.front().state == settled {
		s.order.pop()
	}
	if n := s.order.len(); n > 2*len(s.live)+1024 {
		s.order.keep(func(d *delivery) bool { return d.state != settled })
	}
	s.acked = append(s.acked, d.seq)
	s.saveProgress()
}

// fail takes d back after a refusal or a missed deadline: it waits for its back-off, or moves to the dead-letter topic.
func (s *subscription) fail(d *delivery) {
	if d.lane != nil {
		s.rewind(d)
		d.lane.out--
	}
	s.release(d)
	d.failed++
	if p := s.conf.DeadLetterPolicy; p != nil && d.failed >= int(p.MaxDeliveryAttempts) {
		d.state = moving
		s.bury(s, d)
		return
	}
	s.backOff(d)
}

// backOff lets d wait as long as the subscription's policy says.
func (s *subscription) backOff(d *delivery) {
	wait := backoff(s.conf, d.failed)
	if wait > 0 {
		d.state, d.due = waiting, time.Now().Add(wait)
		s.schedule(d)
	} else {
		s.comeBack(d)
	}
	if wait > 0 || s.conf.DeadLetterPolicy != nil {
		s.failed = append(s.failed, d)
		s.saveProgress()
	}
}

// backoff is how long a message that failed so often waits.
func backoff(conf *pubsubpb.Subscription, failed int) time.Duration {
	var least, most time.Duration
	switch p := conf.RetryPolicy; {
	case p != nil:
		least, most = retryLeast, retryMost
		if p.MinimumBackoff != nil {
			least = p.MinimumBackoff.AsDuration()
		}
		if p.MaximumBackoff != nil {
			most = p.MaximumBackoff.AsDuration()
		}
	case conf.PushConfig.GetPushEndpoint() != "":
		least, most = pushBackoffLeast, pushBackoffMost
	}
	wait := least
	for range failed - 1 {
		if wait >= most {
			break
		}
		wait *= 2
	}
	return min(wait, most)
}
