package firestore

import (
	"math"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// filter is a condition on documents: a leaf, an and, or an or.
type filter interface {
	match(d *document) (bool, error)
}

type (
	and []filter
	or  []filter
	// leaf compares one field with a value, or with the elements of an array of values.
	leaf struct {
		path  resource.FieldPath
		text  string
		op    op
		value *pb.Value
	}
)

type op int

const (
	equal op = iota
	less
	lessOrEqual
	greater
	greaterOrEqual
	notEqual
	arrayContains
	isIn
	arrayContainsAny
	notIn
)

func (o op) isInequality() bool {
	switch o {
	case less, lessOrEqual, greater, greaterOrEqual, notEqual, notIn:
		return true
	}
	return false
}

// isRange says whether the operator selects one stretch of the values of one class.
func (o op) isRange() bool {
	return o == less || o == lessOrEqual || o == greater || o == greaterOrEqual
}

func (f and) match(d *document) (bool, error) {
	for _, p := range f {
		if ok, err := p.match(d); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (f or) match(d *document) (bool, error) {
	for _, p := range f {
		if ok, err := p.match(d); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (f *leaf) match(d *document) (bool, error) {
	v, err := d.field(f.path)
	if v == nil || err != nil {
		return false, err
	}
	switch f.op {
	case equal:
		return value.Equal(v, f.value), nil
	case notEqual:
		return value.ClassOf(v) != value.Null && !value.Equal(v, f.value), nil
	case isIn:
		return contains(f.value.GetArrayValue().GetValues(), v), nil
	case notIn:
		list := f.value.GetArrayValue().GetValues()
		return value.ClassOf(v) != value.Null && !contains(list, v) && !contains(list, null), nil
	case arrayContains:
		return contains(v.GetArrayValue().GetValues(), f.value), nil
	case arrayContainsAny:
		for _, e := range v.GetArrayValue().GetValues() {
			if contains(f.value.GetArrayValue().GetValues(), e) {
				return true, nil
			}
		}
		return false, nil
	}
	if value.ClassOf(v) != value.ClassOf(f.value) || value.IsNaN(v) != value.IsNaN(f.value) {
		return false, nil // a range never leaves its class, and NaN is in no range but its own
	}
	c := value.Compare(v, f.value)
	switch f.op {
	case less:
		return c < 0, nil
	case lessOrEqual:
		return c <= 0, nil
	case greater:
		return c > 0, nil
	}
	return c >= 0, nil
}

var (
	null = &pb.Value{ValueType: &pb.Value_NullValue{}}
	nan  = double(math.NaN())
)

// leaves are all comparisons of a condition.
func leaves(f filter) []*leaf {
	switch f := f.(type) {
	case *leaf:
		return []*leaf{f}
	case and:
		return gather(f)
	case or:
		return gather(f)
	}
	return nil
}

func gather(parts []filter) []*leaf {
	var out []*leaf
	for _, p := range parts {
		out = append(out, leaves(p)...)
	}
	return out
}

// disjunctions turns a condition into alternatives, each of which is a list of comparisons that must all hold; values in a list become
// alternatives too. False: there would be more than the documented number.
func disjunctions(f filter) ([][]*leaf, bool) {
	switch f := f.(type) {
	case nil:
		return [][]*leaf{nil}, true
	case *leaf:
		return f.alternatives()
	case or:
		var out [][]*leaf
		for _, p := range f {
			alternatives, ok := disjunctions(p)
			if out = append(out, alternatives...); !ok || len(out) > maxDisjunctions {
				return nil, false
			}
		}
		return out, true
	case and:
		out := [][]*leaf{nil}
		for _, p := range f {
			alternatives, ok := disjunctions(p)
			if !ok || len(out)*len(alternatives) > maxDisjunctions {
				return nil, false
			}
			var next [][]*leaf
			for _, a := range out {
				for _, b := range alternatives {
					next = append(next, append(a[:len(a):len(a)], b...))
				}
			}
			out = next
		}
		return out, true
	}
	return nil, false
}

func (f *leaf) alternatives() ([][]*leaf, bool) {
	single := map[op]op{isIn: equal, arrayContainsAny: arrayContains}
	to, ok := single[f.op]
	if !ok {
		return [][]*leaf{{f}}, true
	}
	var out [][]*leaf
	var seen []*pb.Value
	for _, v := range f.value.GetArrayValue().GetValues() {
		if !contains(seen, v) {
			seen = append(seen, v)
			out = append(out, []*leaf{{path: f.path, text: f.text, op: to, value: v}})
		}
	}
	return out, len(out) <= maxDisjunctions
}
