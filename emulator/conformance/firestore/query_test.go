package firestore_test

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	server "github.com/callout-dev/callout/emulator/firestore"
)

// people are documents that the queries below ask for, by identifier.
func people() map[string]fields {
	return map[string]fields{
		"ann":  {"age": 30, "city": "rome", "tags": []string{"a", "b"}, "address": fields{"zip": "1"}},
		"bob":  {"age": 25, "city": "oslo", "tags": []string{"b"}, "address": fields{"zip": "2"}, "boss": nil},
		"cat":  {"age": 35.5, "city": "rome", "tags": []string{"c"}, "boss": "ann"},
		"dan":  {"age": 25, "city": "bern", "tags": []any{}, "address": fields{"zip": "1"}},
		"eve":  {"age": "old", "city": "rome"},
		"none": {},
	}
}

func ids(t testing.TB, q firestore.Query) (string, error) {
	t.Helper()
	it := q.Documents(t.Context())
	defer it.Stop()
	var got []string
	for {
		d, err := it.Next()
		if err == iterator.Done {
			return strings.Join(got, " "), nil
		}
		if err != nil {
			return "", err
		}
		got = append(got, d.Ref.ID)
	}
}

func TestQueries(t *testing.T) {
	d := start(t)
	for id, f := range people() {
		set(t, d.root.Doc(id), f)
	}
	c := d.root
	where := func(path, op string, v any) firestore.PropertyFilter {
		return firestore.PropertyFilter{Path: path, Operator: op, Value: v}
	}
	tests := []struct {
		name string
		q    firestore.Query
		want string
	}{
		{"all, by name", c.Query, "ann bob cat dan eve none"},
		{"equal", c.Where("city", "==", "rome"), "ann cat eve"},
		{"equal, in a map", c.Where("address.zip", "==", "1"), "ann dan"},
		{"equal to a map", c.Where("address", "==", fields{"zip": "2"}), "bob"},
		{"two equalities", c.Where("city", "==", "rome").Where("age", "==", 30), "ann"},
		{"less, of one type", c.Where("age", "<", 35.5), "bob dan ann"},
		{"at least", c.Where("age", ">=", 30), "ann cat"},
		{"strings are apart from numbers", c.Where("age", ">", "a"), "eve"},
		{"between", c.Where("age", ">", 25).Where("age", "<=", 30), "ann"},
		{"not equal", c.Where("city", "!=", "rome"), "dan bob"},
		{"null", c.Where("boss", "==", nil), "bob"},
		{"not null", c.Where("boss", "!=", nil), "cat"},
		{"in", c.Where("city", "in", []string{"oslo", "bern"}), "bob dan"},
		{"not in", c.Where("city", "not-in", []string{"oslo", "bern"}), "ann cat eve"},
		{"array contains", c.Where("tags", "array-contains", "b"), "ann bob"},
		{"array contains any", c.Where("tags", "array-contains-any", []string{"a", "c", "b"}), "ann bob cat"},
		{"or", c.WhereEntity(firestore.OrFilter{Filters: []firestore.EntityFilter{where("age", "==", 25), where("city", "==", "rome")}}), "ann bob cat dan eve"},
		{"or within and", c.WhereEntity(firestore.AndFilter{Filters: []firestore.EntityFilter{
			where("city", "==", "rome"), firestore.OrFilter{Filters: []firestore.EntityFilter{where("age", ">", 31), where("age", "==", "old")}}}}), "cat eve"},
		{"inequalities of two fields", c.Where("age", ">", 20).Where("city", ">", "c"), "bob ann cat"},
		{"ordered", c.OrderBy("age", firestore.Asc), "bob dan ann cat eve"},
		{"ordered downwards, names too", c.OrderBy("age", firestore.Desc), "eve cat ann dan bob"},
		{"ordered by two fields", c.OrderBy("city", firestore.Asc).OrderBy("age", firestore.Desc), "dan bob eve cat ann"},
		{"limit and offset", c.OrderBy("age", firestore.Asc).Offset(1).Limit(2), "dan ann"},
		{"limit to last", c.OrderBy("age", firestore.Asc).LimitToLast(2), "cat eve"},
		{"start at", c.OrderBy("age", firestore.Asc).StartAt(30), "ann cat eve"},
		{"start after", c.OrderBy("age", firestore.Asc).StartAfter(25), "ann cat eve"},
		{"end before", c.OrderBy("age", firestore.Asc).EndBefore(30), "bob dan"},
		{"end at", c.OrderBy("age", firestore.Desc).EndAt(30), "eve cat ann"},
		{"by name", c.Where(firestore.DocumentID, ">", c.Doc("bob")).Where(firestore.DocumentID, "<", c.Doc("eve")), "cat dan"},
		{"one name", c.Where(firestore.DocumentID, "==", c.Doc("cat")), "cat"},
		{"some names", c.Where(firestore.DocumentID, "in", []*firestore.DocumentRef{c.Doc("eve"), c.Doc("ann"), c.Doc("zoe")}), "ann eve"},
		{"nobody", c.Where("city", "==", "paris"), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ids(t, tt.q)
			if status.Code(err) == codes.FailedPrecondition && !ours {
				t.Skip("needs an index there")
			}
			// Limit to last turns the order round; the iterator gives it in the order of the query only through GetAll.
			if tt.name == "limit to last" {
				docs, all := tt.q.Documents(t.Context()).GetAll()
				err = all
				got = ""
				for _, d := range docs {
					got = strings.TrimSpace(got + " " + d.Ref.ID)
				}
			}
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestProjection(t *testing.T) {
	d := start(t)
	set(t, d.root.Doc("x"), fields{"a": 1, "b": fields{"c": 2, "d": 3}})
	docs, err := d.root.Select("a", "b.c", "zz").Documents(t.Context()).GetAll()
	if err != nil || len(docs) != 1 {
		t.Fatal(docs, err)
	}
	if diff := cmp.Diff(fields{"a": int64(1), "b": fields{"c": int64(2)}}, docs[0].Data()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	docs, err = d.root.Select().Documents(t.Context()).GetAll()
	if err != nil || len(docs) != 1 || len(docs[0].Data()) != 0 {
		t.Errorf("names alone: %v, %v", docs, err)
	}
}

func TestAggregations(t *testing.T) {
	d := start(t)
	for id, f := range people() {
		set(t, d.root.Doc(id), f)
	}
	res, err := d.root.NewAggregationQuery().WithCount("n").WithSum("age", "sum").WithAvg("age", "avg").GetResponse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for k, v := range res.Result {
		got[k] = strings.ReplaceAll(v.(*pb.Value).String(), " ", "")
	}
	want := map[string]string{"n": "integer_value:6", "sum": "double_value:115.5", "avg": "double_value:28.875"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	two := d.root.Where("city", "==", "rome").Limit(2)
	res, err = two.NewAggregationQuery().WithCount("n").GetResponse(t.Context())
	if err != nil || res.Result["n"].(*pb.Value).GetIntegerValue() != 2 {
		t.Errorf("counted %v, %v", res, err)
	}
}

func TestGroupsAndLists(t *testing.T) {
	d := start(t)
	ctx := t.Context()
	group := fmt.Sprintf("group%d", places.Add(1))
	root := d.root.Doc("top")
	for _, p := range []string{"a", "b", "missing"} {
		if p != "missing" {
			set(t, root.Collection("parents").Doc(p), fields{"p": p})
		}
		for i := range 2 {
			set(t, root.Collection("parents").Doc(p).Collection(group).Doc(fmt.Sprint(i)), fields{"n": i, "p": p})
		}
	}
	set(t, root.Collection("empty").Doc("x"), fields{})
	if _, err := root.Collection("empty").Doc("x").Delete(ctx); err != nil {
		t.Fatal(err)
	}
	docs, err := d.CollectionGroup(group).Documents(ctx).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, doc := range docs {
		got = append(got, doc.Ref.Parent.Parent.ID+"/"+doc.Ref.ID)
	}
	if diff := cmp.Diff([]string{"a/0", "a/1", "b/0", "b/1", "missing/0", "missing/1"}, got); diff != "" {
		t.Errorf("group: -want +got:\n%s", diff)
	}

	var names []string
	cols := root.Collections(ctx)
	for {
		c, err := cols.Next()
		if err == iterator.Done {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, c.ID)
	}
	if diff := cmp.Diff([]string{"parents"}, names); diff != "" {
		t.Errorf("collections: -want +got:\n%s", diff)
	}

	var refs []string
	it := root.Collection("parents").DocumentRefs(ctx)
	it.PageInfo().MaxSize = 2
	for {
		r, err := it.Next()
		if err == iterator.Done {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, r.ID)
	}
	if diff := cmp.Diff([]string{"a", "b", "missing"}, refs); diff != "" {
		t.Errorf("with missing documents, in pages: -want +got:\n%s", diff)
	}

	parts, err := d.CollectionGroup(group).GetPartitionedQueries(ctx, 3) // three positions, four parts
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, p := range parts {
		docs, err := p.Documents(ctx).GetAll()
		if err != nil {
			t.Fatal(err)
		}
		total += len(docs)
	}
	if total != 6 || ours && len(parts) != 4 {
		t.Errorf("%d parts have %d documents", len(parts), total)
	}
}

func TestFindNearest(t *testing.T) {
	d := start(t)
	for id, v := range map[string][]float64{"near": {1, 1}, "far": {9, 9}, "nearer": {0, 1}, "short": {1}} {
		set(t, d.root.Doc(id), fields{"v": firestore.Vector64(v)})
	}
	set(t, d.root.Doc("text"), fields{"v": "no vector"})
	q := d.root.FindNearest("v", firestore.Vector64{0, 0}, 2, firestore.DistanceMeasureEuclidean, &firestore.FindNearestOptions{DistanceResultField: "how.far"})
	docs, err := q.Documents(t.Context()).GetAll()
	if status.Code(err) == codes.FailedPrecondition && !ours {
		t.Skip("needs an index there")
	}
	if err != nil || len(docs) != 2 || docs[0].Ref.ID != "nearer" || docs[1].Ref.ID != "near" {
		t.Fatalf("got %v, %v", docs, err)
	}
	if far, err := docs[0].DataAt("how.far"); err != nil || far != 1.0 {
		t.Errorf("distance %v, %v", far, err)
	}
}

func TestStrictRefusesWhatNeedsAnIndex(t *testing.T) {
	if !ours {
		t.Skip("an option of ours")
	}
	x, err := server.ParseIndexes([]byte(`{
		"indexes": [
			{"collectionGroup": "c", "queryScope": "COLLECTION", "fields": [{"fieldPath": "city", "order": "ASCENDING"}, {"fieldPath": "age", "order": "DESCENDING"}]},
			{"collectionGroup": "c", "queryScope": "COLLECTION_GROUP", "fields": [{"fieldPath": "lane", "order": "ASCENDING"}, {"fieldPath": "due", "order": "ASCENDING"}]}
		],
		"fieldOverrides": [
			{"collectionGroup": "c", "fieldPath": "exempt", "indexes": []},
			{"collectionGroup": "c", "fieldPath": "grouped", "indexes": [{"order": "ASCENDING", "queryScope": "COLLECTION_GROUP"}]}
		]}`))
	if err != nil {
		t.Fatal(err)
	}
	d := startWith(t, server.Options{Strict: true, Indexes: x})
	set(t, d.root.Doc("x"), fields{"city": "rome", "age": 1, "exempt": 1, "grouped": 1, "lane": "s0", "due": 1})
	c, g := d.root, d.CollectionGroup("c")
	tests := []struct {
		name string
		q    firestore.Query
		want codes.Code
	}{
		{"all", c.Query, codes.OK},
		{"one field", c.Where("age", ">", 0), codes.OK},
		{"equalities", c.Where("age", "==", 1).Where("city", "==", "rome"), codes.OK},
		{"the composite index", c.Where("city", "==", "rome").OrderBy("age", firestore.Desc), codes.OK},
		{"the composite index backwards", c.Where("city", "==", "rome").OrderBy("age", firestore.Asc), codes.OK},
		{"no composite index", c.Where("age", "==", 1).OrderBy("city", firestore.Asc), codes.FailedPrecondition},
		{"two ranges", c.Where("age", ">", 0).Where("city", ">", "a"), codes.FailedPrecondition},
		{"exempt field", c.Where("exempt", "==", 1), codes.FailedPrecondition},
		{"order by an exempt field", c.OrderBy("exempt", firestore.Asc), codes.FailedPrecondition},
		{"group", g.Query, codes.OK},
		{"names of a group", g.Where(firestore.DocumentID, ">=", d.root.Doc("a")), codes.OK},
		{"names of a group, and a field", g.Where(firestore.DocumentID, ">=", d.root.Doc("a")).Where("age", ">", 0), codes.FailedPrecondition},
		{"group by its index", g.Where("grouped", "==", 1), codes.OK},
		{"group by its composite index", g.Where("lane", "==", "s0").Where("due", "<=", 5).OrderBy("due", firestore.Asc).Limit(5), codes.OK},
		{"group without an index", g.Where("age", "==", 1), codes.FailedPrecondition},
		{"collection by a field indexed for groups alone", c.Where("grouped", "==", 1), codes.FailedPrecondition},
	}
	for _, tt := range tests {
		got, err := ids(t, tt.q)
		wantCode(t, tt.name, err, tt.want)
		if err == nil && got != "x" {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	d := start(t)
	field := func(op pb.StructuredQuery_FieldFilter_Operator, path string, v *pb.Value) *pb.StructuredQuery {
		return &pb.StructuredQuery{Where: &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{
			FieldFilter: &pb.StructuredQuery_FieldFilter{Op: op, Field: &pb.StructuredQuery_FieldReference{FieldPath: path}, Value: v}}}}
	}
	one := &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: 1}}
	tests := map[string]*pb.StructuredQuery{
		"no operator":           field(0, "a", one),
		"bad field":             field(5, "a..b", one),
		"no value":              field(5, "a", nil),
		"in without an array":   field(8, "a", one),
		"name is no reference":  field(5, "__name__", one),
		"negative offset":       {Offset: -1},
		"empty composite":       {Where: &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{CompositeFilter: &pb.StructuredQuery_CompositeFilter{Op: 1}}}},
		"too many cursor parts": {StartAt: &pb.Cursor{Values: []*pb.Value{one, one}}},
		"two collections":       {From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "a"}, {CollectionId: "b"}}},
	}
	for name, q := range tests {
		stream, err := d.raw.RunQuery(t.Context(), &pb.RunQueryRequest{Parent: d.name + "/documents", QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: q}})
		if err == nil {
			_, err = stream.Recv()
		}
		wantCode(t, name, err, codes.InvalidArgument)
	}
}
