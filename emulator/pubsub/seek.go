package pubsub

import (
	"context"
	"errors"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"github.com/callout-dev/callout/emulator/storage"
)

// Seek moves a subscription to a time or to a snapshot. What is outstanding is forgotten.
func (r subscriber) Seek(ctx context.Context, req *pubsubpb.SeekRequest) (*pubsubpb.SeekResponse, error) {
	sub, err := r.named(req.Subscription)
	if err != nil {
		return nil, err
	}
	r.s.admin.Lock()
	defer r.s.admin.Unlock()
	if sub.config().Detached {
		return nil, precondition("subscription %s is detached from its topic", req.Subscription)
	}
	var stage func(*storage.Batch) error
	switch target := req.Target.(type) {
	case *pubsubpb.SeekRequest_Time:
		if !target.Time.IsValid() {
			return nil, invalid("time", "is no time")
		}
		stage, err = r.s.seekTime(sub, target.Time.AsTime())
	case *pubsubpb.SeekRequest_Snapshot:
		stage, err = r.s.seekSnapshot(sub, target.Snapshot)
	default:
		err = invalid("target", "is required: a time or a snapshot")
	}
	if err != nil {
		return nil, err
	}
	return &pubsubpb.SeekResponse{}, r.s.log.commit("seek", stage, sub.wake)
}

// seekTime marks what was published before t as acknowledged, and what was published from then on as not, as far as it is retained.
func (s *Server) seekTime(sub *subscription, t time.Time) (func(*storage.Batch) error, error) {
	target, err := s.lastBefore(sub.topic.id, t)
	if err != nil {
		return nil, stored("seek", err)
	}
	return func(b *storage.Batch) error {
		sub.mu.Lock()
		defer sub.mu.Unlock()
		old, floor := sub.done(), sub.replayFloor()
		cursor := max(target, min(old, floor))
		if target >= floor {
			cursor = target
		}
		cursor = min(cursor, max(s.log.highest, old))
		for _, n := range sub.acked {
			if n > cursor {
				sub.mark(b, n, ackedMark())
			}
		}
		if keep := max(cursor, floor); keep < s.log.highest {
			b.DeleteRange(seqKey(kindMark, sub.id, keep+1), idKey(kindMark, sub.id+1))
		}
		sub.moveTo(b, cursor, s.log.highest)
		return nil
	}, nil
}

// replayFloor is up to where acknowledged messages are no longer retained, so that no seek brings them back.
func (s *subscription) replayFloor() seq {
	var keep time.Duration
	if s.conf.RetainAckedMessages {
		keep = s.retention()
	}
	if r := s.topic.config().GetMessageRetentionDuration(); r != nil {
		keep = max(keep, r.AsDuration())
	}
	if keep == 0 {
		return ^seq(0) >> 1
	}
	return seqAt(time.Now().Add(-keep))
}

// lastBefore is the highest number that a message of the topic published before t has or could have.
func (s *Server) lastBefore(t id, at time.Time) (seq, error) {
	from := seqAt(at)
	n := from
	if n > 0 {
		n--
	}
	lower, upper := seqRange(kindMessage, t, from, ^seq(0))
	err := s.store.Scan(lower, upper, false, func(key, value []byte) bool {
		published, _, ok := cutUint64(value)
		if !ok || !time.Unix(0, int64(published)).Before(at) {
			return false
		}
		n = seqOf(key)
		return true
	})
	return n, err
}

// moveTo stages the new position and takes it in memory too, so that no progress of before is written after it. Highest is the last number
// given.
func (s *subscription) moveTo(b *storage.Batch, cursor, highest seq) {
	s.forgetAll()
	s.read, s.tail, s.marked, s.cleared = cursor, max(cursor, highest), highest, min(s.cleared, cursor)
	s.cursor.Store(uint64(cursor))
	s.active = time.Now()
	b.Set(idKey(kindProgress, s.id), s.progress())
}

// seekSnapshot makes the subscription's messages as they were when the snapshot was taken.
func (s *Server) seekSnapshot(sub *subscription, name string) (func(*storage.Batch) error, error) {
	parsed, err := parseSnapshot("snapshot", name)
	if err != nil {
		return nil, err
	}
	n, err := s.snapshot(parsed)
	if err != nil {
		return nil, err
	}
	if n.topic != sub.topic {
		return nil, precondition("snapshot %s is not of the topic of subscription %s", name, sub.name)
	}
	marks, err := s.acknowledgedIn(n)
	if err != nil {
		return nil, stored("seek", err)
	}
	return func(b *storage.Batch) error {
		sub.mu.Lock()
		defer sub.mu.Unlock()
		b.DeleteRange(idKey(kindMark, sub.id), idKey(kindMark, sub.id+1))
		for _, q := range marks {
			sub.mark(b, q, ackedMark())
		}
		sub.moveTo(b, n.cursor, s.log.highest)
		return nil
	}, nil
}

// acknowledgedIn is what the snapshot has as acknowledged above its cursor.
func (s *Server) acknowledgedIn(n *snapshot) ([]seq, error) {
	var marks []seq
	open := map[seq]bool{}
	err := s.store.Scan(idKey(kindSnapshotMark, n.id), idKey(kindSnapshotMark, n.id+1), false, func(key, value []byte) bool {
		if q := seqOf(key); isAcked(value) {
			marks = append(marks, q)
		} else {
			open[q] = true
		}
		return true
	})
	lower, upper := seqRange(kindMessage, n.topic.id, n.cursor+1, n.read)
	err = errors.Join(err, s.store.Scan(lower, upper, false, func(key, _ []byte) bool {
		if q := seqOf(key); !open[q] {
			marks = append(marks, q)
		}
		return true
	}))
	return marks, err
}
