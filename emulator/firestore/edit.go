package firestore

import (
	"maps"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// edit changes fields without touching what it was given: a map is copied before it is first changed, and only then.
type edit struct {
	fields map[string]*pb.Value
	own    map[*pb.Value]bool // maps within that are copies already
}

func newEdit(fields map[string]*pb.Value) *edit {
	e := &edit{fields: make(map[string]*pb.Value, len(fields)), own: map[*pb.Value]bool{}}
	maps.Copy(e.fields, fields)
	return e
}

// set puts v at path, making maps on the way.
func (e *edit) set(path resource.FieldPath, v *pb.Value) {
	in, last := e.open(path)
	in[last] = v
}

// delete removes what is at path.
func (e *edit) delete(path resource.FieldPath) {
	if lookup(e.fields, path) == nil {
		return
	}
	in, last := e.open(path)
	delete(in, last)
}

// open gives the map that holds the end of a path, to be changed, and the name there.
func (e *edit) open(path resource.FieldPath) (in map[string]*pb.Value, last string) {
	in, last = e.fields, path[len(path)-1]
	for _, name := range path[:len(path)-1] {
		v := in[name]
		if !e.own[v] {
			inner := make(map[string]*pb.Value, len(v.GetMapValue().GetFields())+1)
			maps.Copy(inner, v.GetMapValue().GetFields())
			v = &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: inner}}}
			e.own[v], in[name] = true, v
		}
		in = v.GetMapValue().GetFields()
	}
	return in, last
}
