package firestore

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/storage"
)

const (
	testDatabase = "projects/p/databases/(default)"
	testRoot     = testDatabase + "/documents"
)

func newServer(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Store == nil {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		o.Store = store
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *Server) mustCommit(t testing.TB, writes ...*pb.Write) int64 {
	t.Helper()
	r, err := s.Commit(context.Background(), &pb.CommitRequest{Database: testDatabase, Writes: writes})
	if err != nil {
		t.Fatal(err)
	}
	return r.CommitTime.GetSeconds()*1_000_000 + int64(r.CommitTime.GetNanos())/1000
}

func put(path string, fields map[string]*pb.Value) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: testRoot + "/" + path, Fields: fields}}}
}

func remove(path string) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Delete{Delete: testRoot + "/" + path}}
}

func str(s string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}}
}

// pool is what random documents and queries are made of: few values, so that they meet, of all types, with their edges.
func pool() []*pb.Value {
	list := func(v ...*pb.Value) *pb.Value {
		return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: v}}}
	}
	return []*pb.Value{
		null, nan, integer(-1), integer(0), double(0), integer(1), double(1), double(1.5), integer(2), double(math.Inf(1)), integer(math.MaxInt64),
		{ValueType: &pb.Value_BooleanValue{}}, {ValueType: &pb.Value_BooleanValue{BooleanValue: true}},
		{ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: 5}}},
		str(""), str("a"), str("a\x00"), str("b"), str(strings.Repeat("long", 400) + "1"),
		{ValueType: &pb.Value_BytesValue{BytesValue: []byte{0}}},
		reference(testRoot + "/c/1"), list(), list(integer(1), str("a")), list(integer(2), null, integer(2)),
		{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: map[string]*pb.Value{"x": integer(1)}}}},
	}
}

type generator struct {
	*rand.Rand
	values []*pb.Value
}

func (g generator) value() *pb.Value { return g.values[g.IntN(len(g.values))] }

var testFields = []string{"a", "b", "d", "m.x"}

// asked is a value of a query: at times one that an index does not tell from one that is stored, because both are cut.
func (g generator) asked() *pb.Value {
	if g.IntN(20) == 0 {
		return str(strings.Repeat("long", 400) + "2")
	}
	return g.value()
}

func (g generator) fields() map[string]*pb.Value {
	out := map[string]*pb.Value{}
	for _, f := range testFields[:3] {
		if g.IntN(5) > 0 {
			out[f] = g.value()
		}
	}
	if g.IntN(3) > 0 {
		out["m"] = &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: map[string]*pb.Value{"x": g.value()}}}}
	}
	return out
}

func (g generator) leaf() *pb.StructuredQuery_Filter {
	ops := []pb.StructuredQuery_FieldFilter_Operator{5, 5, 5, 1, 2, 3, 4, 6, 7, 8, 9, 10}
	op := ops[g.IntN(len(ops))]
	field, v := testFields[g.IntN(len(testFields))], g.asked()
	if g.IntN(8) == 0 {
		field, v = resource.DocumentID, reference(fmt.Sprintf("%s/c/%d", testRoot, g.IntN(60)))
		if op == pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS || op == pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY {
			op = pb.StructuredQuery_FieldFilter_GREATER_THAN
		}
	}
	switch op {
	case pb.StructuredQuery_FieldFilter_IN, pb.StructuredQuery_FieldFilter_NOT_IN, pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY:
		values := []*pb.Value{v}
		if field != resource.DocumentID {
			values = append(values, g.asked(), g.asked())
		}
		v = &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: values}}}
	}
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
		Field: &pb.StructuredQuery_FieldReference{FieldPath: field}, Op: op, Value: v,
	}}}
}

func (g generator) filter(depth int) *pb.StructuredQuery_Filter {
	if depth == 0 || g.IntN(3) == 0 {
		return g.leaf()
	}
	c := &pb.StructuredQuery_CompositeFilter{Op: pb.StructuredQuery_CompositeFilter_Operator(1 + g.IntN(4)/3)}
	for range 1 + g.IntN(3) {
		c.Filters = append(c.Filters, g.filter(depth-1))
	}
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{CompositeFilter: c}}
}

func (g generator) query() *pb.StructuredQuery {
	q := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c", AllDescendants: g.IntN(3) == 0}}}
	if g.IntN(5) > 0 {
		q.Where = g.filter(2)
	}
	for _, f := range testFields {
		if g.IntN(4) == 0 {
			q.OrderBy = append(q.OrderBy, &pb.StructuredQuery_Order{
				Field: &pb.StructuredQuery_FieldReference{FieldPath: f}, Direction: pb.StructuredQuery_Direction(1 + g.IntN(2)),
			})
		}
	}
	g.Shuffle(len(q.OrderBy), func(i, j int) { q.OrderBy[i], q.OrderBy[j] = q.OrderBy[j], q.OrderBy[i] })
	if g.IntN(3) == 0 {
		q.OrderBy = append(q.OrderBy, &pb.StructuredQuery_Order{
			Field: &pb.StructuredQuery_FieldReference{FieldPath: resource.DocumentID}, Direction: pb.StructuredQuery_Direction(1 + g.IntN(2)),
		})
	}
	cursor := func() *pb.Cursor {
		c := &pb.Cursor{Before: g.IntN(2) == 0}
		for _, o := range q.OrderBy {
			if o.Field.FieldPath == resource.DocumentID {
				c.Values = append(c.Values, reference(fmt.Sprintf("%s/c/%d", testRoot, g.IntN(60))))
			} else {
				c.Values = append(c.Values, g.asked())
			}
		}
		c.Values = c.Values[:g.IntN(len(c.Values)+1)]
		return c
	}
	if g.IntN(4) == 0 {
		q.StartAt = cursor()
	}
	if g.IntN(4) == 0 {
		q.EndAt = cursor()
	}
	if g.IntN(3) == 0 {
		q.Limit = wrapperspb.Int32(int32(g.IntN(10)))
	}
	if g.IntN(4) == 0 {
		q.Offset = int32(g.IntN(5))
	}
	return q
}

// TestPlansAgreeWithLooking runs random queries over random documents by the indexes, and by looking at every document.
func TestPlansAgreeWithLooking(t *testing.T) {
	composites := &Indexes{Composites: []Composite{
		{"c", CollectionScope, []IndexField{{"a", Ascending}, {"b", Descending}}},
		{"c", CollectionScope, []IndexField{{"b", Descending}, {"d", Descending}}},
		{"c", CollectionScope, []IndexField{{"a", Contains}, {"d", Ascending}}},
		{"c", CollectionScope, []IndexField{{"a", Ascending}, {"b", Ascending}, {"d", Ascending}}},
		{"c", GroupScope, []IndexField{{"a", Ascending}, {"d", Ascending}}},
		{"c", GroupScope, []IndexField{{"a", Descending}}},
		{"c", GroupScope, []IndexField{{"b", Contains}}},
	}, Overrides: []Override{{"c", "m", false, nil}}}
	for name, x := range map[string]*Indexes{"automatic": nil, "composite": composites} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) { agree(t, x, seed) })
		}
	}
}

func agree(t *testing.T, x *Indexes, seed uint64) {
	s := newServer(t, Options{Indexes: x, History: time.Hour})
	g := generator{rand.New(rand.NewPCG(seed, 7)), pool()}
	paths := []string{"c/%d", "c/%d", "c/%d", "o/1/c/%d", "c/7/c/%d", "c/__id-5__/x/%d", "o/2/other/%d"}
	path := func() string { return fmt.Sprintf(paths[g.IntN(len(paths))], g.IntN(50)) }
	var past int64
	for i := range 250 {
		if i == 200 {
			past = s.mustCommit(t, put("c/__id7__", g.fields()))
		}
		if g.IntN(4) == 0 {
			s.mustCommit(t, remove(path()))
		} else {
			s.mustCommit(t, put(path(), g.fields()))
		}
	}
	for i := range 150 {
		in := g.query()
		q, err := parseQuery(testRoot, in)
		if err != nil {
			continue // the generator makes what is not allowed, too
		}
		sel := selector{}
		if i%5 == 0 {
			sel.readTime = timestamp(past)
		}
		compareOne(t, s, sel, in, q)
	}
}

// compareOne runs one query three ways.
func compareOne(t *testing.T, s *Server, sel selector, in *pb.StructuredQuery, q *query) {
	t.Helper()
	v, err := s.view(testDatabase, sel)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	got := names(t, v, q)
	if diff := cmp.Diff(looked(t, v, q), got); diff != "" {
		t.Fatalf("read time %v: -want +got:\n%s\n%s", sel.readTime, diff, prototext.Format(in))
	}
	count := new(aggregation)
	if err := v.aggregate(t.Context(), q, []*aggregation{count}); err != nil || int(count.count) != len(got) {
		t.Fatalf("counted %d of %d, %v\n%s", count.count, len(got), err, prototext.Format(in))
	}
}

func names(t *testing.T, v *view, q *query) []string {
	t.Helper()
	out, err := v.execute(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := drain(out)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range docs {
		got = append(got, d.path().String())
	}
	return got
}

// looked is the result of a query as its definition says.
func looked(t *testing.T, v *view, q *query) []string {
	t.Helper()
	everything := *q
	everything.from, everything.all, everything.where, everything.start, everything.end, everything.offset, everything.limit = "", true, nil, nil, nil, 0, -1
	everything.orders = everything.orders[len(q.orders)-1:]
	all, err := v.execute(t.Context(), &everything)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := drain(all)
	if err != nil {
		t.Fatal(err)
	}
	docs = slices.DeleteFunc(docs, func(d *document) bool {
		ok, err := q.matches(d)
		if err != nil {
			t.Fatal(err)
		}
		return !ok
	})
	slices.SortFunc(docs, func(a, b *document) int {
		c, err := q.compare(a, b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	})
	docs = docs[min(q.offset, len(docs)):]
	if q.limit >= 0 {
		docs = docs[:min(q.limit, len(docs))]
	}
	var out []string
	for _, d := range docs {
		out = append(out, d.path().String())
	}
	return out
}
