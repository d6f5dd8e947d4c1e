package pubsub

import (
	"context"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/callout-dev/callout/emulator/storage"
)

// DeleteSubscription removes it with all that it has not delivered.
func (r subscriber) DeleteSubscription(ctx context.Context, req *pubsubpb.DeleteSubscriptionRequest) (*emptypb.Empty, error) {
	name, err := parseSubscription("subscription", req.Subscription)
	if err != nil {
		return nil, err
	}
	r.s.admin.Lock()
	defer r.s.admin.Unlock()
	sub, err := r.s.subscription(name)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, r.s.remove("delete subscription", sub)
}

// remove deletes a subscription; the caller holds admin.
func (s *Server) remove(operation string, sub *subscription) error {
	stage := func(b *storage.Batch) error {
		b.Delete(nameKey(kindSubscription, string(sub.name)))
		b.Delete(idKey(kindProgress, sub.id))
		b.DeleteRange(idKey(kindMark, sub.id), idKey(kindMark, sub.id+1))
		return nil
	}
	return s.log.commit(operation, stage, func() {
		s.mu.Lock()
		delete(s.subs, sub.name)
		s.mu.Unlock()
		attached := sub.end(notFound(string(sub.name)), true)
		if attached {
			sub.topic.detach(sub)
		}
	})
}

// end stops all handing out for good; consumers learn why. It says whether the subscription was attached until now.
func (s *subscription) end(why error, deleted bool) (attached bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	attached = !s.conf.Detached
	s.gone = true
	s.deleted = s.deleted || deleted
	s.forgetAll()
	for _, c := range s.consumers {
		if c.ended != nil {
			c.ended(why)
		}
	}
	s.consumers = nil
	return attached
}

// forgetAll drops what is in memory of the messages. What is under way is not waited for, and its end is ignored.
func (s *subscription) forgetAll() {
	s.epoch++
	s.loading, s.ailing = false, false
	for _, d := range s.live {
		d.at = -1
		s.releaseHolder(d)
	}
	s.live, s.lanes = map[seq]*delivery{}, map[string]*lane{}
	s.order, s.ready, s.readySize = queue{}, queue{}, 0
	s.timed, s.acked, s.failed = nil, nil, nil
	if s.alarm != nil {
		s.alarm.Stop()
		s.alarmAt = time.Time{}
	}
}

// DetachSubscription takes a subscription off its topic: it gets nothing more, and what it had is dropped.
func (p publisher) DetachSubscription(ctx context.Context, req *pubsubpb.DetachSubscriptionRequest) (*pubsubpb.DetachSubscriptionResponse, error) {
	name, err := parseSubscription("subscription", req.Subscription)
	if err != nil {
		return nil, err
	}
	p.s.admin.Lock()
	defer p.s.admin.Unlock()
	sub, err := p.s.subscription(name)
	if err != nil {
		return nil, err
	}
	conf := proto.CloneOf(sub.config())
	if conf.Detached {
		return &pubsubpb.DetachSubscriptionResponse{}, nil
	}
	conf.Detached = true
	stage := func(b *storage.Batch) error {
		b.DeleteRange(idKey(kindMark, sub.id), idKey(kindMark, sub.id+1))
		return sub.save(b, conf)
	}
	return &pubsubpb.DetachSubscriptionResponse{}, p.s.log.commit("detach subscription", stage, func() {
		sub.end(precondition("subscription %s is detached from its topic", name), false)
		sub.topic.detach(sub)
		sub.change(func(c *pubsubpb.Subscription) { c.Detached = true })
	})
}
