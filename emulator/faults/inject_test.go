package faults_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// rule says which calls fail and how.
type rule struct {
	kind    string // a prefix
	applied bool   // it is done, and reported as failed; a stream breaks after its first message
	code    codes.Code
	first   int     // so many calls of each kind fail,
	chance  float64 // and so many of the others
	hangs   bool    // it does not answer while the rule holds
	lost    bool    // a publish is answered well, and nothing comes of it
}

func (r rule) reaches(kind string) bool { return strings.HasPrefix(kind, r.kind) }

// injector stands between the functions and their two services. While it is armed, its rules hold.
type injector struct {
	seed uint64

	mu       sync.Mutex
	rules    []rule
	released chan struct{} // closed when it is disarmed
	calls    map[string]int
	failed   map[string]int
	holds    map[string]int      // writes that put a delivery into its target's lane
	history  map[string][]string // what was written of a delivery
}

func newInjector(seed uint64) *injector {
	return &injector{seed: seed, calls: map[string]int{}, failed: map[string]int{}, holds: map[string]int{}, history: map[string][]string{}}
}

// arm lets rules hold from now on, until disarm.
func (i *injector) arm(rules ...rule) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules, i.released = rules, make(chan struct{})
}

func (i *injector) disarm() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.rules != nil {
		i.rules = nil
		close(i.released)
	}
}

// fate is the rule that a call falls under, nil if it is let through.
func (i *injector) fate(kind string) (*rule, <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls[kind]++
	for _, r := range i.rules {
		if !r.reaches(kind) {
			continue
		}
		if r.hangs || i.failed[kind] < r.first || i.draw(kind) < r.chance {
			i.failed[kind]++
			return &r, i.released
		}
	}
	return nil, nil
}

// draw is a number from 0 to 1 that belongs to a call by its kind and its place among those. It needs the lock.
func (i *injector) draw(kind string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind))
	x := h.Sum64() ^ i.seed*0x9e3779b97f4a7c15 ^ uint64(i.calls[kind])*0xbf58476d1ce4e5b9
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}

// injected is how many calls failed, by kind.
func (i *injector) injected() map[string]int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return maps.Clone(i.failed)
}

// unary is a grpc.UnaryClientInterceptor.
func (i *injector) unary(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	r, released := i.fate(kindOf(request))
	if r == nil || r.applied {
		if err := next(ctx, method, request, reply, conn, opts...); err != nil {
			return err
		}
		i.note(request, reply)
	}
	switch {
	case r == nil:
		return nil
	case r.hangs:
		return hold(ctx, released)
	case r.lost:
		for n := range request.(*pubsubpb.PublishRequest).GetMessages() {
			answer := reply.(*pubsubpb.PublishResponse)
			answer.MessageIds = append(answer.MessageIds, fmt.Sprint("lost-", n))
		}
		return nil
	case r.applied:
		proto.Reset(reply.(proto.Message))
	}
	return status.Error(r.code, "injected")
}

// hold is a call that is not answered: it ends with its caller's patience, or when the world goes on.
func hold(ctx context.Context, released <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-released:
		return status.Error(codes.Unavailable, "injected: the connection was cut")
	}
}

// note counts, by delivery, the writes that hold.
func (i *injector) note(request, reply any) {
	var writes []*firestorepb.Write
	done := func(int) bool { return true }
	switch r := request.(type) {
	case *firestorepb.CommitRequest:
		writes = r.GetWrites()
	case *firestorepb.BatchWriteRequest:
		writes = r.GetWrites()
		states := reply.(*firestorepb.BatchWriteResponse).GetStatus()
		done = func(n int) bool { return states[n].GetCode() == 0 }
	}
	for n, w := range writes {
		// What is made in its lane costs no write more.
		if collection(w.GetUpdate().GetName()) != "deliveries" || w.GetCurrentDocument().GetUpdateTime() == nil || !done(n) {
			continue
		}
		d := decode(w.GetUpdate())
		i.mu.Lock()
		i.history[d.id] = append(i.history[d.id], fmt.Sprintf("%s: %s, %d attempts, lane %s, held %t, due in %v", time.Now().Format(time.TimeOnly), d.state, d.attempts, d.lane, d.held(), time.Until(d.due)))
		if d.held() {
			i.holds[d.id]++
		}
		i.mu.Unlock()
	}
}

// stream is a grpc.StreamClientInterceptor.
func (i *injector) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	r, released := i.fate(kindOfStream(method))
	switch {
	case r == nil:
		return next(ctx, desc, conn, method, opts...)
	case r.hangs:
		return nil, hold(ctx, released)
	case !r.applied:
		return nil, status.Error(r.code, "injected")
	}
	ctx, cancel := context.WithCancel(ctx)
	s, err := next(ctx, desc, conn, method, opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	return &broken{ClientStream: s, cancel: cancel, code: r.code}, nil
}

// broken is a stream that breaks after its first message.
type broken struct {
	grpc.ClientStream
	cancel context.CancelFunc
	code   codes.Code
	got    bool
}

func (b *broken) RecvMsg(m any) error {
	if b.got {
		b.cancel()
		return status.Error(b.code, "injected")
	}
	b.got = true
	err := b.ClientStream.RecvMsg(m)
	if err != nil {
		b.cancel()
	}
	return err
}

// options put the injector between.
func (i *injector) options() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(i.unary), grpc.WithChainStreamInterceptor(i.stream)}
}
