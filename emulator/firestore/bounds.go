package firestore

import (
	"bytes"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// bounds narrows what follows the prefix of a candidate's keys. Nil is open.
type bounds struct {
	p            *planner
	c            *candidate
	lower, upper []byte
}

func (b *bounds) raise(k []byte) {
	if bytes.Compare(k, b.lower) > 0 {
		b.lower = k
	}
}

func (b *bounds) cap(k []byte) {
	if k != nil && (b.upper == nil || bytes.Compare(k, b.upper) < 0) {
		b.upper = k
	}
}

// encode is a value as the keys have it in the place of the i-th order; not ok where keys do not tell it from others.
func (b *bounds) encode(i int, v *pb.Value) (k []byte, inverted, ok bool) {
	if i == len(b.c.rest) { // the name
		if k, ok = b.p.reference(b.c.index, v); !ok {
			return nil, false, false
		}
		inverted = b.c.name
	} else {
		var cut bool
		k, cut = value.AppendIndexed(nil, v)
		inverted, ok = b.c.modes[i] == Descending, !cut
	}
	if inverted {
		value.Invert(k)
	}
	return k, inverted, ok
}

// ranges uses the comparisons of the first ordered field, and takes those that the bounds prove from open.
func (b *bounds) ranges(open *[]*leaf) {
	first := b.p.orders[0]
	*open = slices.DeleteFunc(*open, func(f *leaf) bool {
		if f.text != first.text || !f.op.isRange() || value.IsNaN(f.value) {
			return false
		}
		k, inverted, ok := b.encode(0, f.value)
		if k == nil {
			return false
		}
		upward := f.op == greater || f.op == greaterOrEqual
		inclusive := f.op == greaterOrEqual || f.op == lessOrEqual || !ok // a cut value stands for several
		b.narrow(k, upward != inverted, inclusive)
		if len(b.c.rest) > 0 {
			b.stayInClass(value.ClassOf(f.value), upward, inverted)
		}
		return ok
	})
}

// narrow keeps what comes after k, or what comes before it.
func (b *bounds) narrow(k []byte, after, inclusive bool) {
	switch {
	case after && inclusive:
		b.raise(k)
	case after:
		b.raise(successor(k))
	case inclusive:
		b.cap(successor(k))
	default:
		b.cap(k)
	}
}

// stayInClass ends a range where the values of another type begin. NaN, the least of the numbers, is in no range.
func (b *bounds) stayInClass(class value.Class, upward, inverted bool) {
	switch {
	case upward && !inverted:
		b.cap(successor([]byte{byte(class)}))
	case upward:
		b.raise([]byte{^byte(class)})
	case class == value.Number:
		k := value.Append(nil, nan)
		if !inverted {
			b.raise(successor(k))
			return
		}
		value.Invert(k)
		b.cap(k)
	case !inverted:
		b.raise([]byte{byte(class)})
	default:
		b.cap(successor([]byte{^byte(class)}))
	}
}

// cursor uses a position of the query, and says whether the keys prove it.
func (b *bounds) cursor(at *bound, start bool) bool {
	if at == nil {
		return true
	}
	if b.p.loose {
		return false
	}
	var key []byte
	exact := true
	n := 0
	for i, v := range at.values {
		if i >= len(b.p.q.orders) || n >= len(b.p.orders) || b.p.q.orders[i].text != b.p.orders[n].text {
			exact = false // the order of a field that an equality fixes
			break
		}
		k, _, ok := b.encode(n, v)
		if k != nil {
			key = append(key, k...)
		}
		if !ok {
			exact = false
			break
		}
		n++
	}
	if len(key) == 0 {
		return exact && len(at.values) == 0 && at.before == start
	}
	after := start != b.c.reverse
	inclusive := at.before == start || !exact
	b.narrow(key, after, inclusive)
	return exact
}
