package pubsub

import (
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// What one answer on a stream holds at most, and what waits to be sent on one whose client sets no limits.
const (
	streamMessages = 1000
	streamBytes    = 4 << 20
	outboxBytes    = 16 << 20
)

// stream is one StreamingPull.
type stream struct {
	sub   *subscription
	c     *consumer
	wake  chan struct{} // holds one token
	ended chan error    // holds one

	mu      sync.Mutex
	outbox  []handout
	answers []*pubsubpb.StreamingPullResponse // confirmations and pings
}

// StreamingPull sends messages as they come, within the limits of the first request, until the client or the server ends it.
func (r subscriber) StreamingPull(srv pubsubpb.Subscriber_StreamingPullServer) error {
	first, err := srv.Recv()
	if err != nil {
		return err
	}
	sub, err := r.named(first.Subscription)
	if err != nil {
		return err
	}
	if err := pullable(sub.config()); err != nil {
		return err
	}
	if d := first.StreamAckDeadlineSeconds; d < leastDeadline || d > mostDeadline {
		return invalid("stream_ack_deadline_seconds", "is %d; it must be from %d to %d", d, leastDeadline, mostDeadline)
	}
	s := &stream{sub: sub, wake: make(chan struct{}, 1), ended: make(chan error, 1)}
	s.c = &consumer{
		maxMessages: limit(first.MaxOutstandingMessages), maxBytes: limit(first.MaxOutstandingBytes), many: true,
		deadline: time.Duration(first.StreamAckDeadlineSeconds) * time.Second, take: s.take, ended: s.end,
	}
	if err := s.handle(first, true); err != nil {
		return err
	}
	if err := sub.addConsumer(s.c); err != nil {
		return err
	}
	defer s.close()
	go s.receive(srv)
	return s.send(srv, r.s.stopping)
}

// close gives back what was not sent. What was sent stays with the client until its deadline.
func (s *stream) close() {
	s.sub.removeConsumer(s.c)
	s.sub.giveBack(s.outbox)
}

func limit(n int64) int {
	if n <= 0 {
		return 0
	}
	return int(min(n, 1<<40))
}

// take is called with the subscription's lock.
func (s *stream) take(h handout) {
	s.mu.Lock()
	s.outbox = append(s.outbox, h)
	s.c.unsent += h.size
	s.mu.Unlock()
	s.poke()
}

func (s *stream) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *stream) end(why error) {
	select {
	case s.ended <- why:
	default:
	}
}

// send is the only one that writes to the stream.
func (s *stream) send(srv pubsubpb.Subscriber_StreamingPullServer, stopping <-chan struct{}) error {
	for {
		select {
		case <-srv.Context().Done():
			return srv.Context().Err()
		case err := <-s.ended:
			return err
		case <-stopping:
			return errClosing
		case <-s.wake:
		}
		for {
			res, more, err := s.next()
			if err != nil {
				return err
			}
			if res == nil {
				break
			}
			if err := srv.Send(res); err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
}

// next is the next answer to send, nil if there is none.
func (s *stream) next() (res *pubsubpb.StreamingPullResponse, more bool, err error) {
	s.mu.Lock()
	if len(s.answers) > 0 {
		res, s.answers = s.answers[0], s.answers[1:]
		s.mu.Unlock()
		return s.withProperties(res), true, nil
	}
	n := min(len(s.outbox), streamMessages)
	if n == 0 {
		s.mu.Unlock()
		return nil, false, nil
	}
	batch := s.outbox[:n:n]
	s.outbox = s.outbox[n:]
	s.mu.Unlock()

	res = &pubsubpb.StreamingPullResponse{}
	size := 0
	for i, h := range batch {
		if i > 0 && size > streamBytes {
			s.mu.Lock()
			s.outbox = append(batch[i:len(batch):len(batch)], s.outbox...)
			s.mu.Unlock()
			batch = batch[:i]
			break
		}
		one, err := s.sub.received([]handout{h})
		if err != nil {
			return nil, false, err
		}
		for _, m := range one {
			size += sizeOf(m.Message)
		}
		res.ReceivedMessages = append(res.ReceivedMessages, one...)
	}
	s.sub.sent(s.c, batch)
	return s.withProperties(res), true, nil
}

// sent makes room for more after messages went from the outbox to the client.
func (s *subscription) sent(c *consumer, batch []handout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := !c.room()
	for _, h := range batch {
		c.unsent -= h.size
	}
	if full {
		s.pump()
	}
}

// withProperties adds what the official clients read from every answer.
func (s *stream) withProperties(res *pubsubpb.StreamingPullResponse) *pubsubpb.StreamingPullResponse {
	conf := s.sub.config()
	res.SubscriptionProperties = &pubsubpb.StreamingPullResponse_SubscriptionProperties{
		ExactlyOnceDeliveryEnabled: conf.EnableExactlyOnceDelivery, MessageOrderingEnabled: conf.EnableMessageOrdering,
	}
	return res
}
