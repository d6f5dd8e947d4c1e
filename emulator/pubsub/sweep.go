package pubsub

import (
	"time"

	"github.com/callout-dev/callout/emulator/storage"
)

// sweepEvery is how often the server looks for what time alone has ended.
const sweepEvery = time.Minute

// sweep runs until the server closes.
func (s *Server) sweep() {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.stopping:
			return
		case <-ticker.C:
			s.sweepOnce(time.Now())
		}
	}
}

func (s *Server) sweepOnce(now time.Time) {
	s.admin.Lock()
	defer s.admin.Unlock()
	for _, sub := range s.allSubscriptions() {
		if sub.idle(now) {
			s.slog.Info("subscription expired", "subscription", sub.name)
			s.report("expire subscription", s.remove("expire subscription", sub))
			continue
		}
		sub.expire(now)
	}
	for _, n := range s.allSnapshots() {
		if now.After(n.config().ExpireTime.AsTime()) {
			s.report("expire snapshot", s.drop("expire snapshot", n))
		}
	}
	for _, t := range s.allTopics() {
		if t.stale(now) {
			err := s.log.commit("trim", func(b *storage.Batch) error { t.trim(b, now); return nil }, nil)
			s.report("trim", err)
		}
		s.hollow(t)
	}
	s.dropOrphans()
}

func (s *Server) report(operation string, err error) {
	if err != nil {
		s.slog.Error(operation+" failed", "error", err)
	}
}

// idle says whether the subscription's expiration policy ends it now.
func (s *subscription) idle(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ttl := s.conf.ExpirationPolicy.GetTtl()
	for _, c := range s.consumers {
		if !c.push {
			s.active = now // somebody is connected
		}
	}
	return ttl != nil && now.Sub(s.active) >= ttl.AsDuration()
}

// expire ends the messages that are older than the subscription keeps them, and tidies what it has on disk.
func (s *subscription) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	oldest := seqAt(now.Add(-s.retention()))
	for s.order.len() > 0 {
		d := s.order.front()
		if d.seq >= oldest || d.state == moving {
			break
		}
		if d.state == settled {
			s.order.pop()
			continue
		}
		s.drop(d)
	}
	if !s.loading && s.order.len() == 0 && s.read < min(oldest, s.tail) {
		s.read = min(oldest, s.tail)
	}
	if s.done() > seq(s.cursor.Load()) {
		s.saveProgress()
	}
	if s.marks > 0 && s.done() > s.cleared {
		s.marks = clearEvery
		s.saveProgress()
	}
	s.pump()
}

// drop ends a message that is too old, in whatever state it is.
func (s *subscription) drop(d *delivery) {
	s.release(d)
	if d.lane == nil {
		s.settle(d)
		return
	}
	if d.state == out {
		d.lane.out--
	}
	d.state = held
	s.finishOrdered(d)
}

// stale says whether the topic has something that trim would remove.
func (t *topic) stale(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.low < t.newest && t.lowest(now) > t.low
}

func (s *Server) allSnapshots() []*snapshot {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*snapshot, 0, len(s.snapshots))
	for _, n := range s.snapshots {
		all = append(all, n)
	}
	return all
}

func (s *Server) allTopics() []*topic {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*topic, 0, len(s.topics)+len(s.orphans))
	for _, t := range s.topics {
		all = append(all, t)
	}
	for _, t := range s.orphans {
		all = append(all, t)
	}
	return all
}

// dropOrphans removes what is left of deleted topics that nobody reads any more.
func (s *Server) dropOrphans() {
	for _, t := range s.allTopics() {
		t.mu.Lock()
		unused := t.deleted && t.holds == 0
		t.mu.Unlock()
		if !unused {
			continue
		}
		err := s.log.commit("drop topic", func(b *storage.Batch) error {
			b.DeleteRange(idKey(kindMessage, t.id), idKey(kindMessage, t.id+1))
			return nil
		}, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.orphans, t.id)
		})
		s.report("drop topic", err)
	}
}
