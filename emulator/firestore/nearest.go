package firestore

import (
	"cmp"
	"math"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

// nearest is a search for the documents whose vectors are nearest to one: all candidates are looked at, which is exact.
type nearest struct {
	path      resource.FieldPath
	to        []float64
	measure   pb.StructuredQuery_FindNearest_DistanceMeasure
	limit     int
	threshold *float64
	result    resource.FieldPath // where the distance goes in the answer; nil: nowhere
}

const maxNearest = 1000

func parseNearest(in *pb.StructuredQuery_FindNearest) (*nearest, error) {
	if in == nil {
		return nil, nil
	}
	n := &nearest{measure: in.GetDistanceMeasure(), limit: int(in.GetLimit().GetValue())}
	var err error
	if n.path, err = resource.ParseFieldPath(in.GetVectorField().GetFieldPath()); err != nil {
		return nil, invalid("find_nearest: %v", err)
	}
	var ok bool
	if n.to, ok = value.VectorOf(in.GetQueryVector()); !ok || len(n.to) == 0 {
		return nil, invalid("find_nearest: query_vector is no vector")
	}
	if n.limit < 1 || n.limit > maxNearest {
		return nil, invalid("find_nearest: limit must be 1 to %d", maxNearest)
	}
	switch n.measure {
	case pb.StructuredQuery_FindNearest_EUCLIDEAN, pb.StructuredQuery_FindNearest_COSINE, pb.StructuredQuery_FindNearest_DOT_PRODUCT:
	default:
		return nil, invalid("find_nearest: distance_measure %v is not known", n.measure)
	}
	if t := in.GetDistanceThreshold(); t != nil {
		d := t.GetValue()
		n.threshold = &d
	}
	if text := in.GetDistanceResultField(); text != "" {
		if n.result, err = resource.ParseFieldPath(text); err != nil {
			return nil, invalid("find_nearest: distance_result_field: %v", err)
		}
	}
	return n, nil
}

// measured is a document and how far it is.
type measured struct {
	*document
	distance float64
}

// pick gives the nearest documents of a stream, the nearest first; of equals, the one that came first. It keeps twice as many as it gives.
func (n *nearest) pick(from stream) ([]measured, error) {
	var out []measured
	trim := func() {
		slices.SortStableFunc(out, n.order)
		if len(out) > n.limit {
			clear(out[n.limit:])
			out = out[:n.limit]
		}
	}
	for {
		d, err := from.next()
		if err != nil {
			return nil, err
		}
		if d == nil {
			trim()
			return out, nil
		}
		v, err := d.field(n.path)
		if err != nil {
			return nil, err
		}
		vector, ok := value.VectorOf(v)
		if !ok || len(vector) != len(n.to) {
			continue
		}
		distance := n.distance(vector)
		if n.threshold != nil && (n.better(*n.threshold, distance) || math.IsNaN(distance)) {
			continue
		}
		if out = append(out, measured{d, distance}); len(out) >= 2*n.limit {
			trim()
		}
	}
}

func (n *nearest) order(a, b measured) int {
	if n.measure == pb.StructuredQuery_FindNearest_DOT_PRODUCT {
		return cmp.Compare(b.distance, a.distance)
	}
	return cmp.Compare(a.distance, b.distance)
}

// better says whether a is nearer than b: dot products are greater for what is alike, distances are less.
func (n *nearest) better(a, b float64) bool {
	if n.measure == pb.StructuredQuery_FindNearest_DOT_PRODUCT {
		return a > b
	}
	return a < b
}

func (n *nearest) distance(v []float64) float64 {
	var dot, squares, a, b float64
	for i := range v {
		dot += v[i] * n.to[i]
		squares += (v[i] - n.to[i]) * (v[i] - n.to[i])
		a += v[i] * v[i]
		b += n.to[i] * n.to[i]
	}
	switch n.measure {
	case pb.StructuredQuery_FindNearest_DOT_PRODUCT:
		return dot
	case pb.StructuredQuery_FindNearest_COSINE:
		return 1 - dot/math.Sqrt(a*b)
	}
	return math.Sqrt(squares)
}

// message is the document with its distance where the query asks for it.
func (n *nearest) message(m measured, mask projection) (*pb.Document, error) {
	fields, err := m.fields()
	if err != nil {
		return nil, err
	}
	if mask != nil {
		fields = mask.apply(fields)
	}
	if n.result != nil {
		e := newEdit(fields)
		e.set(n.result, double(m.distance))
		fields = e.fields
	}
	return &pb.Document{Name: m.name(), Fields: fields, CreateTime: timestamp(m.created), UpdateTime: timestamp(m.updated)}, nil
}
