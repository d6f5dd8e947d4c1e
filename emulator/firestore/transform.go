package firestore

import (
	"math"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// transform changes one field from what it is. It gives the value that the write's result tells.
type transform struct {
	path resource.FieldPath
	do   func(old *pb.Value, now int64) (field, result *pb.Value)
}

func parseTransforms(in []*pb.DocumentTransform_FieldTransform) ([]transform, error) {
	if len(in) > maxTransforms {
		return nil, invalid("%d transforms of one document; at most %d are allowed", len(in), maxTransforms)
	}
	var out []transform
	for _, t := range in {
		path, err := resource.ParseFieldPath(t.GetFieldPath())
		if err != nil {
			return nil, invalid("transform: %v", err)
		}
		if path.IsDocumentID() {
			return nil, invalid("transform: field %s cannot be changed", resource.DocumentID)
		}
		if len(path) > maxDepth {
			return nil, invalid("transform: field %s is nested more than %d deep", path, maxDepth)
		}
		do, err := parseTransform(t, len(path))
		if err != nil {
			return nil, invalid("transform of %s: %s", path, message(err))
		}
		out = append(out, transform{path, do})
	}
	return out, nil
}

// parseTransform reads the transform of a field so many names deep.
func parseTransform(t *pb.DocumentTransform_FieldTransform, depth int) (func(*pb.Value, int64) (*pb.Value, *pb.Value), error) {
	switch x := t.GetTransformType().(type) {
	case *pb.DocumentTransform_FieldTransform_SetToServerValue:
		if x.SetToServerValue != pb.DocumentTransform_FieldTransform_REQUEST_TIME {
			return nil, invalid("the server value is not known")
		}
		return func(_ *pb.Value, now int64) (*pb.Value, *pb.Value) {
			v := &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: timestamp(now)}}
			return v, v
		}, nil
	case *pb.DocumentTransform_FieldTransform_Increment:
		return numeric(x.Increment, add)
	case *pb.DocumentTransform_FieldTransform_Maximum:
		return numeric(x.Maximum, func(old, operand *pb.Value) *pb.Value { return extreme(old, operand, 1) })
	case *pb.DocumentTransform_FieldTransform_Minimum:
		return numeric(x.Minimum, func(old, operand *pb.Value) *pb.Value { return extreme(old, operand, -1) })
	case *pb.DocumentTransform_FieldTransform_AppendMissingElements:
		return array(x.AppendMissingElements, depth, union)
	case *pb.DocumentTransform_FieldTransform_RemoveAllFromArray:
		return array(x.RemoveAllFromArray, depth, difference)
	}
	return nil, invalid("its type is not known")
}

// numeric makes a transform of a number; a field that is none becomes the operand.
func numeric(operand *pb.Value, f func(old, operand *pb.Value) *pb.Value) (func(*pb.Value, int64) (*pb.Value, *pb.Value), error) {
	if value.ClassOf(operand) != value.Number {
		return nil, invalid("the operand is not a number")
	}
	return func(old *pb.Value, _ int64) (*pb.Value, *pb.Value) {
		v := operand
		if value.ClassOf(old) == value.Number {
			v = f(old, operand)
		}
		return v, v
	}, nil
}

// add keeps integers within their range: a sum beyond it is the nearest integer, as documented.
func add(a, b *pb.Value) *pb.Value {
	x, aInt := a.GetValueType().(*pb.Value_IntegerValue)
	y, bInt := b.GetValueType().(*pb.Value_IntegerValue)
	if !aInt || !bInt {
		return double(value.Float(a) + value.Float(b))
	}
	sum := x.IntegerValue + y.IntegerValue
	switch {
	case y.IntegerValue > 0 && sum < x.IntegerValue:
		sum = math.MaxInt64
	case y.IntegerValue < 0 && sum > x.IntegerValue:
		sum = math.MinInt64
	}
	return integer(sum)
}

// extreme gives the greater (sign 1) or lesser (sign -1) one; of equals the old one stays. NaN wins.
func extreme(old, operand *pb.Value, sign int) *pb.Value {
	switch {
	case value.IsNaN(old):
		return old
	case value.IsNaN(operand):
		return operand
	case sign*value.Compare(operand, old) > 0:
		return operand
	}
	return old
}

// array makes a transform of an array; a field that is none counts as empty. Its result is null, as documented.
func array(operand *pb.ArrayValue, depth int, f func(old, operand []*pb.Value) []*pb.Value) (func(*pb.Value, int64) (*pb.Value, *pb.Value), error) {
	for _, e := range operand.GetValues() {
		if value.ClassOf(e) == value.Array {
			return nil, invalid("an element is an array")
		}
		if err := checkValue(e, depth+1); err != nil {
			return nil, err
		}
	}
	return func(old *pb.Value, _ int64) (*pb.Value, *pb.Value) {
		values := f(old.GetArrayValue().GetValues(), operand.GetValues())
		return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: values}}},
			&pb.Value{ValueType: &pb.Value_NullValue{}}
	}, nil
}

func union(old, add []*pb.Value) []*pb.Value {
	out := append([]*pb.Value(nil), old...)
	seen := setOf(old)
	for _, e := range add {
		if seen.add(e) {
			out = append(out, e)
		}
	}
	return out
}

func difference(old, remove []*pb.Value) []*pb.Value {
	var out []*pb.Value
	gone := setOf(remove)
	for _, e := range old {
		if !gone[string(value.Append(nil, e))] {
			out = append(out, e)
		}
	}
	return out
}

// valueSet holds values that are equal in a query once, by their encodings.
type valueSet map[string]bool

func setOf(values []*pb.Value) valueSet {
	s := make(valueSet, len(values))
	for _, v := range values {
		s.add(v)
	}
	return s
}

// add says whether the value is new.
func (s valueSet) add(v *pb.Value) bool {
	k := value.Append(nil, v)
	if s[string(k)] {
		return false
	}
	s[string(k)] = true
	return true
}

func contains(list []*pb.Value, v *pb.Value) bool {
	for _, e := range list {
		if value.Equal(e, v) {
			return true
		}
	}
	return false
}

func (t transform) apply(e *edit, now int64) *pb.Value {
	v, result := t.do(lookup(e.fields, t.path), now)
	e.set(t.path, v)
	return result
}

func integer(n int64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}}
}

func double(d float64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: d}}
}
