// Package value holds Firestore's order of values, and an encoding of values into bytes that sort the same way.
//
// The order is the documented one: null, booleans, numbers (NaN first, integers and doubles together), timestamps, strings by their UTF-8
// bytes, bytes, references by segment, geographical points, arrays, vectors, maps.
package value

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// Class is the place of a value's type in the order of types. Values of two classes never compare equal.
type Class byte

// The classes in their order. Their numbers are part of the encoding on disk. Zero ends lists, so it is none.
const (
	Null      Class = 0x08
	Boolean   Class = 0x10
	Number    Class = 0x18
	Timestamp Class = 0x20
	String    Class = 0x28
	Bytes     Class = 0x30
	Reference Class = 0x38
	GeoPoint  Class = 0x40
	Array     Class = 0x48
	Vector    Class = 0x50
	Map       Class = 0x58
)

// The two fields of a map that is a vector, and what the first of them says.
const (
	typeField   = "__type__"
	vectorField = "value"
	vectorType  = "__vector__"
)

// ClassOf tells the class of a value; 0 where it is none that can be stored.
func ClassOf(v *pb.Value) Class {
	switch v.GetValueType().(type) {
	case *pb.Value_NullValue:
		return Null
	case *pb.Value_BooleanValue:
		return Boolean
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue:
		return Number
	case *pb.Value_TimestampValue:
		return Timestamp
	case *pb.Value_StringValue:
		return String
	case *pb.Value_BytesValue:
		return Bytes
	case *pb.Value_ReferenceValue:
		return Reference
	case *pb.Value_GeoPointValue:
		return GeoPoint
	case *pb.Value_ArrayValue:
		return Array
	case *pb.Value_MapValue:
		if _, ok := VectorOf(v); ok {
			return Vector
		}
		return Map
	}
	return 0
}

// VectorOf gives the numbers of a vector: a map of exactly __type__ and value, the one "__vector__", the other an array of numbers.
func VectorOf(v *pb.Value) ([]float64, bool) {
	fields := v.GetMapValue().GetFields()
	if len(fields) != 2 || fields[typeField].GetStringValue() != vectorType {
		return nil, false
	}
	a, ok := fields[vectorField].GetValueType().(*pb.Value_ArrayValue)
	if !ok {
		return nil, false
	}
	out := make([]float64, len(a.ArrayValue.GetValues()))
	for i, e := range a.ArrayValue.GetValues() {
		if ClassOf(e) != Number {
			return nil, false
		}
		out[i] = Float(e)
	}
	return out, true
}

// Float is a number as a double; integers beyond 2^53 are rounded.
func Float(v *pb.Value) float64 {
	if i, ok := v.GetValueType().(*pb.Value_IntegerValue); ok {
		return float64(i.IntegerValue)
	}
	return v.GetDoubleValue()
}

// IsNaN says whether v is the number that is not one.
func IsNaN(v *pb.Value) bool {
	d, ok := v.GetValueType().(*pb.Value_DoubleValue)
	return ok && math.IsNaN(d.DoubleValue)
}

// Micros is a timestamp in microseconds since 1970, which is as precisely as Firestore keeps one.
func Micros(t *timestamppb.Timestamp) int64 {
	return t.GetSeconds()*1_000_000 + int64(t.GetNanos())/1000
}

// Equal says whether a and b are equal in a query: 1 and 1.0 are, and NaN is equal to itself.
func Equal(a, b *pb.Value) bool { return Compare(a, b) == 0 }

// Compare orders two values: negative, zero or positive.
func Compare(a, b *pb.Value) int {
	class := ClassOf(a)
	if c := cmp.Compare(class, ClassOf(b)); c != 0 {
		return c
	}
	switch class {
	case Boolean:
		return compareBool(a.GetBooleanValue(), b.GetBooleanValue())
	case Number:
		return compareNumber(a, b)
	case Timestamp:
		return cmp.Compare(Micros(a.GetTimestampValue()), Micros(b.GetTimestampValue()))
	case String:
		return strings.Compare(a.GetStringValue(), b.GetStringValue())
	case Bytes:
		return bytes.Compare(a.GetBytesValue(), b.GetBytesValue())
	case Reference:
		return resource.CompareNames(a.GetReferenceValue(), b.GetReferenceValue())
	case GeoPoint:
		p, q := a.GetGeoPointValue(), b.GetGeoPointValue()
		return cmp.Or(cmp.Compare(p.GetLatitude(), q.GetLatitude()), cmp.Compare(p.GetLongitude(), q.GetLongitude()))
	case Array:
		return slices.CompareFunc(a.GetArrayValue().GetValues(), b.GetArrayValue().GetValues(), Compare)
	case Vector:
		p, _ := VectorOf(a)
		q, _ := VectorOf(b)
		return cmp.Or(cmp.Compare(len(p), len(q)), slices.Compare(p, q))
	case Map:
		return compareMap(a.GetMapValue().GetFields(), b.GetMapValue().GetFields())
	}
	return 0
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// compareNumber orders integers and doubles by their exact values: an integer beyond 2^53 is not rounded first.
func compareNumber(a, b *pb.Value) int {
	x, aInt := a.GetValueType().(*pb.Value_IntegerValue)
	y, bInt := b.GetValueType().(*pb.Value_IntegerValue)
	switch {
	case aInt && bInt:
		return cmp.Compare(x.IntegerValue, y.IntegerValue)
	case aInt:
		return -compareDoubleInt(b.GetDoubleValue(), x.IntegerValue)
	case bInt:
		return compareDoubleInt(a.GetDoubleValue(), y.IntegerValue)
	}
	return cmp.Compare(a.GetDoubleValue(), b.GetDoubleValue()) // NaN is less than all and equal to itself; -0 equals 0
}

func compareDoubleInt(d float64, i int64) int {
	switch {
	case math.IsNaN(d) || d < -(1<<63):
		return -1
	case d >= 1<<63:
		return 1
	}
	whole := math.Floor(d)
	if c := cmp.Compare(int64(whole), i); c != 0 {
		return c
	}
	return cmp.Compare(d, whole)
}

func compareMap(a, b map[string]*pb.Value) int {
	p, q := sortedKeys(a), sortedKeys(b)
	for i := range min(len(p), len(q)) {
		if c := strings.Compare(p[i], q[i]); c != 0 {
			return c
		}
		if c := Compare(a[p[i]], b[q[i]]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(p), len(q))
}

func sortedKeys(m map[string]*pb.Value) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
