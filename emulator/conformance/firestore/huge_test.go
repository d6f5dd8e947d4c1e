package firestore_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func text(s string) *pb.Value { return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}} }
func whole(n int) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: int64(n)}}
}
func mapOf(fields map[string]*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: fields}}}
}

// numbers is an array of n different numbers.
func numbers(n int) *pb.ArrayValue {
	a := new(pb.ArrayValue)
	for i := range n {
		a.Values = append(a.Values, whole(i))
	}
	return a
}

func arrayOf(a *pb.ArrayValue) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: a}}
}

// Requests as large as they may be, and larger, are refused or served: nothing takes more than its share of time, which would be
// minutes where the work grows with the square of what was sent.
func TestHugeWrites(t *testing.T) {
	if !ours {
		t.Skip("some of the limits are of ours")
	}
	d := start(t)
	ref := d.root.Doc("x")
	update := func(fields map[string]*pb.Value, mask ...string) *pb.Write {
		w := &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: ref.Path, Fields: fields}}}
		if len(mask) > 0 {
			w.UpdateMask = &pb.DocumentMask{FieldPaths: mask}
		}
		return w
	}
	transform := func(ts ...*pb.DocumentTransform_FieldTransform) *pb.Write {
		return &pb.Write{Operation: &pb.Write_Transform{Transform: &pb.DocumentTransform{Document: ref.Path, FieldTransforms: ts}}}
	}
	union := func(path string, a *pb.ArrayValue) *pb.DocumentTransform_FieldTransform {
		return &pb.DocumentTransform_FieldTransform{FieldPath: path, TransformType: &pb.DocumentTransform_FieldTransform_AppendMissingElements{AppendMissingElements: a}}
	}
	fieldsOf := func(n int) map[string]*pb.Value {
		fields := map[string]*pb.Value{}
		for i := range n {
			fields[fmt.Sprintf("f%d", i)] = whole(i)
		}
		return fields
	}
	masked := func(n int) (paths []string) {
		for i := range n {
			paths = append(paths, fmt.Sprintf("m.f%d", i))
		}
		return paths
	}
	deep := func(n int) *pb.Value {
		v := whole(1)
		for range n {
			v = mapOf(map[string]*pb.Value{"a": v})
		}
		return v
	}
	var apart []*pb.Write
	for i := range 5_000 {
		apart = append(apart, &pb.Write{Operation: &pb.Write_Delete{Delete: d.root.Doc(fmt.Sprint("gone", i)).Path}})
	}
	tests := []struct {
		name   string
		writes []*pb.Write
		want   codes.Code
	}{
		{"as many fields as may be indexed", []*pb.Write{update(fieldsOf(40_000))}, codes.OK},
		{"one more", []*pb.Write{update(fieldsOf(40_001))}, codes.InvalidArgument},
		{"a large array", []*pb.Write{update(map[string]*pb.Value{"a": arrayOf(numbers(10_000))})}, codes.OK},
		{"a larger array", []*pb.Write{update(map[string]*pb.Value{"a": arrayOf(numbers(60_000))})}, codes.InvalidArgument},
		{"a union with a large array", []*pb.Write{transform(union("a", numbers(10_000)))}, codes.OK},
		{"a removal from a large array", []*pb.Write{transform(&pb.DocumentTransform_FieldTransform{FieldPath: "a",
			TransformType: &pb.DocumentTransform_FieldTransform_RemoveAllFromArray{RemoveAllFromArray: numbers(10_000)}})}, codes.OK},
		{"a mask of many fields of one map", []*pb.Write{update(map[string]*pb.Value{"m": mapOf(fieldsOf(10_000))}, masked(10_000)...)}, codes.OK},
		{"many transforms of one map", []*pb.Write{transform(slices.Repeat([]*pb.DocumentTransform_FieldTransform{union("m.f1", numbers(1))}, 500)...)}, codes.OK},
		{"too many transforms", []*pb.Write{transform(slices.Repeat([]*pb.DocumentTransform_FieldTransform{union("m.f1", numbers(1))}, 501)...)}, codes.InvalidArgument},
		{"one large document again and again", append([]*pb.Write{update(map[string]*pb.Value{"s": text(strings.Repeat("s", 900_000))})},
			slices.Repeat([]*pb.Write{transform(union("b", numbers(1)))}, 10_000)...), codes.InvalidArgument},
		{"many documents", apart, codes.OK},
		{"as deep as may be", []*pb.Write{update(map[string]*pb.Value{"a": deep(19)})}, codes.OK},
		{"deeper", []*pb.Write{update(map[string]*pb.Value{"a": deep(20)})}, codes.InvalidArgument},
		{"much deeper", []*pb.Write{update(map[string]*pb.Value{"a": deep(2000)})}, codes.InvalidArgument},
		{"too deep to be read", []*pb.Write{update(map[string]*pb.Value{"a": deep(4000)})}, codes.Internal},
		{"deeper by a transform", []*pb.Write{transform(union(strings.Repeat("a.", 19)+"a", numbers(1)))}, codes.InvalidArgument},
		{"much deeper by a transform", []*pb.Write{transform(union(strings.Repeat("a.", 700)+"a", numbers(1)))}, codes.InvalidArgument},
		{"more than a document", []*pb.Write{update(map[string]*pb.Value{"s": text(strings.Repeat("s", 1<<20))})}, codes.InvalidArgument},
		{"more than a document, by transforms", []*pb.Write{update(map[string]*pb.Value{"s": text(strings.Repeat("s", 1<<20-200))}),
			transform(union("b", numbers(100)))}, codes.InvalidArgument},
		{"more than a commit", slices.Repeat([]*pb.Write{update(map[string]*pb.Value{"s": text(strings.Repeat("s", 1<<19))})}, 20), codes.InvalidArgument},
		{"more than a message", slices.Repeat([]*pb.Write{update(map[string]*pb.Value{"s": text(strings.Repeat("s", 1<<19))})}, 30), codes.ResourceExhausted},
		{"a long name", []*pb.Write{{Operation: &pb.Write_Delete{Delete: d.root.Path + "/" + strings.Repeat("n", 1<<20)}}}, codes.InvalidArgument},
		{"a name of another project", []*pb.Write{{Operation: &pb.Write_Delete{Delete: strings.Replace(ref.Path, project(), "other", 1)}}}, codes.InvalidArgument},
	}
	for _, tt := range tests {
		err := d.commitOnce(t, nil, tt.writes...)
		if status.Code(err) != tt.want {
			t.Errorf("%s: got %.300v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestHugeQueries(t *testing.T) {
	if !ours {
		t.Skip("some of the limits are of ours")
	}
	d := start(t)
	set(t, d.root.Doc("x"), fields{"n": 1})
	compare := &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
		Field: &pb.StructuredQuery_FieldReference{FieldPath: "n"}, Op: pb.StructuredQuery_FieldFilter_EQUAL, Value: whole(1)}}}
	in := &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
		Field: &pb.StructuredQuery_FieldReference{FieldPath: "n"}, Op: pb.StructuredQuery_FieldFilter_IN, Value: arrayOf(numbers(30))}}}
	composite := func(op pb.StructuredQuery_CompositeFilter_Operator, parts ...*pb.StructuredQuery_Filter) *pb.StructuredQuery_Filter {
		return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{CompositeFilter: &pb.StructuredQuery_CompositeFilter{Op: op, Filters: parts}}}
	}
	const and, or = pb.StructuredQuery_CompositeFilter_AND, pb.StructuredQuery_CompositeFilter_OR
	deep := compare
	for range 2000 {
		deep = composite(and, deep)
	}
	long := &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
		Field: &pb.StructuredQuery_FieldReference{FieldPath: "n"}, Op: pb.StructuredQuery_FieldFilter_EQUAL, Value: text(strings.Repeat("s", 8<<20))}}}
	order := func(n int) (out []*pb.StructuredQuery_Order) {
		for i := range n {
			out = append(out, &pb.StructuredQuery_Order{Field: &pb.StructuredQuery_FieldReference{FieldPath: fmt.Sprint("f", i)}})
		}
		return out
	}
	tests := []struct {
		name string
		q    *pb.StructuredQuery
		want codes.Code
	}{
		{"10,000 alternatives", &pb.StructuredQuery{Where: composite(or, slices.Repeat([]*pb.StructuredQuery_Filter{compare}, 10_000)...)}, codes.InvalidArgument},
		{"10,000 conditions", &pb.StructuredQuery{Where: composite(and, slices.Repeat([]*pb.StructuredQuery_Filter{compare}, 10_000)...)}, codes.InvalidArgument},
		{"30 alternatives to the 99th", &pb.StructuredQuery{Where: composite(and, slices.Repeat([]*pb.StructuredQuery_Filter{in}, 99)...)}, codes.InvalidArgument},
		{"2,000 deep", &pb.StructuredQuery{Where: deep}, codes.InvalidArgument},
		{"a long value", &pb.StructuredQuery{Where: long}, codes.OK},
		{"many orders", &pb.StructuredQuery{OrderBy: order(10_000)}, codes.InvalidArgument},
		{"a long cursor", &pb.StructuredQuery{OrderBy: order(1), StartAt: &pb.Cursor{Values: slices.Repeat([]*pb.Value{whole(1)}, 10_000)}}, codes.InvalidArgument},
		{"a large offset", &pb.StructuredQuery{Offset: 1<<31 - 1, Limit: wrapperspb.Int32(1<<31 - 1)}, codes.OK},
	}
	for _, tt := range tests {
		tt.q.From = []*pb.StructuredQuery_CollectionSelector{{CollectionId: d.root.ID}}
		stream, err := d.raw.RunQuery(t.Context(), &pb.RunQueryRequest{Parent: d.root.Parent.Path, QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: tt.q}})
		for err == nil {
			_, err = stream.Recv()
		}
		if err.Error() == "EOF" {
			err = nil
		}
		if status.Code(err) != tt.want {
			t.Errorf("%s: got %.300v, want %v", tt.name, err, tt.want)
		}
	}
}

// A page of large documents holds fewer of them, and none is left out.
func TestPagesOfLargeDocuments(t *testing.T) {
	if !ours {
		t.Skip("writes much")
	}
	d := start(t)
	const n = 20
	for i := range n {
		set(t, d.root.Doc(fmt.Sprintf("d%02d", i)), fields{"s": strings.Repeat("s", 900_000)})
		set(t, d.root.Doc(fmt.Sprintf("d%02dmissing", i)).Collection("below").Doc("x"), fields{})
	}
	for _, missing := range []bool{false, true} {
		var got []string
		pages := 0
		for token := ""; ; {
			it := d.raw.ListDocuments(t.Context(), &pb.ListDocumentsRequest{Parent: d.root.Parent.Path, CollectionId: d.root.ID, PageSize: 1000, PageToken: token, ShowMissing: missing})
			docs, next, err := it.InternalFetch(1000, token)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, doc := range docs {
				got = append(got, doc.Name)
			}
			if token = next; token == "" {
				break
			}
		}
		want := n
		if missing {
			want = 2 * n
		}
		if len(got) != want || !slices.IsSorted(got) || pages < 2 {
			t.Errorf("missing %t: %d documents on %d pages, want %d", missing, len(got), pages, want)
		}
	}
}

// The nearest are found whatever else there is, and equals keep their order.
func TestNearestOfMany(t *testing.T) {
	d := start(t)
	w := d.BulkWriter(t.Context())
	for i := range 500 {
		if _, err := w.Set(d.root.Doc(fmt.Sprintf("d%03d", i)), fields{"v": firestore.Vector64{float64((i * 7919) % 500), 1}}); err != nil {
			t.Fatal(err)
		}
	}
	w.End()
	it := d.root.FindNearest("v", firestore.Vector64{0, 1}, 5, firestore.DistanceMeasureEuclidean, nil).Documents(t.Context())
	for i := range 6 {
		snap, err := it.Next()
		if i == 5 {
			if err != iterator.Done {
				t.Errorf("a sixth one: %v", err)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := snap.Data()["v"].(firestore.Vector64)[0]; got != float64(i) {
			t.Errorf("number %d is at %v", i, got)
		}
	}
}

func TestTooManyTransactions(t *testing.T) {
	if !ours {
		t.Skip("the limit is of ours")
	}
	d := start(t)
	var last []byte
	for i := range 10_001 {
		r, err := d.raw.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: d.name}, gax.WithRetry(func() gax.Retryer { return nil }))
		if i == 10_000 {
			wantCode(t, "one too many", err, codes.ResourceExhausted)
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		last = r.Transaction
	}
	if err := d.raw.Rollback(t.Context(), &pb.RollbackRequest{Database: d.name, Transaction: last}); err != nil {
		t.Fatal(err)
	}
	d.begin(t, nil)
}

// A listener, or a reader of many documents, that does not read costs what is on its way to it, not the whole of what it asked for.
func TestStreamsThatAreNotRead(t *testing.T) {
	if !ours {
		t.Skip("looks at the memory of the process")
	}
	const documents, size, streams = 20, 900_000, 30
	tests := []struct {
		name string
		open func(ctx context.Context, d *database, names []string) error
	}{
		{"listen", func(ctx context.Context, d *database, _ []string) error {
			l, err := d.raw.Listen(ctx)
			if err != nil {
				return err
			}
			return l.Send(&pb.ListenRequest{Database: d.name, TargetChange: &pb.ListenRequest_AddTarget{AddTarget: &pb.Target{TargetId: 1,
				TargetType: &pb.Target_Query{Query: &pb.Target_QueryTarget{Parent: d.root.Parent.Path, QueryType: &pb.Target_QueryTarget_StructuredQuery{
					StructuredQuery: &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: d.root.ID}}}}}}}}})
		}},
		{"batch get", func(ctx context.Context, d *database, names []string) error {
			_, err := d.raw.BatchGetDocuments(ctx, &pb.BatchGetDocumentsRequest{Database: d.name, Documents: names})
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := start(t)
				var names []string
				for i := range documents {
					ref := d.root.Doc(fmt.Sprint(i))
					set(t, ref, fields{"s": strings.Repeat("s", size)})
					names = append(names, ref.Path)
				}
				before := held()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				for range streams {
					if err := tt.open(ctx, d, names); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if got, whole := int64(held()-before), int64(streams*documents*size); got > whole/2 {
					t.Errorf("%d streams hold %d bytes; the documents have %d for each", streams, got, whole/streams)
				}
				stop()
				synctest.Wait()
			})
		})
	}
}

// held is how many bytes live objects take.
func held() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
