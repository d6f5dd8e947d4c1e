package pubsub

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/callout-dev/callout/emulator/storage"
)

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
