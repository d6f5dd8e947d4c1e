package pubsub

import (
	"maps"
	"strconv"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/callout-dev/callout/emulator/storage"
)

// Attributes that production adds to a message that it sends to a dead-letter topic.
const (
	deadLetterCount   = "CloudPubSubDeadLetterSourceDeliveryCount"
	deadLetterSource  = "CloudPubSubDeadLetterSourceSubscription"
	deadLetterProject = "CloudPubSubDeadLetterSourceSubscriptionProject"
	deadLetterTime    = "CloudPubSubDeadLetterSourceTopicPublishTime"
)

// bury sends a message to the subscription's dead-letter topic, and ends its delivery in the same commit. Where that is not possible, the
// message goes on being delivered. It is called with the subscription's lock.
func (s *Server) bury(sub *subscription, d *delivery) {
	conf := sub.conf
	go func() {
		pub, err := s.letter(sub, conf, d)
		if err == nil && pub != nil {
			err = s.log.commit("dead letter", func(b *storage.Batch) error {
				if err := pub.stage(s.log, b); err != nil {
					return err
				}
				b.Set(seqKey(kindMark, sub.id, d.seq), ackedMark())
				return nil
			}, pub.deliver)
		}
		if err != nil {
			s.slog.Warn("dead letter failed", "subscription", sub.name, "message", d.seq, "error", err)
		}
		sub.buried(d, err == nil)
	}()
}

// letter is the message as it arrives at the dead-letter topic, nil if it is no longer kept.
func (s *Server) letter(sub *subscription, conf *pubsubpb.Subscription, d *delivery) (*publication, error) {
	t, err := s.topic(topicName(conf.DeadLetterPolicy.DeadLetterTopic))
	if err != nil {
		return nil, err
	}
	m, err := sub.store.get(sub.topic.id, d.seq)
	if err != nil || m == nil {
		return nil, err
	}
	attributes := maps.Clone(m.pb.Attributes)
	if attributes == nil {
		attributes = map[string]string{}
	}
	attributes[deadLetterCount] = strconv.Itoa(d.failed)
	attributes[deadLetterSource] = last(conf.Name)
	attributes[deadLetterProject] = project(conf.Name)
	attributes[deadLetterTime] = m.time.UTC().Format(time.RFC3339Nano)
	return prepare(t, []*pubsubpb.PubsubMessage{{Data: m.pb.Data, Attributes: attributes, OrderingKey: m.pb.OrderingKey}})
}

// buried ends the delivery of a message that moved, or takes it up again.
func (s *subscription) buried(d *delivery, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[d.seq] != d || d.state != moving {
		return // there was a seek in the meantime, or the subscription is no more
	}
	if ok {
		s.finish(d)
	} else {
		s.backOff(d)
	}
	s.pump()
}
