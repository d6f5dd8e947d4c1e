package pubsub

import (
	"context"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/callout-dev/callout/emulator/storage"
)

// publisher is the service google.pubsub.v1.Publisher.
type publisher struct {
	pubsubpb.UnimplementedPublisherServer
	s *Server
}

// Publish answers once the messages are durable. All of a request or none of it is accepted.
func (p publisher) Publish(ctx context.Context, req *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	name, err := parseTopic("topic", req.Topic)
	if err != nil {
		return nil, err
	}
	if err := checkMessages(req.Messages); err != nil {
		return nil, err
	}
	t, err := p.s.topic(name)
	if err != nil {
		return nil, err
	}
	pub, err := prepare(t, req.Messages)
	if err != nil {
		return nil, err
	}
	stage := func(b *storage.Batch) error { return pub.stage(p.s.log, b) }
	if err := p.s.log.commit("publish", stage, pub.deliver); err != nil {
		return nil, err
	}
	res := &pubsubpb.PublishResponse{MessageIds: make([]string, len(pub.messages))}
	for i, m := range pub.messages {
		res.MessageIds[i] = m.pb.MessageId
	}
	return res, nil
}

// CreateTopic makes a topic; its name is taken until it is deleted.
func (p publisher) CreateTopic(ctx context.Context, req *pubsubpb.Topic) (*pubsubpb.Topic, error) {
	name, err := parseTopic("name", req.Name)
	if err != nil {
		return nil, err
	}
	if err := checkTopic(req); err != nil {
		return nil, err
	}
	conf := proto.CloneOf(req)
	conf.SatisfiesPzs, conf.State, conf.Tags = false, pubsubpb.Topic_ACTIVE, nil

	p.s.admin.Lock()
	defer p.s.admin.Unlock()
	if _, err := p.s.topic(name); err == nil {
		return nil, alreadyExists(req.Name)
	}
	t := &topic{name: name, conf: conf}
	stage := func(b *storage.Batch) error {
		t.id, _ = p.s.log.stamp()
		return t.save(b, conf)
	}
	return conf, p.s.log.commit("create topic", stage, func() {
		p.s.mu.Lock()
		defer p.s.mu.Unlock()
		p.s.topics[name] = t
	})
}

// save stages the topic's record.
func (t *topic) save(b *storage.Batch, conf *pubsubpb.Topic) error {
	record, err := t.record(conf)
	if err != nil {
		return err
	}
	b.Set(nameKey(kindTopic, string(t.name)), record)
	return nil
}

// GetTopic answers NotFound for a topic that is not there.
func (p publisher) GetTopic(ctx context.Context, req *pubsubpb.GetTopicRequest) (*pubsubpb.Topic, error) {
	name, err := parseTopic("topic", req.Topic)
	if err != nil {
		return nil, err
	}
	t, err := p.s.topic(name)
	if err != nil {
		return nil, err
	}
	return t.config(), nil
}

// UpdateTopic changes the fields that the mask names.
func (p publisher) UpdateTopic(ctx context.Context, req *pubsubpb.UpdateTopicRequest) (*pubsubpb.Topic, error) {
	name, err := parseTopic("topic.name", req.Topic.GetName())
	if err != nil {
		return nil, err
	}
	p.s.admin.Lock()
	defer p.s.admin.Unlock()
	t, err := p.s.topic(name)
	if err != nil {
		return nil, err
	}
	conf := proto.CloneOf(t.config())
	if err := applyMask(conf, req.Topic, req.UpdateMask, topicMutable); err != nil {
		return nil, err
	}
	if err := checkTopic(conf); err != nil {
		return nil, err
	}
	return conf, p.s.log.commit("update topic", func(b *storage.Batch) error { return t.save(b, conf) }, func() {
		t.mu.Lock()
		t.conf = conf
		t.mu.Unlock()
		for _, sub := range t.subscriptions() {
			sub.wake()
		}
	})
}

// DeleteTopic takes the name off the topic. Its subscriptions keep what they have not delivered.
func (p publisher) DeleteTopic(ctx context.Context, req *pubsubpb.DeleteTopicRequest) (*emptypb.Empty, error) {
	name, err := parseTopic("topic", req.Topic)
	if err != nil {
		return nil, err
	}
	p.s.admin.Lock()
	defer p.s.admin.Unlock()
	t, err := p.s.topic(name)
	if err != nil {
		return nil, err
	}
	stage := func(b *storage.Batch) error {
		b.Delete(nameKey(kindTopic, req.Topic))
		return p.s.orphanSubscriptions(t, b)
	}
	return &emptypb.Empty{}, p.s.log.commit("delete topic", stage, func() { p.s.forgetTopic(t) })
}

// orphanSubscriptions stages the records of a deleted topic's subscriptions and snapshots.
func (s *Server) orphanSubscriptions(t *topic, b *storage.Batch) error {
	for _, sub := range s.allSubscriptions() {
		if sub.topic != t {
			continue
		}
		conf := proto.CloneOf(sub.config())
		conf.Topic = deletedTopic
		if err := sub.save(b, conf); err != nil {
			return err
		}
	}
	for _, snap := range t.held() {
		conf := proto.CloneOf(snap.config())
		conf.Topic = deletedTopic
		if err := snap.save(b, conf); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) forgetTopic(t *topic) {
	t.mu.Lock()
	t.deleted = true
	t.mu.Unlock()
	for _, sub := range s.allSubscriptions() {
		if sub.topic == t {
			sub.change(func(conf *pubsubpb.Subscription) { conf.Topic = deletedTopic })
		}
	}
	for _, snap := range t.held() {
		snap.change(func(conf *pubsubpb.Snapshot) { conf.Topic = deletedTopic })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.topics, t.name)
	s.orphans[t.id] = t
}
