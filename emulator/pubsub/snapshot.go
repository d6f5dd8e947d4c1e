package pubsub

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/emulator/storage"
)

// A snapshot lives so long less the age of the oldest message in it, and is refused where that leaves too little.
const (
	snapshotLife      = 7 * 24 * time.Hour
	leastSnapshotLife = time.Hour
)

// snapshot is what a subscription had not acknowledged at one moment: of the messages up to read, those that are listed; and everything
// after read but for those that are listed as acknowledged.
type snapshot struct {
	id     id
	name   snapshotName
	topic  *topic
	cursor seq // everything up to here was acknowledged
	read   seq

	mu   sync.Mutex
	conf *pubsubpb.Snapshot // replaced, never changed
}

func (n *snapshot) config() *pubsubpb.Snapshot {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conf
}

func (n *snapshot) change(f func(conf *pubsubpb.Snapshot)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	conf := proto.CloneOf(n.conf)
	f(conf)
	n.conf = conf
}

func (n *snapshot) save(b *storage.Batch, conf *pubsubpb.Snapshot) error {
	var record []byte
	for _, v := range []uint64{uint64(n.id), uint64(n.topic.id), uint64(n.cursor), uint64(n.read)} {
		record = appendUint64(record, v)
	}
	record, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(record, conf)
	if err != nil {
		return err
	}
	b.Set(nameKey(kindSnapshot, string(n.name)), record)
	return nil
}

func (s *Server) loadSnapshot(name string, value []byte, byID map[id]*topic) error {
	var head [4]uint64
	for i := range head {
		var ok bool
		if head[i], value, ok = cutUint64(value); !ok {
			return errors.New("unreadable snapshot")
		}
	}
	conf := new(pubsubpb.Snapshot)
	if err := proto.Unmarshal(value, conf); err != nil {
		return fmt.Errorf("unreadable snapshot: %w", err)
	}
	n := &snapshot{id: id(head[0]), name: snapshotName(name), topic: s.orphan(id(head[1]), byID), cursor: seq(head[2]), read: seq(head[3]), conf: conf}
	n.topic.keep(n)
	s.snapshots[n.name] = n
	return nil
}

func (s *Server) snapshot(name snapshotName) (*snapshot, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := s.snapshots[name]; n != nil {
		return n, nil
	}
	return nil, notFound(string(name))
}

// held is the snapshots that keep messages of the topic.
func (t *topic) held() []*snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snapshots
}

func (t *topic) keep(n *snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.snapshots = append(slices.Clip(t.snapshots), n)
	t.holds++
}

func (t *topic) release(n *snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.snapshots, n); i >= 0 {
		t.snapshots = slices.Delete(slices.Clone(t.snapshots), i, i+1)
		t.holds--
	}
}

// capture stages the state of the subscription as n's.
func (s *subscription) capture(b *storage.Batch, n *snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	n.cursor, n.read = s.done(), s.read
	var age time.Duration // of the oldest message that is not acknowledged, or of what stands before it
	if s.order.len() > 0 || s.read < s.tail {
		age = max(now.Sub(time.UnixMicro(int64(n.cursor))), 0)
	}
	expire := now.Add(snapshotLife - age)
	if expire.Before(now.Add(leastSnapshotLife)) {
		return precondition("subscription %s has messages so old that the snapshot would expire within the hour", s.name)
	}
	n.conf.ExpireTime = timestamppb.New(expire)
	for q := range s.live {
		b.Set(seqKey(kindSnapshotMark, n.id, q), nil)
	}
	if s.read >= s.marked {
		return nil
	}
	lower, upper := seqRange(kindMark, s.id, s.read+1, s.marked)
	return s.store.store.Scan(lower, upper, false, func(key, value []byte) bool {
		if isAcked(value) {
			b.Set(seqKey(kindSnapshotMark, n.id, seqOf(key)), ackedMark())
		}
		return true
	})
}
