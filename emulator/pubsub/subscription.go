package pubsub

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/emulator/pubsub/filter"
)

// What a subscription keeps in memory at most. What does not fit stays in the log on disk until there is room.
const (
	maxReady      = 1024     // messages with bodies, waiting for somebody to take them
	maxReadyBytes = 8 << 20  // the same in bytes
	maxLive       = 100_000  // messages that were handed out or failed and are not acknowledged: 100 bytes each, without bodies
	maxPushBytes  = 64 << 20 // bodies of pushes that are under way
)

// pushGrace is how much longer than its deadline a push may take to end before it is taken for failed without having ended: a transport
// should give up by itself.
const pushGrace = time.Second

// subscription is a reader of a topic's log: how far it has read, what it has handed out, and to whom. Everything at or below read is in
// live or done with; everything between read and tail is on disk alone.
type subscription struct {
	id    id
	name  subscriptionName
	topic *topic
	store backlog
	log   *journal
	bury  func(*subscription, *delivery) // sends a message to the dead-letter topic; called with mu held
	slog  *slog.Logger
	chaos *chaos

	// Read without mu by the topic's trimming.
	cursor    atomic.Uint64 // all up to here is done with, as last staged
	keepAcked atomic.Int64  // nanoseconds that acknowledged messages are kept; 0 is not at all

	mu        sync.Mutex
	conf      *pubsubpb.Subscription // replaced, never changed
	filter    filter.Filter
	gone      bool // deleted, detached or stopped: nothing more is handed out
	deleted   bool // nothing of it is in the store
	epoch     int  // counts seeks: what was under way before one is forgotten
	tail      seq  // the last number of the topic that this subscription was told of
	read      seq
	marked    seq  // there may be marks on disk up to here
	loading   bool // a piece of the backlog is being read
	ailing    bool // that failed, and is tried again soon
	live      map[seq]*delivery
	order     queue // live by number
	ready     queue
	readySize int // bytes of the bodies kept in ready
	lanes     map[string]*lane
	timed     schedule
	alarm     *time.Timer
	alarmAt   time.Time
	consumers []*consumer
	turn      uint64
	active    time.Time

	acked     []seq       // not yet staged
	failed    []*delivery // failed and not yet staged
	staging   bool        // a write of progress is on its way
	skipped   int         // messages passed over by the filter since the cursor was last staged
	marks     int         // marks written since some were cleared; at least 1 while there may be any
	cleared   seq         // marks up to here were cleared
	holes     int         // marks written since the log was hollowed out
	untrimmed int         // messages done with since the topic was last trimmed
}

// record is the subscription as it is stored.
func (s *subscription) record(conf *pubsubpb.Subscription) ([]byte, error) {
	b := appendUint64(appendUint64(nil, uint64(s.id)), uint64(s.topic.id))
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, conf)
}

func (s *subscription) config() *pubsubpb.Subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf
}

// offer tells the subscription of messages that are now in the topic's log. Those that somebody waits for are kept in memory.
func (s *subscription) offer(messages []*message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	for _, m := range messages {
		caughtUp := s.read == s.tail && !s.loading
		s.tail = m.seq
		switch {
		case !caughtUp:
		case !s.filter.Match(m.pb.Attributes):
			s.read = m.seq
			s.skip(1)
		case len(s.consumers) > 0 && s.room():
			s.read = m.seq
			s.track(&delivery{seq: m.seq, size: m.size, msg: m}, m.pb.OrderingKey)
		}
	}
	s.pump()
}

// room says whether one more message may be taken into memory.
func (s *subscription) room() bool {
	return s.ready.len() < maxReady && s.readySize < maxReadyBytes && len(s.live) < maxLive
}

// track takes up a message that comes after all others in live.
func (s *subscription) track(d *delivery, key string) {
	d.at = -1
	s.live[d.seq] = d
	s.order.push(d)
	s.chaos.number(d)
	if wait := s.chaos.delay(d); wait > 0 && d.due.IsZero() {
		d.due = time.Now().Add(wait)
	}
	if d.msg != nil {
		s.readySize += d.size
	}
	if d.due.After(time.Now()) {
		d.state = waiting
		s.schedule(d)
	}
	switch {
	case s.conf.EnableMessageOrdering && key != "":
		s.join(d, key)
	case d.state != waiting:
		s.makeReady(d)
	}
}

func (s *subscription) makeReady(d *delivery) {
	d.state = ready
	s.ready.push(d)
	if d.lane == nil && s.chaos.reorder(d) {
		rest := s.ready.rest()
		rest[0], rest[len(rest)-1] = d, rest[0]
	}
}

// pump hands out what is ready to whoever has room for it, and sees to it that more comes.
func (s *subscription) pump() {
	if s.gone {
		return
	}
	for {
		d := s.firstReady()
		if d == nil {
			break
		}
		c := s.nextConsumer()
		if c == nil {
			break
		}
		s.ready.pop()
		s.hand(d, c)
	}
	s.fill()
	s.finishPulls()
	s.setAlarm()
}

// firstReady is the head of the ready ones, past those that were acknowledged or have expired while they waited.
func (s *subscription) firstReady() *delivery {
	oldest := seqAt(time.Now().Add(-s.retention()))
	for s.ready.len() > 0 {
		d := s.ready.front()
		switch {
		case d.state != ready:
			s.ready.pop()
		case d.seq < oldest:
			s.ready.pop()
			s.finish(d)
		default:
			return d
		}
	}
	return nil
}

// hand gives d to c and, of an ordering key, as many of the following as c may have at once.
func (s *subscription) hand(d *delivery, c *consumer) {
	s.give(d, c)
	if d.lane != nil {
		s.advance(d.lane)
	}
}

func (s *subscription) give(d *delivery, c *consumer) {
	s.turn++
	d.turn, d.state, d.holder = s.turn, out, c
	c.messages++
	c.bytes += d.size
	deadline := c.deadline
	if c.push {
		deadline = time.Duration(s.conf.AckDeadlineSeconds)*time.Second + pushGrace
	}
	d.due = time.Now().Add(deadline)
	s.schedule(d)
	h := handout{seq: d.seq, turn: d.turn, size: d.size, msg: d.msg}
	if s.conf.DeadLetterPolicy != nil {
		h.attempt = d.failed + 1
	}
	s.forgetBody(d)
	c.take(h)
	if !s.conf.EnableExactlyOnceDelivery && s.chaos.duplicate(d) {
		if c.push {
			c.messages++
			c.bytes += d.size
		}
		c.take(h)
	}
	if d.lane != nil {
		d.lane.handed(c)
	}
}

// forgetBody leaves the body to those who have the message now; should it come back, it is read from disk.
func (s *subscription) forgetBody(d *delivery) {
	if d.msg != nil {
		s.readySize -= d.size
		d.msg = nil
	}
}

func (s *subscription) retention() time.Duration {
	if r := s.conf.MessageRetentionDuration; r != nil {
		return r.AsDuration()
	}
	return defaultRetention
}
