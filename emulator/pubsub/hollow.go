package pubsub

import (
	"github.com/callout-dev/callout/emulator/storage"
)

const (
	hollowAfter = 4096 // acknowledgements above the cursor, before the log is hollowed out
	hollowChunk = 4096 // messages removed in one write
)

// hollow removes single messages from the log that everybody is done with, while an older one that nobody acknowledges keeps the log from
// being cut below it. Without this, one bad message would keep all that follow it on disk for as long as it is retried. The caller holds
// admin, so nobody seeks or subscribes meanwhile.
func (s *Server) hollow(t *topic) {
	subs := t.subscriptions()
	from, upto, needed := t.hollowRange(subs)
	for needed && from <= upto {
		chunk, next, err := s.doneWith(t, subs, from, upto)
		if err == nil && len(chunk) > 0 {
			err = s.log.commit("hollow out", func(b *storage.Batch) error {
				for _, n := range chunk {
					b.Delete(seqKey(kindMessage, t.id, n))
					for _, sub := range subs {
						b.Delete(seqKey(kindMark, sub.id, n))
					}
				}
				return nil
			}, nil)
		}
		if err != nil {
			s.report("hollow out", err)
			return
		}
		from = next
	}
}

// hollowRange is the part of the log that all subscriptions have read, and whether it is worth looking at.
func (t *topic) hollowRange(subs []*subscription) (from, upto seq, needed bool) {
	t.mu.Lock()
	from, upto = t.low+1, t.newest
	kept := len(t.snapshots) > 0 || t.conf.GetMessageRetentionDuration() != nil || t.holds != len(subs)
	t.mu.Unlock()
	for _, sub := range subs {
		if sub.keepAcked.Load() > 0 {
			kept = true
		}
		sub.mu.Lock()
		upto = min(upto, sub.read)
		needed = needed || sub.holes >= hollowAfter
		if needed {
			sub.holes = 0
		}
		sub.mu.Unlock()
	}
	return from, upto, needed && !kept
}

// doneWith is the next messages that no subscription has open, and where to go on.
func (s *Server) doneWith(t *topic, subs []*subscription, from, upto seq) (chunk []seq, next seq, err error) {
	lower, upper := seqRange(kindMessage, t.id, from, upto)
	next = upto + 1
	looked := 0
	err = s.store.Scan(lower, upper, false, func(key, _ []byte) bool {
		n := seqOf(key)
		if looked == hollowChunk {
			next = n
			return false
		}
		looked++
		chunk = append(chunk, n)
		return true
	})
	for _, sub := range subs {
		sub.mu.Lock()
		closed := chunk[:0]
		for _, n := range chunk {
			if sub.live[n] == nil {
				closed = append(closed, n)
			}
		}
		chunk = closed
		sub.mu.Unlock()
	}
	return chunk, next, err
}
