package firestore

import (
	"context"
	"encoding/binary"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

const (
	maxTargets = 1000             // of one stream
	heartbeat  = 20 * time.Second // a stream to which nothing happens still gets fresh resume tokens
)

// listener is one Listen stream: targets, and what its client has been told of each.
type listener struct {
	s       *Server
	stream  pb.Firestore_ListenServer
	targets map[int32]*target
}

// Listen serves google.firestore.v1.Firestore/Listen. A client is told of a commit only once it is on the disk.
func (s *Server) Listen(stream pb.Firestore_ListenServer) error {
	s.changes.open(s.clock.applied.Load())
	defer s.changes.close()
	changed, stop := s.changes.watch()
	defer stop()
	ctx := stream.Context()
	requests, failed := make(chan *pb.ListenRequest), make(chan error, 1)
	go func() {
		for {
			r, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				return
			}
		}
	}()
	l := &listener{s: s, stream: stream, targets: map[int32]*target{}}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case r := <-requests:
			err = l.handle(ctx, r)
		case <-changed:
			if err = l.dawdle(ctx); err == nil {
				err = l.update(ctx, false)
			}
		case <-beat.C:
			err = l.update(ctx, true)
		case <-failed: // the client has closed its side
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopped.Done():
			return status.Error(codes.Unavailable, "the server is closing")
		}
		if err != nil {
			return err
		}
	}
}

// dawdle is late on purpose where the server is hostile.
func (l *listener) dawdle(ctx context.Context) error {
	d := l.s.hostile.listenerDelay()
	if d == 0 {
		return nil
	}
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *listener) handle(ctx context.Context, r *pb.ListenRequest) error {
	db, err := resource.ParseDatabase(r.GetDatabase())
	if err != nil {
		return invalid("%v", err)
	}
	switch c := r.GetTargetChange().(type) {
	case *pb.ListenRequest_AddTarget:
		return l.add(ctx, db, c.AddTarget)
	case *pb.ListenRequest_RemoveTarget:
		if _, ok := l.targets[c.RemoveTarget]; !ok {
			return nil
		}
		delete(l.targets, c.RemoveTarget)
		return l.change(pb.TargetChange_REMOVE, 0, c.RemoveTarget)
	}
	return invalid("target_change is missing")
}

// add tells the client the state of a new target: all of it, or what has changed since its resume token.
func (l *listener) add(ctx context.Context, db resource.Database, in *pb.Target) error {
	t, err := parseTarget(db, in)
	if err != nil {
		return l.refuse(in.GetTargetId(), err)
	}
	if l.targets[t.id] != nil {
		return invalid("target_id %d is in use", t.id)
	}
	if len(l.targets) >= maxTargets {
		return status.Errorf(codes.ResourceExhausted, "more than %d targets", maxTargets)
	}
	if err := l.change(pb.TargetChange_ADD, 0, t.id); err != nil {
		return err
	}
	reset, err := l.resume(ctx, t, in)
	if err != nil {
		return l.refuse(t.id, err)
	}
	if reset {
		if err := l.change(pb.TargetChange_RESET, 0, t.id); err != nil {
			return err
		}
	}
	v, err := l.s.view(db, selector{})
	if err != nil {
		return err
	}
	defer v.close()
	if err := l.refresh(ctx, t, v); err != nil {
		return l.refuse(t.id, err)
	}
	if n := in.GetExpectedCount(); n != nil && t.resumed && int(n.GetValue()) != len(t.known) {
		if err := l.send(&pb.ListenResponse{ResponseType: &pb.ListenResponse_Filter{
			Filter: &pb.ExistenceFilter{TargetId: t.id, Count: int32(len(t.known))},
		}}); err != nil {
			return err
		}
	}
	if err := l.change(pb.TargetChange_CURRENT, v.time, t.id); err != nil {
		return err
	}
	if t.once {
		if err := l.change(pb.TargetChange_NO_CHANGE, v.time); err != nil {
			return err
		}
		return l.change(pb.TargetChange_REMOVE, 0, t.id)
	}
	l.targets[t.id] = t
	return l.update(ctx, true)
}

// refuse ends one target, not the stream, where the fault is the target's.
func (l *listener) refuse(id int32, err error) error {
	err = l.s.fail(l.stream.Context(), err)
	switch status.Code(err) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.Unimplemented:
	default:
		return err
	}
	delete(l.targets, id)
	return l.send(&pb.ListenResponse{ResponseType: &pb.ListenResponse_TargetChange{TargetChange: &pb.TargetChange{
		TargetChangeType: pb.TargetChange_REMOVE, TargetIds: []int32{id}, Cause: status.Convert(err).Proto(),
	}}})
}

// resume makes the target know what its client knows, and says whether the client must forget it.
func (l *listener) resume(ctx context.Context, t *target, in *pb.Target) (reset bool, err error) {
	var at int64
	switch r := in.GetResumeType().(type) {
	case *pb.Target_ResumeToken:
		if len(r.ResumeToken) == 0 {
			return false, nil
		}
		if len(r.ResumeToken) != 8 {
			return false, invalid("resume_token is malformed")
		}
		at = int64(binary.BigEndian.Uint64(r.ResumeToken))
	case *pb.Target_ReadTime:
		at = r.ReadTime.GetSeconds()*1_000_000 + int64(r.ReadTime.GetNanos())/1000
	default:
		return false, nil
	}
	if err := l.s.checkReadTime(at); err != nil {
		return true, nil // the client starts afresh
	}
	v, err := l.s.view(t.db, selector{readTime: timestamp(at)})
	if err != nil {
		return false, err
	}
	defer v.close()
	docs, err := t.documents(ctx, v)
	if err != nil {
		return false, err
	}
	t.resumed = true
	for name, d := range docs {
		t.known[name] = d.updated
	}
	return false, nil
}

// change sends a change of targets; a time above 0 goes with it, and as its resume token.
func (l *listener) change(kind pb.TargetChange_TargetChangeType, time int64, ids ...int32) error {
	c := &pb.TargetChange{TargetChangeType: kind, TargetIds: ids}
	if time > 0 {
		c.ReadTime, c.ResumeToken = timestamp(time), binary.BigEndian.AppendUint64(nil, uint64(time))
	}
	return l.send(&pb.ListenResponse{ResponseType: &pb.ListenResponse_TargetChange{TargetChange: c}})
}

func (l *listener) send(r *pb.ListenResponse) error { return l.stream.Send(r) }

// update tells the client of all commits since it last heard, and that it is up to date then.
func (l *listener) update(ctx context.Context, always bool) error {
	if len(l.targets) == 0 {
		return nil
	}
	v := &view{s: l.s, moment: l.s.now()}
	v.time = v.moment.time
	defer v.close()
	told := false
	for _, t := range l.targets {
		records, ok := l.s.changes.certain(t.time)
		if !ok {
			if err := l.refresh(ctx, t, v); err != nil {
				return err
			}
			told = true
			continue
		}
		stale := false
		for _, r := range records {
			if r.time > v.time {
				break
			}
			for _, c := range r.changes {
				hit, err := l.apply(t, c, r.time)
				if err != nil {
					return err
				}
				told, stale = told || hit, stale || hit
			}
		}
		if stale && t.isLimited() {
			if err := l.refresh(ctx, t, v); err != nil {
				return err
			}
		}
		t.time = v.time
	}
	if !told && !always {
		return nil
	}
	return l.change(pb.TargetChange_NO_CHANGE, v.time)
}
