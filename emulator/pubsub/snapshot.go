package pubsub

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
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

// CreateSnapshot keeps what the subscription has not acknowledged, and everything published from now on.
func (r subscriber) CreateSnapshot(ctx context.Context, req *pubsubpb.CreateSnapshotRequest) (*pubsubpb.Snapshot, error) {
	sub, err := r.named(req.Subscription)
	if err != nil {
		return nil, err
	}
	if req.Name == "" {
		req.Name = "projects/" + project(req.Subscription) + "/snapshots/s-" + strings.ToLower(rand.Text())
	}
	name, err := parseSnapshot("name", req.Name)
	if err != nil {
		return nil, err
	}
	if err := checkLabels(req.Labels); err != nil {
		return nil, err
	}
	r.s.admin.Lock()
	defer r.s.admin.Unlock()
	if _, err := r.s.snapshot(name); err == nil {
		return nil, alreadyExists(req.Name)
	}
	if conf := sub.config(); conf.Detached || conf.Topic == deletedTopic {
		return nil, precondition("subscription %s has no topic", req.Subscription)
	}
	n := &snapshot{name: name, topic: sub.topic, conf: &pubsubpb.Snapshot{Name: req.Name, Topic: sub.config().Topic, Labels: req.Labels}}
	stage := func(b *storage.Batch) error {
		n.id, _ = r.s.log.stamp()
		if err := sub.capture(b, n); err != nil {
			return err
		}
		n.topic.keep(n) // from here on nothing of it is trimmed
		return n.save(b, n.conf)
	}
	err = r.s.log.commit("create snapshot", stage, func() {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		r.s.snapshots[name] = n
	})
	if err != nil {
		n.topic.release(n)
		return nil, err
	}
	return n.config(), nil
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

// GetSnapshot answers NotFound for one that is not there.
func (r subscriber) GetSnapshot(ctx context.Context, req *pubsubpb.GetSnapshotRequest) (*pubsubpb.Snapshot, error) {
	name, err := parseSnapshot("snapshot", req.Snapshot)
	if err != nil {
		return nil, err
	}
	n, err := r.s.snapshot(name)
	if err != nil {
		return nil, err
	}
	return n.config(), nil
}

// UpdateSnapshot changes the labels, or how long it is kept.
func (r subscriber) UpdateSnapshot(ctx context.Context, req *pubsubpb.UpdateSnapshotRequest) (*pubsubpb.Snapshot, error) {
	name, err := parseSnapshot("snapshot.name", req.Snapshot.GetName())
	if err != nil {
		return nil, err
	}
	r.s.admin.Lock()
	defer r.s.admin.Unlock()
	n, err := r.s.snapshot(name)
	if err != nil {
		return nil, err
	}
	conf := proto.CloneOf(n.config())
	if err := applyMask(conf, req.Snapshot, req.UpdateMask, snapshotMutable); err != nil {
		return nil, err
	}
	if err := checkLabels(conf.Labels); err != nil {
		return nil, err
	}
	if at := conf.ExpireTime.AsTime(); !conf.ExpireTime.IsValid() || at.Before(time.Now()) || at.After(time.Now().Add(snapshotLife)) {
		return nil, invalid("snapshot.expire_time", "must be within %v from now", snapshotLife)
	}
	return conf, r.s.log.commit("update snapshot", func(b *storage.Batch) error { return n.save(b, conf) }, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.conf = conf
	})
}

// DeleteSnapshot lets go what it kept.
func (r subscriber) DeleteSnapshot(ctx context.Context, req *pubsubpb.DeleteSnapshotRequest) (*emptypb.Empty, error) {
	name, err := parseSnapshot("snapshot", req.Snapshot)
	if err != nil {
		return nil, err
	}
	r.s.admin.Lock()
	defer r.s.admin.Unlock()
	n, err := r.s.snapshot(name)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, r.s.drop("delete snapshot", n)
}

// drop deletes a snapshot; the caller holds admin.
func (s *Server) drop(operation string, n *snapshot) error {
	stage := func(b *storage.Batch) error {
		b.Delete(nameKey(kindSnapshot, string(n.name)))
		b.DeleteRange(idKey(kindSnapshotMark, n.id), idKey(kindSnapshotMark, n.id+1))
		return nil
	}
	return s.log.commit(operation, stage, func() {
		n.topic.release(n)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.snapshots, n.name)
	})
}
