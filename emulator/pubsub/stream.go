package pubsub

import (
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// What one answer on a stream holds at most, and what waits to be sent on one whose client sets no limits.
const (
	streamMessages = 1000
	streamBytes    = 4 << 20
	outboxBytes    = 16 << 20
	streamAnswers  = 16 // confirmations and pings
)

// What all streams together keep of bodies that their clients have not read, and what one may keep however many they are. Beyond it a body
// is read from disk when it is sent.
const (
	unreadBytes      = 64 << 20
	unreadLeastBytes = 16 << 10
)

// stream is one StreamingPull.
type stream struct {
	sub   *subscription
	c     *consumer
	wake  chan struct{} // holds one token
	ended chan error    // holds one
	gone  <-chan struct{}

	streams *atomic.Int64 // that are open on the server
	answers chan *pubsubpb.StreamingPullResponse

	mu     sync.Mutex
	outbox []handout
}

// share is how many bytes of bodies this stream may keep.
func (s *stream) share() int {
	return min(max(unreadBytes/int(max(s.streams.Load(), 1)), unreadLeastBytes), outboxBytes)
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
	s := &stream{
		sub: sub, wake: make(chan struct{}, 1), ended: make(chan error, 1), gone: srv.Context().Done(),
		streams: &r.s.streams, answers: make(chan *pubsubpb.StreamingPullResponse, streamAnswers),
	}
	s.streams.Add(1)
	defer s.streams.Add(-1)
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
	if s.c.unsent > s.share() {
		h.msg = nil
	}
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
	select {
	case res := <-s.answers:
		return s.withProperties(res), true, nil
	default:
	}
	s.mu.Lock()
	n := min(len(s.outbox), streamMessages)
	if n == 0 {
		s.mu.Unlock()
		return nil, false, nil
	}
	batch := s.outbox[:n:n]
	s.outbox = s.outbox[n:]
	s.mu.Unlock()

	res = &pubsubpb.StreamingPullResponse{}
	size, most := 0, min(streamBytes, s.share())
	for i, h := range batch {
		if i > 0 && size > most {
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
