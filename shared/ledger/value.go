package ledger

import (
	"fmt"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
)

// fields is the content of a document. Setting a zero value leaves the field out; reading an absent one gives the zero value; reading
// one of another type is an error, kept until it is asked for.
type fields struct {
	values map[string]*firestorepb.Value
	err    error
}

func newFields() *fields { return &fields{values: map[string]*firestorepb.Value{}} }

func (f *fields) setText(name, v string) {
	if v != "" {
		f.values[name] = text(v)
	}
}

func (f *fields) setInt(name string, v int64) {
	if v != 0 {
		f.values[name] = integer(v)
	}
}

func (f *fields) setBool(name string, v bool) {
	if v {
		f.values[name] = &firestorepb.Value{ValueType: &firestorepb.Value_BooleanValue{BooleanValue: v}}
	}
}

func (f *fields) setBytes(name string, v []byte) {
	if len(v) > 0 {
		f.values[name] = &firestorepb.Value{ValueType: &firestorepb.Value_BytesValue{BytesValue: v}}
	}
}

// setTime keeps microseconds, as Firestore does.
func (f *fields) setTime(name string, v time.Time) {
	if !v.IsZero() {
		f.values[name] = timestamp(v)
	}
}

func (f *fields) setList(name string, v []*firestorepb.Value) {
	if len(v) > 0 {
		f.values[name] = &firestorepb.Value{ValueType: &firestorepb.Value_ArrayValue{ArrayValue: &firestorepb.ArrayValue{Values: v}}}
	}
}

func text(v string) *firestorepb.Value {
	return &firestorepb.Value{ValueType: &firestorepb.Value_StringValue{StringValue: v}}
}

func integer(v int64) *firestorepb.Value {
	return &firestorepb.Value{ValueType: &firestorepb.Value_IntegerValue{IntegerValue: v}}
}

func mapValue(f *fields) *firestorepb.Value {
	return &firestorepb.Value{ValueType: &firestorepb.Value_MapValue{MapValue: &firestorepb.MapValue{Fields: f.values}}}
}

func (f *fields) text(name string) string {
	v, ok := f.values[name].GetValueType().(*firestorepb.Value_StringValue)
	if !ok {
		f.wrong(name, "a text")
		return ""
	}
	return v.StringValue
}

func (f *fields) int(name string) int64 {
	v, ok := f.values[name].GetValueType().(*firestorepb.Value_IntegerValue)
	if !ok {
		f.wrong(name, "an integer")
		return 0
	}
	return v.IntegerValue
}

func (f *fields) bool(name string) bool {
	v, ok := f.values[name].GetValueType().(*firestorepb.Value_BooleanValue)
	if !ok {
		f.wrong(name, "true or false")
		return false
	}
	return v.BooleanValue
}

func (f *fields) bytes(name string) []byte {
	v, ok := f.values[name].GetValueType().(*firestorepb.Value_BytesValue)
	if !ok {
		f.wrong(name, "bytes")
		return nil
	}
	return v.BytesValue
}

func (f *fields) time(name string) time.Time {
	v, ok := f.values[name].GetValueType().(*firestorepb.Value_TimestampValue)
	if !ok {
		f.wrong(name, "a time")
		return time.Time{}
	}
	return v.TimestampValue.AsTime()
}

func (f *fields) list(name string) []*firestorepb.Value {
	v, ok := f.values[name].GetValueType().(*firestorepb.Value_ArrayValue)
	if !ok {
		f.wrong(name, "a list")
		return nil
	}
	return v.ArrayValue.GetValues()
}

func (f *fields) wrong(name, want string) {
	if f.values[name] != nil && f.err == nil {
		f.err = fmt.Errorf("field %s is not %s", name, want)
	}
}
