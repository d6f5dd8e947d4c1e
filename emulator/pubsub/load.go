package pubsub

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/emulator/pubsub/filter"
	"github.com/callout-dev/callout/emulator/storage"
)

// load reads what exists from the store and sets it going.
func (s *Server) load() error {
	highest, err := s.loadHighest()
	if err != nil {
		return fmt.Errorf("open pub/sub: %w", err)
	}
	s.log = newJournal(s.store, highest)
	byID := map[id]*topic{}
	err = errors.Join(
		s.each(kindTopic, func(name string, value []byte) error { return s.loadTopic(name, value, byID) }),
		s.each(kindSubscription, func(name string, value []byte) error { return s.loadSubscription(name, value, byID, highest) }),
		s.each(kindSnapshot, func(name string, value []byte) error { return s.loadSnapshot(name, value, byID) }),
	)
	if err == nil { // only now is every topic known
		err = s.dropStrays(byID)
	}
	if err != nil {
		s.log.close()
		return fmt.Errorf("open pub/sub: %w", err)
	}
	for _, sub := range s.subs {
		sub.start(s)
	}
	return nil
}

func (s *Server) loadHighest() (seq, error) {
	value, err := s.store.Get([]byte{'p', kindHighest})
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	n, _, ok := cutUint64(value)
	if err == nil && !ok {
		err = errors.New("the highest sequence number is unreadable")
	}
	return seq(n), err
}

// each calls f with every record of a kind that is known by name.
func (s *Server) each(kind byte, f func(name string, value []byte) error) error {
	var bad error
	lower, upper := kindRange(kind)
	err := s.store.Scan(lower, upper, false, func(key, value []byte) bool {
		name := string(key[2:])
		if err := f(name, append([]byte(nil), value...)); err != nil {
			bad = fmt.Errorf("%s: %w", name, err)
		}
		return bad == nil
	})
	return errors.Join(err, bad)
}

func (s *Server) loadTopic(name string, value []byte, byID map[id]*topic) error {
	n, body, ok := cutUint64(value)
	conf := new(pubsubpb.Topic)
	if err := proto.Unmarshal(body, conf); err != nil || !ok {
		return fmt.Errorf("unreadable topic: %w", err)
	}
	t := &topic{id: id(n), name: topicName(name), conf: conf, newest: s.log.highest}
	s.topics[t.name] = t
	byID[t.id] = t
	return nil
}

// orphan is the topic of that id, or what is left of it.
func (s *Server) orphan(n id, byID map[id]*topic) *topic {
	if byID[n] == nil {
		byID[n] = &topic{id: n, name: deletedTopic, conf: &pubsubpb.Topic{Name: deletedTopic}, deleted: true, newest: s.log.highest}
		s.orphans[n] = byID[n]
	}
	return byID[n]
}

func (s *Server) loadSubscription(name string, value []byte, byID map[id]*topic, highest seq) error {
	n, rest, _ := cutUint64(value)
	topicID, body, ok := cutUint64(rest)
	conf := new(pubsubpb.Subscription)
	if err := proto.Unmarshal(body, conf); err != nil || !ok {
		return fmt.Errorf("unreadable subscription: %w", err)
	}
	t := s.orphan(id(topicID), byID)
	sub, err := s.newSubscription(id(n), t, conf)
	if err != nil {
		return err
	}
	progress, err := s.store.Get(idKey(kindProgress, sub.id))
	if err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	cursor, rest, _ := cutUint64(progress)
	active, _, ok := cutUint64(rest)
	if !ok {
		return errors.New("unreadable progress")
	}
	sub.active = time.Unix(0, int64(active))
	sub.cursor.Store(cursor)
	sub.read, sub.tail, sub.marked = seq(cursor), max(highest, seq(cursor)), highest
	sub.gone = conf.Detached
	if !conf.Detached {
		t.hold(1)
		t.attach(sub)
	}
	s.subs[sub.name] = sub
	return nil
}

// dropStrays removes the messages of topics that nothing in the store knows: they were deleted shortly before the server ended.
func (s *Server) dropStrays(known map[id]*topic) error {
	lower, upper := kindRange(kindMessage)
	b := s.store.NewBatch()
	for {
		var found *id
		err := s.store.Scan(lower, upper, false, func(key, _ []byte) bool {
			n, _, ok := cutUint64(key[2:])
			if ok {
				found = new(id(n))
			}
			return false
		})
		if err != nil {
			return err
		}
		if found == nil {
			break
		}
		lower = idKey(kindMessage, *found+1)
		if known[*found] == nil {
			b.DeleteRange(idKey(kindMessage, *found), lower)
		}
	}
	return s.store.CommitUnsynced(b)
}

// newSubscription makes the state of a subscription that has read nothing.
func (s *Server) newSubscription(n id, t *topic, conf *pubsubpb.Subscription) (*subscription, error) {
	f, err := filter.Parse(conf.Filter)
	if err != nil {
		return nil, invalid("filter", "%v", err)
	}
	sub := &subscription{
		id: n, name: subscriptionName(conf.Name), topic: t, store: backlog{s.store}, log: s.log, bury: s.bury, slog: s.slog, chaos: newChaos(s.hostile, subscriptionName(conf.Name)),
		conf: conf, filter: f, live: map[seq]*delivery{}, lanes: map[string]*lane{},
		turn: uint64(time.Now().UnixNano()), active: time.Now(), cursor: atomic.Uint64{},
	}
	sub.keepAcked.Store(keptAcked(conf))
	return sub, nil
}

// keptAcked is how long acknowledged messages are kept for a seek, 0 where they are not.
func keptAcked(conf *pubsubpb.Subscription) int64 {
	if !conf.RetainAckedMessages {
		return 0
	}
	return int64(conf.MessageRetentionDuration.AsDuration())
}

// start connects the pusher where the subscription has an endpoint.
func (s *subscription) start(server *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conf.PushConfig.GetPushEndpoint() != "" && !s.gone {
		s.consumers = append(s.consumers, server.pusher.consumer(s))
	}
	s.pump()
}

// stop ends all handing out. Calls of Pull and streams learn of it from the server.
func (s *subscription) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	if s.alarm != nil {
		s.alarm.Stop()
	}
}

// saveProgressNow stages progress even if nothing calls for it: the time of last activity is part of it.
func (s *subscription) saveProgressNow() {
	s.log.submit(write{synced: true, stage: func(b *storage.Batch) error {
		if err := s.stageProgress(b); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.deleted {
			b.Set(idKey(kindProgress, s.id), s.progress())
		}
		return nil
	}, done: s.progressSaved})
}
