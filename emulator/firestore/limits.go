package firestore

import (
	"fmt"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// The documented limits (https://firebase.google.com/docs/firestore/quotas).
const (
	maxDocumentBytes = 1 << 20
	maxCommitBytes   = 10 << 20
	maxDepth         = 20  // maps and arrays within one another
	maxTransforms    = 500 // of one document in one commit
	maxBatchWrites   = 500 // of BatchWrite
	maxEntries       = 40_000
	minSeconds       = -62_135_596_800
	maxSeconds       = 253_402_300_799 // 0001-01-01 to 9999-12-31
)

// What is documented nowhere, and no honest client comes near.
const (
	maxRewritten    = 64 << 20 // bytes of documents that writes of one commit make of what its earlier writes made
	maxTransactions = 10_000   // that run at once
	maxPageBytes    = 16 << 20 // of documents in one page of a list, the first one aside
)

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// checkFields checks what a document is to hold, and cuts its timestamps to microseconds, as Firestore does.
func checkFields(fields map[string]*pb.Value) error {
	for name, v := range fields {
		if err := resource.CheckFieldName(name); err != nil {
			return invalid("%v", err)
		}
		if err := checkValue(v, 1); err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
	}
	return nil
}

func checkValue(v *pb.Value, depth int) error {
	if depth > maxDepth {
		return invalid("maps and arrays are nested more than %d deep", maxDepth)
	}
	switch x := v.GetValueType().(type) {
	case nil:
		return invalid("a value is missing")
	case *pb.Value_FieldReferenceValue, *pb.Value_FunctionValue, *pb.Value_PipelineValue, *pb.Value_VariableReferenceValue:
		return invalid("values of pipelines cannot be stored")
	case *pb.Value_TimestampValue:
		return checkTimestamp(x)
	case *pb.Value_GeoPointValue:
		p := x.GeoPointValue
		if !(p.GetLatitude() >= -90 && p.GetLatitude() <= 90 && p.GetLongitude() >= -180 && p.GetLongitude() <= 180) {
			return invalid("a geographical point is outside of [-90, 90], [-180, 180]")
		}
	case *pb.Value_ReferenceValue:
		if _, _, err := resource.ParseDocument(x.ReferenceValue); err != nil {
			return invalid("%v", err)
		}
	case *pb.Value_ArrayValue:
		for _, e := range x.ArrayValue.GetValues() {
			if _, ok := e.GetValueType().(*pb.Value_ArrayValue); ok {
				return invalid("an array is directly within an array")
			}
			if err := checkValue(e, depth+1); err != nil {
				return err
			}
		}
	case *pb.Value_MapValue:
		return checkMap(v, x.MapValue.GetFields(), depth)
	}
	return nil
}

func checkTimestamp(x *pb.Value_TimestampValue) error {
	t := x.TimestampValue
	if t.GetSeconds() < minSeconds || t.GetSeconds() > maxSeconds || t.GetNanos() < 0 || t.GetNanos() > 999_999_999 {
		return invalid("a timestamp is outside of the years 1 to 9999")
	}
	if t != nil {
		t.Nanos -= t.Nanos % 1000
	}
	return nil
}

// checkMap lets only one kind of reserved name in: that of a vector.
func checkMap(v *pb.Value, fields map[string]*pb.Value, depth int) error {
	if numbers, ok := value.VectorOf(v); ok {
		if len(numbers) == 0 || len(numbers) > 2048 {
			return invalid("a vector has %d dimensions; 1 to 2048 are allowed", len(numbers))
		}
		return nil
	}
	for name, e := range fields {
		if len(name) >= 4 && name[:2] == "__" && name[len(name)-2:] == "__" {
			if t := fields["__type__"].GetStringValue(); t == "__vector__" {
				return invalid("a vector is not made of \"value\", an array of numbers")
			}
			if isBSON(name) {
				return status.Errorf(codes.Unimplemented, "BSON type %s is not supported", name)
			}
		}
		if err := resource.CheckFieldName(name); err != nil {
			return invalid("%v", err)
		}
		if err := checkValue(e, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// isBSON says whether a reserved name stands for one of the types that only the MongoDB-compatible edition has.
func isBSON(name string) bool {
	switch name {
	case "__min__", "__max__", "__regex__", "__int__", "__decimal128__", "__oid__", "__request_timestamp__", "__binary__":
		return true
	}
	return false
}

// sizeOf is the documented size of a document: its name, 32 bytes, and its fields.
func sizeOf(path resource.Path, fields map[string]*pb.Value) int {
	n := 16 + 32
	for _, id := range path {
		n += len(id) + 1
	}
	return n + sizeOfMap(fields)
}

func sizeOfMap(fields map[string]*pb.Value) int {
	n := 0
	for name, v := range fields {
		n += len(name) + 1 + sizeOfValue(v)
	}
	return n
}

func sizeOfValue(v *pb.Value) int {
	switch x := v.GetValueType().(type) {
	case *pb.Value_StringValue:
		return len(x.StringValue) + 1
	case *pb.Value_BytesValue:
		return len(x.BytesValue)
	case *pb.Value_ReferenceValue:
		return len(x.ReferenceValue) + 16
	case *pb.Value_GeoPointValue:
		return 16
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue, *pb.Value_TimestampValue:
		return 8
	case *pb.Value_ArrayValue:
		n := 0
		for _, e := range x.ArrayValue.GetValues() {
			n += sizeOfValue(e)
		}
		return n
	case *pb.Value_MapValue:
		return sizeOfMap(x.MapValue.GetFields())
	}
	return 1 // null and booleans
}
