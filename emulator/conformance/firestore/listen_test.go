package firestore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/wrapperspb"

	server "github.com/callout-dev/callout/emulator/firestore"
)

func TestListenToAQuery(t *testing.T) {
	d := start(t)
	set(t, d.root.Doc("a"), fields{"n": 1})
	set(t, d.root.Doc("b"), fields{"n": 9})
	it := d.root.Where("n", "<", 5).OrderBy("n", firestore.Asc).Snapshots(t.Context())
	defer it.Stop()
	steps := []struct {
		name string
		do   func()
		want []string
	}{
		{"the state at first", func() {}, []string{"a=1"}},
		{"one enters", func() { set(t, d.root.Doc("b"), fields{"n": 2}) }, []string{"a=1", "b=2"}},
		{"one is new", func() { set(t, d.root.Doc("c"), fields{"n": 0}) }, []string{"c=0", "a=1", "b=2"}},
		{"one leaves", func() { set(t, d.root.Doc("a"), fields{"n": 7}) }, []string{"c=0", "b=2"}},
		{"one is deleted", func() {
			if _, err := d.root.Doc("c").Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
		}, []string{"b=2"}},
	}
	for _, s := range steps {
		s.do()
		if diff := cmp.Diff(s.want, next(t, it)); diff != "" {
			t.Fatalf("%s: -want +got:\n%s", s.name, diff)
		}
	}
}

func next(t *testing.T, it *firestore.QuerySnapshotIterator) []string {
	t.Helper()
	snap, err := it.Next()
	if err != nil {
		t.Fatal(err)
	}
	docs, err := snap.Documents.GetAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range docs {
		got = append(got, fmt.Sprintf("%s=%v", d.Ref.ID, d.Data()["n"]))
	}
	return got
}

func TestListenToALimitedQuery(t *testing.T) {
	d := start(t)
	for i := range 4 {
		set(t, d.root.Doc(fmt.Sprint(i)), fields{"n": i})
	}
	it := d.root.OrderBy("n", firestore.Asc).Limit(2).Snapshots(t.Context())
	defer it.Stop()
	if diff := cmp.Diff([]string{"0=0", "1=1"}, next(t, it)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	if _, err := d.root.Doc("0").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1=1", "2=2"}, next(t, it)); diff != "" {
		t.Errorf("one has moved up: -want +got:\n%s", diff)
	}
}

func TestListenToADocument(t *testing.T) {
	d := start(t)
	ref := d.root.Doc("x")
	it := ref.Snapshots(t.Context())
	defer it.Stop()
	for i, do := range []func(){
		func() {},
		func() { set(t, ref, fields{"n": 1}) },
		func() { set(t, ref, fields{"n": 2}) },
		func() { _, _ = ref.Delete(t.Context()) },
	} {
		do()
		snap, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		want := []any{nil, int64(1), int64(2), nil}[i]
		if got := snap.Data()["n"]; got != want || snap.Exists() != (want != nil) {
			t.Errorf("step %d: n is %v, want %v", i, got, want)
		}
	}
}

// watch is a Listen stream by hand.
type watch struct {
	t      *testing.T
	stream pb.Firestore_ListenClient
	known  map[string]bool
	token  []byte
	filter *pb.ExistenceFilter
}

func (d *database) watch(t *testing.T, target *pb.Target) *watch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	stream, err := d.raw.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.ListenRequest{Database: d.name, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: target}}); err != nil {
		t.Fatal(err)
	}
	return &watch{t: t, stream: stream, known: map[string]bool{}}
}

// settle reads until the server says that all is told, and gives the names of what it told of.
func (w *watch) settle() []string {
	w.t.Helper()
	told := map[string]bool{}
	for {
		r, err := w.stream.Recv()
		if err != nil {
			w.t.Fatal(err)
		}
		switch x := r.ResponseType.(type) {
		case *pb.ListenResponse_DocumentChange:
			told["+"+x.DocumentChange.Document.Name] = true
		case *pb.ListenResponse_DocumentDelete:
			told["-"+x.DocumentDelete.Document] = true
		case *pb.ListenResponse_DocumentRemove:
			told["-"+x.DocumentRemove.Document] = true
		case *pb.ListenResponse_Filter:
			w.filter = x.Filter
		case *pb.ListenResponse_TargetChange:
			if c := x.TargetChange; c.TargetChangeType == pb.TargetChange_NO_CHANGE && len(c.TargetIds) == 0 {
				w.token = c.ResumeToken
				return slices.Sorted(maps.Keys(told))
			}
		}
	}
}

func (d *database) target(id int32) *pb.Target {
	return &pb.Target{TargetId: id, TargetType: &pb.Target_Query{Query: &pb.Target_QueryTarget{
		Parent: d.root.Path[:len(d.root.Path)-2],
		QueryType: &pb.Target_QueryTarget_StructuredQuery{StructuredQuery: &pb.StructuredQuery{
			From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}},
		}},
	}}}
}

func TestResumeTokens(t *testing.T) {
	d := start(t)
	names := map[string]string{}
	for _, id := range []string{"same", "changed", "gone", "new"} {
		names[id] = d.root.Doc(id).Path
		if id != "new" {
			set(t, d.root.Doc(id), fields{"n": 1})
		}
	}
	first := d.watch(t, d.target(1))
	if got := first.settle(); len(got) != 3 {
		t.Fatalf("at first: %v", got)
	}
	set(t, d.root.Doc("changed"), fields{"n": 2})
	set(t, d.root.Doc("new"), fields{"n": 1})
	if _, err := d.root.Doc("gone").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := d.target(7)
	again.ResumeType = &pb.Target_ResumeToken{ResumeToken: first.token}
	again.ExpectedCount = wrapperspb.Int32(5)
	second := d.watch(t, again)
	want := []string{"+" + names["changed"], "+" + names["new"], "-" + names["gone"]}
	if diff := cmp.Diff(want, second.settle()); diff != "" {
		t.Errorf("since the token: -want +got:\n%s", diff)
	}
	if second.filter == nil || second.filter.Count != 3 || second.filter.TargetId != 7 {
		t.Errorf("the client expected another count, and the filter is %v", second.filter)
	}
}

func TestTargetsComeAndGo(t *testing.T) {
	d := start(t)
	w := d.watch(t, d.target(1))
	w.settle()
	add := d.target(2)
	add.Once = true
	for _, r := range []*pb.ListenRequest{
		{Database: d.name, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: add}},
		{Database: d.name, TargetChange: &pb.ListenRequest_RemoveTarget{RemoveTarget: 1}},
		{Database: d.name, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: &pb.Target{TargetId: 3}}},
	} {
		if err := w.stream.Send(r); err != nil {
			t.Fatal(err)
		}
	}
	removed := map[int32]codes.Code{}
	for len(removed) < 3 {
		r, err := w.stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if c := r.GetTargetChange(); c.GetTargetChangeType() == pb.TargetChange_REMOVE {
			removed[c.TargetIds[0]] = codes.Code(c.GetCause().GetCode())
		}
	}
	want := map[int32]codes.Code{1: codes.OK, 2: codes.OK, 3: codes.InvalidArgument}
	if diff := cmp.Diff(want, removed); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestListenersSeeTheEnd writes at random while the listeners are kept waiting; in the end they know what is there.
func TestListenersSeeTheEnd(t *testing.T) {
	if !ours {
		t.Skip("turns time forward")
	}
	synctest.Test(t, func(t *testing.T) {
		var end []string
		d := startWith(t, server.Options{History: time.Minute, Hostile: &server.Hostile{Seed: 4, Delay: 2 * time.Second}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		it := d.root.Where("n", ">", 3).OrderBy("n", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc).Snapshots(ctx)
		seen := make(chan []string, 1000)
		go func() {
			defer close(seen)
			defer it.Stop()
			for {
				snap, err := it.Next()
				if err != nil {
					return
				}
				docs, err := snap.Documents.GetAll()
				if err != nil {
					return
				}
				var got []string
				for _, d := range docs {
					got = append(got, fmt.Sprintf("%s=%v", d.Ref.ID, d.Data()["n"]))
				}
				seen <- got
			}
		}()
		rng := rand.New(rand.NewPCG(1, 2))
		for range 100 {
			ref := d.root.Doc(fmt.Sprint(rng.IntN(8)))
			if rng.IntN(4) == 0 {
				_, _ = ref.Delete(t.Context())
			} else {
				set(t, ref, fields{"n": rng.IntN(9)})
			}
			time.Sleep(time.Duration(rng.Int64N(int64(time.Second)))) // virtual
		}
		docs, err := d.root.Where("n", ">", 3).OrderBy("n", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc).Documents(t.Context()).GetAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			end = append(end, fmt.Sprintf("%s=%v", d.Ref.ID, d.Data()["n"]))
		}
		time.Sleep(time.Minute) // virtual
		cancel()
		var last []string
		n := 0
		for got := range seen {
			last = got
			n++
		}
		if diff := cmp.Diff(end, last); diff != "" || n < 5 {
			t.Errorf("after %d snapshots, -want +got:\n%s", n, diff)
		}
	})
}

func TestWriteStream(t *testing.T) {
	d := start(t)
	stream, err := d.raw.Write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exchange := func(r *pb.WriteRequest) *pb.WriteResponse {
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
		res, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	hello := exchange(&pb.WriteRequest{Database: d.name})
	if hello.StreamId == "" || len(hello.StreamToken) == 0 {
		t.Fatalf("the stream says %v", hello)
	}
	one := exchange(&pb.WriteRequest{StreamToken: hello.StreamToken, Writes: []*pb.Write{touch(d.root.Doc("a"), 1)}})
	two := exchange(&pb.WriteRequest{StreamToken: one.StreamToken, Writes: []*pb.Write{touch(d.root.Doc("a"), 2), touch(d.root.Doc("b"), 3)}})
	if len(two.WriteResults) != 2 || !two.CommitTime.AsTime().After(one.CommitTime.AsTime()) {
		t.Errorf("got %v after %v", two, one)
	}
	if got := get(t, d.root.Doc("a"))["n"]; got != int64(2) {
		t.Errorf("n is %v", got)
	}
	if err := stream.Send(&pb.WriteRequest{StreamToken: one.StreamToken, Writes: []*pb.Write{touch(d.root.Doc("a"), 9)}}); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantCode(t, "an old token", err, codes.InvalidArgument)
	if err == nil || errors.Is(err, context.Canceled) {
		t.Error("the stream went on")
	}
}
