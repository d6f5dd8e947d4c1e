package faults_test

import (
	"context"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// What the suite itself rests on: kinds are told apart, faults come as ordered, and what breaks invariant A is seen.

func write(collection, state, lane string, due time.Time) *firestorepb.Write {
	fields := map[string]*firestorepb.Value{
		"state":   {ValueType: &firestorepb.Value_StringValue{StringValue: state}},
		"created": {ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(time.Unix(100, 0))}},
	}
	if lane != "" {
		fields["lane"] = &firestorepb.Value{ValueType: &firestorepb.Value_StringValue{StringValue: lane}}
		fields["due"] = &firestorepb.Value{ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(due)}}
	}
	return &firestorepb.Write{
		Operation: &firestorepb.Write_Update{Update: &firestorepb.Document{Name: "projects/p/databases/d/documents/instances/i/" + collection + "/x", Fields: fields}},
		CurrentDocument: &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_UpdateTime{
			UpdateTime: timestamppb.New(time.Unix(1, 0)),
		}},
	}
}

func TestKinds(t *testing.T) {
	then, later := time.Unix(100, 0), time.Unix(200, 0)
	commit := func(w ...*firestorepb.Write) any { return &firestorepb.CommitRequest{Writes: w} }
	batch := func(w ...*firestorepb.Write) any { return &firestorepb.BatchWriteRequest{Writes: w} }
	stamp, add, turn := write("valves", "", "", then), write("valves", "", "", then), write("valves", "", "", then)
	stamp.UpdateMask = &firestorepb.DocumentMask{FieldPaths: []string{"lastGood"}}
	add.UpdateMask = &firestorepb.DocumentMask{FieldPaths: []string{"state", "lastGood"}}
	turn.UpdateMask, add.CurrentDocument = add.UpdateMask, nil
	remove := &firestorepb.Write{Operation: &firestorepb.Write_Delete{Delete: "projects/p/databases/d/documents/instances/i/valves/x"}}
	for want, request := range map[string]any{
		acceptEvent:   commit(write("events", "", "", then), write("deliveries", "pending", "s0", later)),
		saveDelivered: commit(write("deliveries", "delivered", "", then)),
		saveRetrying:  commit(write("deliveries", "retrying", "s0", later)),
		saveDead:      commit(write("deliveries", "skipped", "", then)),
		saveHeld:      commit(write("deliveries", "retrying", "ti/x", then)),
		saveWaiting:   commit(write("deliveries", "pending", "s0", later)),
		saveChain:     commit(write("deliveries", "delivered", "", then), write("deliveries", "pending", "s0", later)),
		addValve:      commit(add), saveValve: commit(turn), removeValve: commit(remove), stampValve: commit(stamp),
		batchHeld: batch(write("deliveries", "pending", "ti/x", then)), batchClaimed: batch(write("deliveries", "pending", "ti/x", later)),
		batchFinal: batch(write("deliveries", "dead", "", then)), publishSlow: &pubsubpb.PublishRequest{Topic: "projects/p/topics/deliveries-slow"},
		getDelivery: &firestorepb.GetDocumentRequest{Name: "projects/p/databases/d/documents/instances/i/deliveries/x"},
		configure:   commit(write("targets", "", "", then), write("changes", "", "", then)),
		markEvent:   commit(write("changes", "", "", then), write("changes", "", "", then)),
		otherKind:   commit(),
	} {
		if got := kindOf(request); got != want {
			t.Errorf("%v is taken for %q, and is %q", request, got, want)
		}
	}
}

func TestInjector(t *testing.T) {
	i := newInjector(1)
	done := 0
	call := func() error {
		request := &pubsubpb.PublishRequest{Topic: "t/events", Messages: []*pubsubpb.PubsubMessage{{}}}
		return i.unary(t.Context(), "", request, &pubsubpb.PublishResponse{}, nil,
			func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
				done++
				return nil
			})
	}
	i.arm(rule{kind: publishEvents, code: codes.Aborted, first: 2})
	for n, want := range []codes.Code{codes.Aborted, codes.Aborted, codes.OK} {
		if got := status.Code(call()); got != want {
			t.Errorf("call %d: %v", n+1, got)
		}
	}
	i.arm(rule{kind: "publish", code: codes.Unavailable, chance: 1, applied: true})
	if got := status.Code(call()); got != codes.Unavailable || done != 2 {
		t.Errorf("applied and reported failed: %v, and %d calls were let through", got, done)
	}
	i.arm(rule{kind: publishEvents, lost: true, chance: 1})
	if err := call(); err != nil || done != 2 {
		t.Errorf("lost: %v, and %d calls were let through", err, done)
	}
	i.arm(rule{kind: publishEvents, code: codes.Aborted, chance: 0.2})
	failed := 0
	for range 1000 {
		if call() != nil {
			failed++
		}
	}
	if failed < 150 || failed > 250 {
		t.Errorf("%d of 1,000 calls failed at a chance of a fifth", failed)
	}
}

func TestInvariantIsSeen(t *testing.T) {
	now := time.Unix(1000, 0)
	for name, d := range map[string]document{
		"final in a lane": {state: "dead", lane: "s0", expires: now}, "final, for ever": {state: "delivered"}, "final and due": {state: "skipped", due: now, expires: now},
		"unfinished in no lane": {state: "pending", due: now}, "unfinished, never due": {state: "retrying", lane: "s0"}, "in no state": {lane: "s0", due: now},
	} {
		if d.broken() == "" {
			t.Errorf("%s passes", name)
		}
	}
	for _, d := range []document{{state: "dead", expires: now}, {state: "pending", lane: "s0", due: now}} {
		if complaint := d.broken(); complaint != "" {
			t.Errorf("%+v: %s", d, complaint)
		}
	}
}
