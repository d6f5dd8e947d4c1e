package pubsub

import (
	"errors"
	"time"

	"github.com/callout-dev/callout/emulator/storage"
)

const (
	trimEvery  = 1024 // messages done with, before the topic's log is cut
	clearEvery = 4096 // marks, before those below the cursor are removed
	skipEvery  = 4096 // messages that the filter refused, before the cursor is moved over them
)

// saveProgress arranges that acknowledgements and failures reach the store with the next group of writes. They are not waited for: after a
// crash the last of them are delivered again.
func (s *subscription) saveProgress() {
	if s.staging {
		return
	}
	s.staging = true
	s.log.submit(write{stage: s.stageProgress, done: s.progressSaved})
}

// saveSynced waits until what was acknowledged so far is durable.
func (s *subscription) saveSynced() error {
	return s.log.commit("acknowledge", s.stageProgress, nil)
}

func (s *subscription) skip(n int) {
	s.skipped += n
	if s.skipped >= skipEvery {
		s.skipped = 0
		s.saveProgress()
	}
}

// done is the highest number up to which everything is done with.
func (s *subscription) done() seq {
	if s.order.len() > 0 {
		return s.order.front().seq - 1
	}
	return s.read
}

func (s *subscription) stageProgress(b *storage.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staging = false
	if s.deleted {
		return nil
	}
	cursor := s.done()
	for _, n := range s.acked {
		if n > cursor {
			s.mark(b, n, ackedMark())
		}
	}
	for _, d := range s.failed {
		if d.state != settled && d.state != acked {
			s.mark(b, d.seq, failureMark(d))
		}
	}
	if cursor > seq(s.cursor.Load()) {
		s.cursor.Store(uint64(cursor))
		b.Set(idKey(kindProgress, s.id), s.progress())
	}
	if s.marks >= clearEvery {
		s.clearMarks(b)
	}
	s.untrimmed += len(s.acked)
	s.acked, s.failed = s.acked[:0], s.failed[:0]
	if s.untrimmed >= trimEvery && s.topic.trim(b, time.Now()) {
		s.untrimmed = 0
	}
	return nil
}

func (s *subscription) progressSaved(err error) {
	if err != nil && !errors.Is(err, errClosing) {
		s.slog.Error("saving acknowledgements failed", "subscription", s.name, "error", err)
	}
}

func (s *subscription) mark(b *storage.Batch, n seq, value []byte) {
	b.Set(seqKey(kindMark, s.id, n), value)
	s.marked = max(s.marked, n)
	s.marks++
	s.holes++
}

// clearMarks removes the marks that the cursor has passed since the last time. The ranges it removes do not overlap: the store's cost of
// reading grows with the square of those that do, and a message that is tried again for days would add one each time.
func (s *subscription) clearMarks(b *storage.Batch) {
	cursor := seq(s.cursor.Load())
	if cursor <= s.cleared {
		return
	}
	lower, upper := seqRange(kindMark, s.id, s.cleared+1, cursor)
	b.DeleteRange(lower, upper)
	s.cleared, s.marks = cursor, 0
	if s.marked > cursor {
		s.marks = 1
	}
}

// progress is the record of how far the subscription is.
func (s *subscription) progress() []byte {
	return appendUint64(appendUint64(nil, s.cursor.Load()), uint64(s.active.UnixNano()))
}

// trim removes from the log what nobody can ask for again. It says whether there was anything.
func (t *topic) trim(b *storage.Batch, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	low := t.lowest(now)
	if low <= t.low {
		return false
	}
	lower, upper := seqRange(kindMessage, t.id, t.low+1, low)
	b.DeleteRange(lower, upper)
	t.low = low
	return true
}

// lowest is the number up to which nobody can ask for messages. A subscription's own part of it is what it has staged.
func (t *topic) lowest(now time.Time) seq {
	low := t.newest
	if t.holds > len(t.subs)+len(t.snapshots) {
		return 0 // one is being made, or loaded
	}
	for _, s := range t.subs {
		low = min(low, seq(s.cursor.Load()))
		if keep := s.keepAcked.Load(); keep > 0 {
			low = min(low, seqAt(now.Add(-time.Duration(keep))))
		}
	}
	for _, n := range t.snapshots {
		low = min(low, n.cursor)
	}
	if r := t.conf.GetMessageRetentionDuration(); r != nil {
		low = min(low, seqAt(now.Add(-r.AsDuration())))
	}
	return low
}
