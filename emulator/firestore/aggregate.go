package firestore

import (
	"context"
	"fmt"
	"math"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
	"github.com/callout-dev/callout/emulator/firestore/internal/value"
)

const maxAggregations = 5

// aggregation is one number made from a result.
type aggregation struct {
	alias string
	upTo  int64              // of a count; 0: no end
	path  resource.FieldPath // of a sum or average; nil for a count
	mean  bool

	count   int64
	whole   int64 // the sum while it is an integer
	real    bool
	special float64   // the sum of what is infinite or NaN
	parts   []float64 // their sum is exactly that of the numbers
}

// RunAggregationQuery serves google.firestore.v1.Firestore/RunAggregationQuery.
func (s *Server) RunAggregationQuery(r *pb.RunAggregationQueryRequest, stream pb.Firestore_RunAggregationQueryServer) error {
	if r.GetExplainOptions() != nil {
		return status.Error(codes.Unimplemented, "explain_options are not supported")
	}
	in := r.GetStructuredAggregationQuery()
	q, err := parseQuery(r.GetParent(), in.GetStructuredQuery())
	if err != nil {
		return err
	}
	all, err := parseAggregations(in.GetAggregations())
	if err != nil {
		return err
	}
	v, err := s.view(q.db, selector{r.GetTransaction(), r.GetNewTransaction(), r.GetReadTime()})
	if err != nil {
		return err
	}
	if err := v.aggregate(stream.Context(), q, all); err != nil {
		v.abandon()
		return err
	}
	defer v.close()
	fields := map[string]*pb.Value{}
	for _, a := range all {
		fields[a.alias] = a.value()
	}
	return stream.Send(&pb.RunAggregationQueryResponse{
		Result:      &pb.AggregationResult{AggregateFields: fields},
		Transaction: v.transactionID(), ReadTime: timestamp(v.time),
	})
}

func parseAggregations(in []*pb.StructuredAggregationQuery_Aggregation) ([]*aggregation, error) {
	if len(in) == 0 || len(in) > maxAggregations {
		return nil, invalid("%d aggregations; 1 to %d are allowed", len(in), maxAggregations)
	}
	var out []*aggregation
	seen := map[string]bool{}
	for i, x := range in {
		a := &aggregation{alias: x.GetAlias()}
		if a.alias == "" {
			a.alias = fmt.Sprintf("field_%d", i+1)
		}
		if seen[a.alias] {
			return nil, invalid("alias %q is given twice", a.alias)
		}
		seen[a.alias] = true
		var field string
		switch op := x.GetOperator().(type) {
		case *pb.StructuredAggregationQuery_Aggregation_Count_:
			if up := op.Count.GetUpTo(); up != nil {
				if a.upTo = up.GetValue(); a.upTo < 1 {
					return nil, invalid("up_to must be greater than zero")
				}
			}
		case *pb.StructuredAggregationQuery_Aggregation_Sum_:
			field = op.Sum.GetField().GetFieldPath()
		case *pb.StructuredAggregationQuery_Aggregation_Avg_:
			field, a.mean = op.Avg.GetField().GetFieldPath(), true
		default:
			return nil, invalid("the type of aggregation %q is not known", a.alias)
		}
		if _, ok := x.GetOperator().(*pb.StructuredAggregationQuery_Aggregation_Count_); !ok {
			p, err := resource.ParseFieldPath(field)
			if err != nil {
				return nil, invalid("aggregation %q: %v", a.alias, err)
			}
			a.path = p
		}
		out = append(out, a)
	}
	return out, nil
}

// aggregate feeds the result of a query to aggregations, until none wants more.
func (v *view) aggregate(ctx context.Context, q *query, all []*aggregation) error {
	if counted, err := v.count(ctx, q, all); counted || err != nil {
		return err
	}
	out, err := v.consistently(ctx, q)
	if err != nil {
		return err
	}
	defer out.close()
	for {
		d, err := out.next()
		if d == nil || err != nil {
			return err
		}
		wanted := false
		for _, a := range all {
			if err := a.add(d); err != nil {
				return err
			}
			wanted = wanted || a.upTo == 0 || a.count < a.upTo
		}
		if !wanted {
			return nil
		}
	}
}

// count counts keys, if nothing but counts is wanted and keys prove the query. It says whether it did.
func (v *view) count(ctx context.Context, q *query, all []*aggregation) (bool, error) {
	most := 0
	for _, a := range all {
		if a.path != nil {
			return false, nil
		}
		if a.upTo == 0 {
			most = -1
		} else if most >= 0 {
			most = max(most, int(a.upTo))
		}
	}
	if v.past != nil || v.tx != nil && !v.tx.readOnly || q.near != nil || q.limit == 0 {
		return false, nil
	}
	streams, _, err := v.streams(q)
	if err != nil {
		return false, err
	}
	defer (&merged{from: streams}).close()
	if len(streams) != 1 {
		return false, nil
	}
	keys, ok := streams[0].(*filtered)
	if !ok || !keys.proved {
		return false, nil
	}
	if err := v.s.clock.await(v.s.clock.written.Load()); err != nil {
		return false, err
	}
	n := -q.offset
	for (most < 0 || n < most) && (q.limit < 0 || n < q.limit) {
		_, ok, err := keys.from.next()
		if err != nil {
			return false, err
		}
		if !ok {
			break
		}
		if n++; n&0xFFF == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
	for _, a := range all {
		if a.count = int64(max(n, 0)); a.upTo > 0 {
			a.count = min(a.count, a.upTo)
		}
	}
	return true, nil
}

func (a *aggregation) add(d *document) error {
	if a.path == nil {
		if a.upTo == 0 || a.count < a.upTo {
			a.count++
		}
		return nil
	}
	v, err := d.field(a.path)
	if err != nil || value.ClassOf(v) != value.Number {
		return err
	}
	a.count++
	a.addExactly(value.Float(v))
	if i, ok := v.GetValueType().(*pb.Value_IntegerValue); ok && !a.real {
		sum := a.whole + i.IntegerValue
		a.real = i.IntegerValue > 0 && sum < a.whole || i.IntegerValue < 0 && sum > a.whole // beyond 64 bits
		a.whole = sum
		return nil
	}
	a.real = true
	return nil
}

// addExactly keeps a sum as parts that do not overlap (Shewchuk 1997), so that the result does not depend on the order of the documents.
func (a *aggregation) addExactly(x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		a.special += x
		return
	}
	kept := a.parts[:0]
	for _, y := range a.parts {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		high := x + y
		if low := y - (high - x); low != 0 {
			kept = append(kept, low)
		}
		x = high
	}
	a.parts = append(kept, x)
}

func (a *aggregation) sum() float64 {
	sum := a.special
	for i := len(a.parts) - 1; i >= 0; i-- {
		sum += a.parts[i]
	}
	return sum
}

// value is the number: a sum is an integer as long as all that was added were, an average is a double, or null of nothing.
func (a *aggregation) value() *pb.Value {
	switch {
	case a.path == nil:
		return integer(a.count)
	case a.mean && a.count == 0:
		return null
	case a.mean:
		return double(a.sum() / float64(a.count))
	case a.real:
		return double(a.sum())
	}
	return integer(a.whole)
}
