package value_test

import (
	"bytes"
	"math"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

func num(d float64) *pb.Value { return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: d}} }
func whole(n int64) *pb.Value { return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}} }
func text(s string) *pb.Value { return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}} }
func data(s string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_BytesValue{BytesValue: []byte(s)}}
}
func truth(b bool) *pb.Value { return &pb.Value{ValueType: &pb.Value_BooleanValue{BooleanValue: b}} }
func ref(name string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: name}}
}

func at(seconds int64, nanos int32) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: seconds, Nanos: nanos}}}
}

func geo(lat, lng float64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_GeoPointValue{GeoPointValue: &latlng.LatLng{Latitude: lat, Longitude: lng}}}
}

func list(v ...*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: v}}}
}

func object(kv ...any) *pb.Value {
	fields := map[string]*pb.Value{}
	for i := 0; i < len(kv); i += 2 {
		fields[kv[i].(string)] = kv[i+1].(*pb.Value)
	}
	return &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: fields}}}
}

func vector(v ...*pb.Value) *pb.Value {
	return object("__type__", text("__vector__"), "value", list(v...))
}

// ordered is a list of values in the documented order; those in one group are equal.
func ordered() [][]*pb.Value {
	const db = "projects/p/databases/d/documents"
	return [][]*pb.Value{
		{{ValueType: &pb.Value_NullValue{}}},
		{truth(false)}, {truth(true)},
		{num(math.NaN()), num(math.Float64frombits(0xFFF8000000000001))},
		{num(math.Inf(-1))}, {num(-math.MaxFloat64)}, {whole(math.MinInt64), num(-(1 << 63))}, {whole(math.MinInt64 + 1)},
		{whole(-(1<<53 + 1))}, {whole(-(1 << 53)), num(-(1 << 53))}, {num(-1.5)}, {whole(-1), num(-1)}, {num(-math.SmallestNonzeroFloat64)},
		{num(math.Copysign(0, -1)), num(0), whole(0)}, {num(math.SmallestNonzeroFloat64)}, {num(0.5)}, {whole(1), num(1)}, {num(1.5)},
		{whole(1 << 53), num(1 << 53)}, {whole(1<<53 + 1)}, {num(1<<53 + 2), whole(1<<53 + 2)},
		{whole(math.MaxInt64 - 1)}, {whole(math.MaxInt64)}, {num(1 << 63)}, {num(math.MaxFloat64)}, {num(math.Inf(1))},
		{at(-62_135_596_800, 0)}, {at(-1, 999_999_000)}, {at(0, 0)}, {at(0, 1000), at(0, 1999)}, {at(253_402_300_799, 0)},
		{text("")}, {text("\x00")}, {text("\x00\x01")}, {text("\x01")}, {text("a")}, {text("a\x00")}, {text("a\x00b")}, {text("ab")}, {text("é")}, {text("\uFFFD")}, {text("😀")},
		{data("")}, {data("\x00")}, {data("\x00\xFF")}, {data("\x01")}, {data("\xFF")},
		{ref(db + "/c/__id-3__")}, {ref(db + "/c/__id20__")}, {ref(db + "/c/1")}, {ref(db + "/c/a")}, {ref(db + "/c/a/d/x")}, {ref(db + "/c/a!")}, {ref(db + "/d/a")},
		{ref("projects/q/databases/d/documents/a/a")},
		{geo(-90, 0)}, {geo(0, -180)}, {geo(0, 0), geo(math.Copysign(0, -1), 0)}, {geo(0, 1)}, {geo(1, -1)},
		{list()}, {list(truth(false))}, {list(whole(1)), list(num(1))}, {list(whole(1), whole(1))}, {list(whole(2))}, {list(text(""))}, {list(object())},
		{vector(whole(9))}, {vector(whole(1), whole(2)), vector(num(1), num(2))}, {vector(whole(1), whole(3))},
		{object()}, {object("a", whole(1))}, {object("a", whole(1), "b", whole(0))}, {object("a", whole(2))}, {object("a", text(""))}, {object("ab", whole(0))}, {object("b", whole(0))},
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func TestOrder(t *testing.T) {
	groups := ordered()
	for i, g := range groups {
		for j, h := range groups {
			for _, a := range g {
				for _, b := range h {
					want := sign(i - j)
					if got := sign(value.Compare(a, b)); got != want {
						t.Errorf("compare %v with %v: got %d, want %d", a, b, got, want)
					}
					check(t, a, b)
				}
			}
		}
	}
}

// check holds the encoding against the order.
func check(t *testing.T, a, b *pb.Value) {
	t.Helper()
	x, y := value.Append(nil, a), value.Append(nil, b)
	want := sign(value.Compare(a, b))
	if got := bytes.Compare(x, y); got != want {
		t.Errorf("encoded %v and %v: got %d, want %d (%x, %x)", a, b, got, want, x, y)
	}
	if back := value.Compare(b, a); sign(back) != -want {
		t.Errorf("compare %v with %v is %d, and the other way round %d", a, b, want, back)
	}
	if want != 0 && (bytes.HasPrefix(x, y) || bytes.HasPrefix(y, x)) {
		t.Errorf("one encoding of %v and %v begins with the other", a, b)
	}
	value.Invert(x)
	value.Invert(y)
	if got := bytes.Compare(x, y); got != -want {
		t.Errorf("inverted %v and %v: got %d, want %d", a, b, got, -want)
	}
	cx, _ := value.AppendIndexed(nil, a)
	cy, _ := value.AppendIndexed(nil, b)
	if got := bytes.Compare(cx, cy); got != want && got != 0 {
		t.Errorf("cut %v and %v: got %d, want %d or 0", a, b, got, want)
	}
}

func TestIndexedValuesAreCut(t *testing.T) {
	long := text(string(bytes.Repeat([]byte("x"), 3000)))
	k, cut := value.AppendIndexed([]byte("head"), long)
	if !cut || len(k) != 4+value.MaxIndexed {
		t.Errorf("got %d bytes, cut %v", len(k), cut)
	}
	if _, cut := value.AppendIndexed(nil, text("x")); cut {
		t.Error("a short value was cut")
	}
}

// FuzzOrder takes three values from bytes: the order is total, and the encoding agrees with it.
func FuzzOrder(f *testing.F) {
	groups := ordered()
	for i := range groups {
		a, _ := proto.Marshal(groups[i][0])
		b, _ := proto.Marshal(groups[(i+1)%len(groups)][0])
		c, _ := proto.Marshal(groups[(i+7)%len(groups)][0])
		f.Add(a, b, c)
	}
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		var v [3]*pb.Value
		for i, raw := range [][]byte{a, b, c} {
			v[i] = new(pb.Value)
			if len(raw) > 1000 || proto.Unmarshal(raw, v[i]) != nil || !comparable(v[i], 0) {
				t.Skip()
			}
		}
		for _, x := range v {
			for _, y := range v {
				check(t, x, y)
				for _, z := range v {
					if value.Compare(x, y) <= 0 && value.Compare(y, z) <= 0 && value.Compare(x, z) > 0 {
						t.Errorf("not transitive: %v, %v, %v", x, y, z)
					}
				}
			}
		}
	})
}

// comparable says whether a value is one that could be stored.
func comparable(v *pb.Value, depth int) bool {
	if depth > 20 {
		return false
	}
	switch x := v.GetValueType().(type) {
	case *pb.Value_TimestampValue:
		s := x.TimestampValue.GetSeconds()
		return s >= -62_135_596_800 && s <= 253_402_300_799 && x.TimestampValue.GetNanos() >= 0 && x.TimestampValue.GetNanos() < 1e9
	case *pb.Value_GeoPointValue:
		return !math.IsNaN(x.GeoPointValue.GetLatitude()) && !math.IsNaN(x.GeoPointValue.GetLongitude())
	case *pb.Value_ArrayValue:
		for _, e := range x.ArrayValue.GetValues() {
			if !comparable(e, depth+1) {
				return false
			}
		}
	case *pb.Value_MapValue:
		for _, e := range x.MapValue.GetFields() {
			if !comparable(e, depth+1) {
				return false
			}
		}
	}
	return value.ClassOf(v) != 0
}
