package pubsub

import (
	"context"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// How long a call of Pull waits for a first message, and what one answer holds at most.
const (
	pullWait     = 30 * time.Second
	pullMessages = 1000
	pullBytes    = 9 << 20
)

// Pull answers as soon as there is a message; after half a minute, or at once with return_immediately, it answers with none.
func (r subscriber) Pull(ctx context.Context, req *pubsubpb.PullRequest) (*pubsubpb.PullResponse, error) {
	sub, err := r.named(req.Subscription)
	if err != nil {
		return nil, err
	}
	if req.MaxMessages <= 0 {
		return nil, invalid("max_messages", "is %d; it must be positive", req.MaxMessages)
	}
	conf := sub.config()
	if err := pullable(conf); err != nil {
		return nil, err
	}
	//lint:ignore SA1019 clients still send it
	p := &pull{immediate: req.ReturnImmediately, ended: make(chan struct{})}
	c := &consumer{
		maxMessages: int(min(req.MaxMessages, pullMessages)), maxBytes: pullBytes, many: true, pull: p,
		deadline: time.Duration(conf.AckDeadlineSeconds) * time.Second,
		take:     func(h handout) { p.got = append(p.got, h) },
	}
	c.ended = func(why error) { p.err = why; close(p.ended) }
	if err := sub.addConsumer(c); err != nil {
		return nil, err
	}
	wait := time.NewTimer(pullWait)
	defer wait.Stop()
	select {
	case <-p.ended:
	case <-ctx.Done():
	case <-wait.C:
	case <-r.s.stopping:
	}
	sub.removeConsumer(c)
	if p.err != nil {
		return nil, p.err
	}
	if ctx.Err() != nil {
		sub.giveBack(p.got)
		return nil, ctx.Err()
	}
	received, err := sub.received(p.got)
	return &pubsubpb.PullResponse{ReceivedMessages: received}, err
}

// pullable refuses to pull from what is pushed or detached.
func pullable(conf *pubsubpb.Subscription) error {
	if conf.Detached {
		return precondition("subscription %s is detached from its topic", conf.Name)
	}
	if conf.PushConfig.GetPushEndpoint() != "" {
		return precondition("subscription %s has a push_config.push_endpoint: it cannot be pulled from", conf.Name)
	}
	return nil
}

// received turns what was handed out into what clients get, reading from disk what is not in memory. Messages that are no longer kept are
// done with.
func (s *subscription) received(handouts []handout) ([]*pubsubpb.ReceivedMessage, error) {
	out := make([]*pubsubpb.ReceivedMessage, 0, len(handouts))
	for _, h := range handouts {
		m, err := s.body(h)
		if err != nil {
			return nil, stored("pull", err)
		}
		if m == nil {
			continue
		}
		out = append(out, &pubsubpb.ReceivedMessage{
			AckId: ackID{sub: s.id, seq: h.seq, turn: h.turn}.String(), Message: m.pb, DeliveryAttempt: int32(h.attempt),
		})
	}
	return out, nil
}

// body is the message of a handout, nil if it is gone.
func (s *subscription) body(h handout) (*message, error) {
	if h.msg != nil {
		return h.msg, nil
	}
	m, err := s.store.get(s.topic.id, h.seq)
	if err == nil && m == nil {
		s.acknowledgeAll([]ackID{{sub: s.id, seq: h.seq, turn: h.turn}})
	}
	return m, err
}
