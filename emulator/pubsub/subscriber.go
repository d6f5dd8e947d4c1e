package pubsub

import (
	"context"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/callout-dev/callout/emulator/storage"
)

// subscriber is the service google.pubsub.v1.Subscriber.
type subscriber struct {
	pubsubpb.UnimplementedSubscriberServer
	s *Server
}

// fillDefaults sets what a caller may leave out to what production then shows.
func fillDefaults(conf *pubsubpb.Subscription) {
	if conf.AckDeadlineSeconds == 0 {
		conf.AckDeadlineSeconds = defaultDeadline
	}
	if conf.MessageRetentionDuration == nil {
		conf.MessageRetentionDuration = durationpb.New(defaultRetention)
	}
	if conf.ExpirationPolicy == nil {
		conf.ExpirationPolicy = &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(defaultExpiration)}
	}
	if conf.PushConfig == nil {
		conf.PushConfig = &pubsubpb.PushConfig{}
	}
	if p := conf.DeadLetterPolicy; p != nil && p.MaxDeliveryAttempts == 0 {
		p.MaxDeliveryAttempts = leastAttempts
	}
	if p := conf.RetryPolicy; p != nil {
		if p.MinimumBackoff == nil {
			p.MinimumBackoff = durationpb.New(retryLeast)
		}
		if p.MaximumBackoff == nil {
			p.MaximumBackoff = durationpb.New(retryMost)
		}
	}
	conf.TopicMessageRetentionDuration, conf.AnalyticsHubSubscriptionInfo, conf.Tags = nil, nil, nil
	conf.State = pubsubpb.Subscription_ACTIVE
}

// checkDeadLetterTopic holds that the topic of the policy, where there is one, exists.
func (s *Server) checkDeadLetterTopic(conf *pubsubpb.Subscription) error {
	if conf.DeadLetterPolicy == nil {
		return nil
	}
	name, err := parseTopic("dead_letter_policy.dead_letter_topic", conf.DeadLetterPolicy.DeadLetterTopic)
	if err != nil {
		return err
	}
	_, err = s.topic(name)
	return err
}

// CreateSubscription makes a subscription that gets every message published after the answer.
func (r subscriber) CreateSubscription(ctx context.Context, req *pubsubpb.Subscription) (*pubsubpb.Subscription, error) {
	name, err := parseSubscription("name", req.Name)
	if err != nil {
		return nil, err
	}
	topicName, err := parseTopic("topic", req.Topic)
	if err != nil {
		return nil, err
	}
	conf := proto.CloneOf(req)
	conf.Detached = false
	fillDefaults(conf)
	if err := r.s.checkSubscription(conf); err != nil {
		return nil, err
	}
	r.s.admin.Lock()
	defer r.s.admin.Unlock()
	if _, err := r.s.subscription(name); err == nil {
		return nil, alreadyExists(req.Name)
	}
	t, err := r.s.topic(topicName)
	if err != nil {
		return nil, err
	}
	if err := r.s.checkDeadLetterTopic(conf); err != nil {
		return nil, err
	}
	sub, err := r.s.newSubscription(0, t, conf)
	if err != nil {
		return nil, err
	}
	t.hold(1)
	stage := func(b *storage.Batch) error {
		sub.id, _ = r.s.log.stamp()
		sub.cursor.Store(uint64(sub.id))
		sub.read, sub.tail = sub.id, sub.id
		b.Set(idKey(kindProgress, sub.id), sub.progress())
		return sub.save(b, conf)
	}
	err = r.s.log.commit("create subscription", stage, func() {
		t.attach(sub)
		r.s.mu.Lock()
		r.s.subs[name] = sub
		r.s.mu.Unlock()
		sub.start(r.s)
	})
	if err != nil {
		t.hold(-1)
		return nil, err
	}
	return sub.shown(), nil
}

// save stages the subscription's record.
func (s *subscription) save(b *storage.Batch, conf *pubsubpb.Subscription) error {
	record, err := s.record(conf)
	if err != nil {
		return err
	}
	b.Set(nameKey(kindSubscription, string(s.name)), record)
	return nil
}

// shown is the subscription as the API gives it out.
func (s *subscription) shown() *pubsubpb.Subscription {
	conf := s.config()
	if retention := s.topic.config().GetMessageRetentionDuration(); retention != nil {
		conf = proto.CloneOf(conf)
		conf.TopicMessageRetentionDuration = retention
	}
	return conf
}

// change replaces the configuration by a changed copy.
func (s *subscription) change(f func(conf *pubsubpb.Subscription)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conf := proto.CloneOf(s.conf)
	f(conf)
	s.conf = conf
}

// named finds a subscription by the name in a request.
func (r subscriber) named(s string) (*subscription, error) {
	name, err := parseSubscription("subscription", s)
	if err != nil {
		return nil, err
	}
	return r.s.subscription(name)
}

// GetSubscription answers NotFound for one that is not there.
func (r subscriber) GetSubscription(ctx context.Context, req *pubsubpb.GetSubscriptionRequest) (*pubsubpb.Subscription, error) {
	sub, err := r.named(req.Subscription)
	if err != nil {
		return nil, err
	}
	return sub.shown(), nil
}

// UpdateSubscription changes the fields that the mask names.
func (r subscriber) UpdateSubscription(ctx context.Context, req *pubsubpb.UpdateSubscriptionRequest) (*pubsubpb.Subscription, error) {
	name, err := parseSubscription("subscription.name", req.Subscription.GetName())
	if err != nil {
		return nil, err
	}
	return r.update(name, func(conf *pubsubpb.Subscription) error {
		return applyMask(conf, req.Subscription, req.UpdateMask, subscriptionMutable)
	})
}

// ModifyPushConfig changes between push and pull, or where to push.
func (r subscriber) ModifyPushConfig(ctx context.Context, req *pubsubpb.ModifyPushConfigRequest) (*emptypb.Empty, error) {
	name, err := parseSubscription("subscription", req.Subscription)
	if err != nil {
		return nil, err
	}
	if req.PushConfig == nil {
		return nil, invalid("push_config", "is required; an empty one makes a pull subscription")
	}
	_, err = r.update(name, func(conf *pubsubpb.Subscription) error {
		conf.PushConfig = proto.CloneOf(req.PushConfig)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}

func (r subscriber) update(name subscriptionName, change func(*pubsubpb.Subscription) error) (*pubsubpb.Subscription, error) {
	r.s.admin.Lock()
	defer r.s.admin.Unlock()
	sub, err := r.s.subscription(name)
	if err != nil {
		return nil, err
	}
	conf := proto.CloneOf(sub.config())
	before := conf.DeadLetterPolicy.GetDeadLetterTopic()
	if err := change(conf); err != nil {
		return nil, err
	}
	fillDefaults(conf)
	if err := r.s.checkSubscription(conf); err != nil {
		return nil, err
	}
	if conf.DeadLetterPolicy.GetDeadLetterTopic() != before {
		if err := r.s.checkDeadLetterTopic(conf); err != nil {
			return nil, err
		}
	}
	err = r.s.log.commit("update subscription", func(b *storage.Batch) error { return sub.save(b, conf) }, func() {
		sub.reconfigure(conf, r.s.pusher)
	})
	if err != nil {
		return nil, err
	}
	return sub.shown(), nil
}

// reconfigure puts a new configuration to use.
func (s *subscription) reconfigure(conf *pubsubpb.Subscription, p *pusher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf = conf
	s.active = time.Now()
	s.keepAcked.Store(keptAcked(conf))
	push := conf.PushConfig.GetPushEndpoint() != ""
	had := false
	for _, c := range s.consumers {
		if c.push {
			had = true
			if !push {
				s.dropConsumer(c)
			}
			break
		}
	}
	if push && !had && !s.gone {
		s.consumers = append(s.consumers, p.consumer(s))
	}
	s.pump()
}

// wake looks again at what can be handed out, after something outside changed.
func (s *subscription) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pump()
}
