package pubsub

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/callout-dev/callout/emulator/storage"
)

// What is read from the log in one go.
const (
	chunkMessages = 512
	chunkBytes    = 4 << 20
	chunkScanned  = 8192 // messages looked at, the ones that the filter refuses included
)

// backlog reads topics' logs.
type backlog struct{ store *storage.Store }

// entry is one message as the log has it for one subscription.
type entry struct {
	msg    *message
	failed int
	due    time.Time
}

// get reads one message, nil if it is no longer kept.
func (b backlog) get(topic id, n seq) (*message, error) {
	value, err := b.store.Get(seqKey(kindMessage, topic, n))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeMessage(n, value)
}

// scan is what one reading of the log is asked for.
type scan struct {
	topic    id
	sub      id
	from, to seq
	marks    bool // look for marks of the subscription too
	match    func(attributes map[string]string) bool
}

// read gives the messages of a scan that are not acknowledged. Upto is where it stopped: everything up to there was looked at.
func (b backlog) read(q scan) (entries []entry, skipped int, upto seq, err error) {
	marks := map[seq][]byte{}
	snap := b.store.Snapshot()
	defer snap.Close()
	lower, upper := seqRange(kindMessage, q.topic, q.from, q.to)
	upto = q.to
	bytes, looked := 0, 0
	var bad error
	var pending []*message
	err = snap.Scan(lower, upper, false, func(key, value []byte) bool {
		n := seqOf(key)
		if len(pending) == chunkMessages || bytes >= chunkBytes || looked == chunkScanned {
			upto = n - 1
			return false
		}
		looked++
		m, err := decodeMessage(n, value)
		if err != nil {
			bad = err
			return false
		}
		if !q.match(m.pb.Attributes) {
			skipped++
			return true
		}
		bytes += m.size
		pending = append(pending, m)
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, 0, 0, err
	}
	if q.marks && len(pending) > 0 {
		lower, upper := seqRange(kindMark, q.sub, q.from, upto)
		err = snap.Scan(lower, upper, false, func(key, value []byte) bool {
			marks[seqOf(key)] = append([]byte(nil), value...)
			return true
		})
	}
	for _, m := range pending {
		e := entry{msg: m}
		mark, ok := marks[m.seq]
		if ok && isAcked(mark) {
			skipped++
			continue
		}
		if ok {
			e.failed, e.due = readFailure(mark)
		}
		entries = append(entries, e)
	}
	return entries, skipped, upto, err
}

// A mark is one zero byte for an acknowledged message; else the number of failures and when the back-off ends.
func ackedMark() []byte        { return []byte{0} }
func isAcked(mark []byte) bool { return len(mark) == 1 && mark[0] == 0 }
func failureMark(d *delivery) []byte {
	b := binary.AppendUvarint([]byte{1}, uint64(d.failed))
	return binary.AppendVarint(b, d.due.UnixNano())
}

func readFailure(mark []byte) (failed int, due time.Time) {
	n, used := binary.Uvarint(mark[1:])
	if used <= 0 {
		return 0, time.Time{}
	}
	at, used := binary.Varint(mark[1+used:])
	if used <= 0 {
		return int(n), time.Time{}
	}
	return int(n), time.Unix(0, at)
}

// fill starts to read from disk if that is where the next message is, and somebody waits for it.
func (s *subscription) fill() {
	if s.loading || s.ailing || s.read >= s.tail || len(s.consumers) == 0 || !s.room() {
		return
	}
	if s.ready.len() > maxReady/2 || s.readySize > maxReadyBytes/2 {
		return // read in large pieces
	}
	if oldest := seqAt(time.Now().Add(-s.retention())); s.read < oldest {
		s.read = min(oldest, s.tail)
	}
	s.loading = true
	q := scan{topic: s.topic.id, sub: s.id, from: s.read + 1, to: s.tail, marks: s.read < s.marked, match: s.filter.Match}
	go s.load(q, s.epoch)
}

// load reads one piece of the backlog.
func (s *subscription) load(q scan, epoch int) {
	entries, skipped, upto, err := s.store.read(q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != epoch || s.gone {
		return
	}
	s.loading = false
	if err != nil {
		s.slog.Error("reading the backlog failed", "subscription", s.name, "error", err)
		s.ailing = true
		time.AfterFunc(time.Second, func() { s.retryLoad(epoch) })
		s.pump()
		return
	}
	s.read = max(s.read, upto)
	s.skip(skipped)
	for _, e := range entries {
		s.track(&delivery{seq: e.msg.seq, size: e.msg.size, msg: e.msg, failed: e.failed, due: e.due}, e.msg.pb.OrderingKey)
	}
	s.pump()
}

func (s *subscription) retryLoad(epoch int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == epoch {
		s.ailing = false
		s.pump()
	}
}
