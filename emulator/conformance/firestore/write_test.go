package firestore_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
)

type fields = map[string]any

func set(t testing.TB, ref *firestore.DocumentRef, f any, opts ...firestore.SetOption) *firestore.WriteResult {
	t.Helper()
	r, err := ref.Set(context.Background(), f, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func get(t testing.TB, ref *firestore.DocumentRef) fields {
	t.Helper()
	d, err := ref.Get(context.Background())
	if status.Code(err) == codes.NotFound {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return d.Data()
}

func wantCode(t testing.TB, what string, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func TestValuesComeBack(t *testing.T) {
	d := start(t)
	ref := d.root.Doc("values")
	want := fields{
		"null": nil, "true": true, "int": int64(math.MinInt64), "float": 1.5, "inf": math.Inf(-1), "string": "ä\x00z", "bytes": []byte{0, 255},
		"time": time.Date(2026, 11, 23, 1, 2, 3, 456789000, time.UTC), "ref": d.root.Doc("other"), "geo": &latlng.LatLng{Latitude: 1, Longitude: -2},
		"array": []any{int64(1), "b", fields{"c": nil}}, "map": fields{"a.b": fields{"`": int64(1)}}, "": "x",
	}
	delete(want, "")
	set(t, ref, want)
	snap, err := ref.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := snap.Data()
	if got["ref"].(*firestore.DocumentRef).Path != d.root.Doc("other").Path {
		t.Errorf("reference: %v", got["ref"])
	}
	delete(got, "ref")
	delete(want, "ref")
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !snap.CreateTime.Equal(snap.UpdateTime) || snap.ReadTime.Before(snap.UpdateTime) {
		t.Errorf("times: created %v, updated %v, read %v", snap.CreateTime, snap.UpdateTime, snap.ReadTime)
	}
}

func TestTimestampsAreCutToMicroseconds(t *testing.T) {
	d := start(t)
	ref := d.root.Doc("x")
	at := time.Date(1999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	set(t, ref, fields{"t": at})
	if got := get(t, ref)["t"].(time.Time); !got.Equal(at.Truncate(time.Microsecond)) {
		t.Errorf("got %v", got)
	}
}

func TestUpdateTimeMovesOnlyWithAChange(t *testing.T) {
	d := start(t)
	ref := d.root.Doc("x")
	first := set(t, ref, fields{"a": 1, "b": "x"})
	same := set(t, ref, fields{"b": "x", "a": 1})
	if !first.UpdateTime.Equal(same.UpdateTime) {
		t.Errorf("nothing changed, and the update time went from %v to %v", first.UpdateTime, same.UpdateTime)
	}
	other := set(t, ref, fields{"a": 2}, firestore.MergeAll)
	if !other.UpdateTime.After(first.UpdateTime) {
		t.Errorf("a change left the update time at %v", other.UpdateTime)
	}
	if diff := cmp.Diff(fields{"a": int64(2), "b": "x"}, get(t, ref)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPreconditions(t *testing.T) {
	d := start(t)
	ctx := t.Context()
	there, absent := d.root.Doc("there"), d.root.Doc("absent")
	now := set(t, there, fields{"n": 1}).UpdateTime
	before := now.Add(-time.Second)
	tests := []struct {
		name string
		do   func() error
		want codes.Code
	}{
		{"create what is there", func() error { _, err := there.Create(ctx, fields{}); return err }, codes.AlreadyExists},
		{"update what is absent", func() error { _, err := absent.Update(ctx, []firestore.Update{{Path: "n", Value: 1}}); return err }, codes.NotFound},
		{"delete what is absent", func() error { _, err := absent.Delete(ctx, firestore.Exists); return err }, codes.NotFound},
		{"delete what is absent, no condition", func() error { _, err := absent.Delete(ctx); return err }, codes.OK},
		{"update at another time", func() error {
			_, err := there.Update(ctx, []firestore.Update{{Path: "n", Value: 2}}, firestore.LastUpdateTime(before))
			return err
		}, codes.FailedPrecondition},
		{"update of what is absent at a time", func() error {
			_, err := absent.Delete(ctx, firestore.LastUpdateTime(now))
			return err
		}, codes.FailedPrecondition},
		{"update at the right time", func() error {
			_, err := there.Update(ctx, []firestore.Update{{Path: "n", Value: 3}}, firestore.LastUpdateTime(now))
			return err
		}, codes.OK},
	}
	for _, tt := range tests {
		wantCode(t, tt.name, tt.do(), tt.want)
	}
	if got := get(t, there)["n"]; got != int64(3) {
		t.Errorf("n is %v", got)
	}
	if got := get(t, absent); got != nil {
		t.Errorf("a refused write left %v", got)
	}
}

func TestCommitIsAllOrNothing(t *testing.T) {
	d := start(t)
	a, b := d.root.Doc("a"), d.root.Doc("b")
	set(t, b, fields{})
	commit := func(w ...*pb.Write) (*pb.CommitResponse, error) {
		return d.raw.Commit(t.Context(), &pb.CommitRequest{Database: d.name, Writes: w})
	}
	create := touch(b, 1)
	create.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}}
	_, err := commit(touch(a, 1), create)
	wantCode(t, "commit", err, codes.AlreadyExists)
	if got := get(t, a); got != nil {
		t.Errorf("half a commit: %v", got)
	}
	more := touch(a, 0)
	more.UpdateMask = &pb.DocumentMask{}
	more.UpdateTransforms = []*pb.DocumentTransform_FieldTransform{{FieldPath: "n", TransformType: &pb.DocumentTransform_FieldTransform_Increment{
		Increment: &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: 2}}}}}
	res, err := commit(touch(a, 1), more, &pb.Write{Operation: &pb.Write_Delete{Delete: b.Path}})
	if err != nil || len(res.WriteResults) != 3 || res.WriteResults[1].TransformResults[0].GetIntegerValue() != 3 {
		t.Fatalf("got %v, %v", res, err)
	}
	if got := get(t, a)["n"]; got != int64(3) || get(t, b) != nil {
		t.Errorf("writes of one document did not follow each other: n is %v", got)
	}
}

func TestTransforms(t *testing.T) {
	d := start(t)
	ref := d.root.Doc("x")
	set(t, ref, fields{"n": 1, "max": math.MaxInt64, "f": 0.5, "s": "text", "list": []int{1, 2}})
	_, err := ref.Update(t.Context(), []firestore.Update{
		{Path: "n", Value: firestore.Increment(2)},
		{Path: "max", Value: firestore.Increment(1)},
		{Path: "f", Value: firestore.Increment(1)},
		{Path: "s", Value: firestore.Increment(7)},
		{Path: "new.deep", Value: firestore.Increment(1)},
		{Path: "high", Value: firestore.FieldTransformMaximum(9)},
		{Path: "list", Value: firestore.ArrayUnion(2, 3, 3.0, 4)},
		{Path: "other", Value: firestore.ArrayRemove(1)},
		{Path: "at", Value: firestore.ServerTimestamp},
	})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := ref.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := fields{
		"n": int64(3), "max": int64(math.MaxInt64), "f": 1.5, "s": int64(7), "new": fields{"deep": int64(1)}, "high": int64(9),
		"list": []any{int64(1), int64(2), int64(3), int64(4)}, "other": []any{}, "at": snap.UpdateTime,
	}
	if diff := cmp.Diff(want, snap.Data()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	_, err = ref.Update(t.Context(), []firestore.Update{
		{Path: "high", Value: firestore.FieldTransformMinimum(4.5)},
		{Path: "list", Value: firestore.ArrayRemove(1, 3)},
		{Path: "new.deep", Value: firestore.Delete},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := get(t, ref)
	if diff := cmp.Diff(fields{"high": 4.5, "list": []any{int64(2), int64(4)}, "new": fields{}}, fields{"high": got["high"], "list": got["list"], "new": got["new"]}); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBadWritesAreRefused(t *testing.T) {
	d := start(t)
	ok := d.root.Doc("x").Path
	str := func(s string) *pb.Value { return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}} }
	update := func(name string, f map[string]*pb.Value) *pb.Write {
		return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: name, Fields: f}}}
	}
	deep := str("x")
	for range 21 {
		deep = &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: map[string]*pb.Value{"m": deep}}}}
	}
	list := func(v ...*pb.Value) *pb.Value {
		return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: v}}}
	}
	tests := []struct {
		name  string
		write *pb.Write
	}{
		{"no operation", &pb.Write{}},
		{"name of a collection", update(d.name+"/documents/c", nil)},
		{"name without a database", update("x", nil)},
		{"another database", update(strings.Replace(ok, "(default)", "other", 1), nil)},
		{"empty segment", update(ok+"//y/z", nil)},
		{"dots", update(d.name+"/documents/c/..", nil)},
		{"reserved identifier", update(d.name+"/documents/c/__x__", nil)},
		{"identifier too long", update(d.name+"/documents/c/"+strings.Repeat("x", 1501), nil)},
		{"reserved field", update(ok, map[string]*pb.Value{"__x__": str("")})},
		{"empty field", update(ok, map[string]*pb.Value{"": str("")})},
		{"field name too long", update(ok, map[string]*pb.Value{strings.Repeat("f", 1501): str("")})},
		{"value without type", update(ok, map[string]*pb.Value{"f": {}})},
		{"array in array", update(ok, map[string]*pb.Value{"f": list(list())})},
		{"too deep", update(ok, map[string]*pb.Value{"f": deep})},
		{"too large", update(ok, map[string]*pb.Value{"f": str(strings.Repeat("x", 1<<20))})},
		{"bad mask", &pb.Write{Operation: update(ok, nil).Operation, UpdateMask: &pb.DocumentMask{FieldPaths: []string{"a..b"}}}},
		{"reference to nothing", update(ok, map[string]*pb.Value{"f": {ValueType: &pb.Value_ReferenceValue{ReferenceValue: "x"}}})},
	}
	good := update(d.root.Doc("good").Path, nil)
	for _, tt := range tests {
		_, err := d.raw.Commit(t.Context(), &pb.CommitRequest{Database: d.name, Writes: []*pb.Write{good, tt.write}})
		wantCode(t, tt.name, err, codes.InvalidArgument)
		if ours && err != nil && !strings.Contains(err.Error(), "writes[1]") && tt.name != "too large" {
			t.Errorf("%s: the message does not name the write: %v", tt.name, err)
		}
	}
	if got := get(t, d.root.Doc("good")); got != nil {
		t.Error("a refused commit wrote something")
	}
}

func TestBatchWriteIsEachByItself(t *testing.T) {
	d := start(t)
	set(t, d.root.Doc("b"), fields{})
	create := func(id string) *pb.Write {
		return &pb.Write{
			Operation:       &pb.Write_Update{Update: &pb.Document{Name: d.root.Doc(id).Path}},
			CurrentDocument: &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}},
		}
	}
	res, err := d.raw.BatchWrite(t.Context(), &pb.BatchWriteRequest{Database: d.name, Writes: []*pb.Write{create("a"), create("b"), create("c")}})
	if err != nil {
		t.Fatal(err)
	}
	var got []codes.Code
	for _, s := range res.Status {
		got = append(got, codes.Code(s.Code))
	}
	if diff := cmp.Diff([]codes.Code{codes.OK, codes.AlreadyExists, codes.OK}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	_, err = d.raw.BatchWrite(t.Context(), &pb.BatchWriteRequest{Database: d.name, Writes: []*pb.Write{create("x"), create("x")}})
	wantCode(t, "one document twice", err, codes.InvalidArgument)
}

func TestDocumentMethods(t *testing.T) {
	d := start(t)
	ctx := t.Context()
	parent := strings.TrimSuffix(d.root.Path, "/c")
	n := func(i int64) map[string]*pb.Value {
		return map[string]*pb.Value{"n": {ValueType: &pb.Value_IntegerValue{IntegerValue: i}}, "m": {ValueType: &pb.Value_IntegerValue{IntegerValue: i}}}
	}
	doc, err := d.raw.CreateDocument(ctx, &pb.CreateDocumentRequest{Parent: parent, CollectionId: "c", Document: &pb.Document{Fields: n(1)}})
	if err != nil {
		t.Fatal(err)
	}
	if id := doc.Name[strings.LastIndex(doc.Name, "/")+1:]; len(id) != 20 {
		t.Errorf("made identifier %q", id)
	}
	_, err = d.raw.CreateDocument(ctx, &pb.CreateDocumentRequest{Parent: parent, CollectionId: "c", DocumentId: doc.Name[strings.LastIndex(doc.Name, "/")+1:]})
	wantCode(t, "create it again", err, codes.AlreadyExists)
	up, err := d.raw.UpdateDocument(ctx, &pb.UpdateDocumentRequest{
		Document: &pb.Document{Name: doc.Name, Fields: n(2)}, UpdateMask: &pb.DocumentMask{FieldPaths: []string{"n"}}, Mask: &pb.DocumentMask{FieldPaths: []string{"n"}},
	})
	if err != nil || up.Fields["n"].GetIntegerValue() != 2 || len(up.Fields) != 1 {
		t.Errorf("update: %v, %v", up, err)
	}
	got, err := d.raw.GetDocument(ctx, &pb.GetDocumentRequest{Name: doc.Name})
	if err != nil || got.Fields["n"].GetIntegerValue() != 2 || got.Fields["m"].GetIntegerValue() != 1 || got.Name != doc.Name {
		t.Errorf("get: %v, %v", got, err)
	}
	if diff := cmp.Diff(doc.CreateTime, got.CreateTime, protocmp.Transform()); diff != "" {
		t.Errorf("create time, -want +got:\n%s", diff)
	}
	if err := d.raw.DeleteDocument(ctx, &pb.DeleteDocumentRequest{Name: doc.Name}); err != nil {
		t.Error(err)
	}
	_, err = d.raw.GetDocument(ctx, &pb.GetDocumentRequest{Name: doc.Name})
	wantCode(t, "get what is gone", err, codes.NotFound)
}

func TestProjectsAndDatabasesAreApart(t *testing.T) {
	d := start(t)
	if !ours {
		t.Skip("needs several projects")
	}
	set(t, d.root.Doc("x"), fields{"secret": true})
	for _, name := range []string{"projects/other/databases/(default)", "projects/" + project() + "/databases/second"} {
		stream, err := d.raw.BatchGetDocuments(t.Context(), &pb.BatchGetDocumentsRequest{Database: name, Documents: []string{strings.Replace(d.root.Doc("x").Path, d.name, name, 1)}})
		if err != nil {
			t.Fatal(err)
		}
		res, err := stream.Recv()
		if err != nil || res.GetMissing() == "" {
			t.Errorf("%s: %v, %v", name, res, err)
		}
		q, err := d.raw.RunQuery(t.Context(), &pb.RunQueryRequest{Parent: name + "/documents", QueryType: &pb.RunQueryRequest_StructuredQuery{
			StructuredQuery: &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c", AllDescendants: true}}}}})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := q.Recv(); err != nil || r.GetDocument() != nil {
			t.Errorf("%s: query found %v, %v", name, r, err)
		}
	}
	_, err := d.raw.BatchGetDocuments(t.Context(), &pb.BatchGetDocumentsRequest{Database: "projects/other/databases/(default)", Documents: []string{d.root.Doc("x").Path}})
	if err == nil || errors.Is(err, context.Canceled) {
		return // the error may come with the first answer
	}
	wantCode(t, "a document of another project", err, codes.InvalidArgument)
}
