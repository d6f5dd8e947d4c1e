package ledger

import (
	"context"
	"io"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// Due lists deliveries of a lane, over all instances, that are due until the given time, the longest due first. A document that this
// version cannot read is logged and left out: it must not keep the others waiting.
func (l *Ledger) Due(ctx context.Context, lane string, until time.Time, limit int) ([]Version, error) {
	query := dueQuery(
		where("lane", firestorepb.StructuredQuery_FieldFilter_EQUAL, text(lane)),
		where("due", firestorepb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL, timestamp(until)))
	query.OrderBy = []*firestorepb.StructuredQuery_Order{ascending("due")}
	for unreadable := 0; ; {
		query.Limit = wrapperspb.Int32(int32(limit + unreadable))
		var due []Version
		seen := 0
		err := l.query(ctx, "query due deliveries", query, func(doc *firestorepb.Document) {
			seen++
			v, err := version(doc)
			if err != nil {
				l.log.ErrorContext(ctx, "delivery left out of the sweep", logging.Err, err)
				return
			}
			due = append(due, v)
		})
		if err != nil || len(due) >= limit || seen < limit+unreadable {
			return due, err
		}
		unreadable = seen - len(due)
	}
}

// Underway counts the deliveries of a target's lane that were released and are not done, as far as limit.
func (l *Ledger) Underway(ctx context.Context, lane string, now time.Time, limit int) (int, error) {
	query := dueQuery(
		where("lane", firestorepb.StructuredQuery_FieldFilter_EQUAL, text(lane)),
		where("due", firestorepb.StructuredQuery_FieldFilter_GREATER_THAN, timestamp(now)))
	n, err := l.count(ctx, l.database+"/documents", query, limit)
	return int(n), err
}

// OldestOfLane is a lane in which something lies, and when the first of it is due: what is released is due when its claim ends.
type OldestOfLane struct {
	Name string
	Due  time.Time
}

// Lanes lists the lanes of targets in which something lies, at most limit of them. It steps from lane to lane, whatever each one holds.
func (l *Ledger) Lanes(ctx context.Context, limit int) ([]OldestOfLane, error) {
	var lanes []OldestOfLane
	from, op := "t", firestorepb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL
	for len(lanes) < limit {
		query := dueQuery(where("lane", op, text(from)), where("lane", firestorepb.StructuredQuery_FieldFilter_LESS_THAN, text("u")))
		query.OrderBy = []*firestorepb.StructuredQuery_Order{ascending("lane"), ascending("due")}
		query.Limit = wrapperspb.Int32(1)
		var next OldestOfLane
		err := l.query(ctx, "list lanes", query, func(doc *firestorepb.Document) {
			next = OldestOfLane{doc.GetFields()["lane"].GetStringValue(), doc.GetFields()["due"].GetTimestampValue().AsTime()}
		})
		if err != nil || next.Name == "" {
			return lanes, err
		}
		lanes = append(lanes, next)
		from, op = next.Name, firestorepb.StructuredQuery_FieldFilter_GREATER_THAN
	}
	return lanes, nil
}

// Change is a delivery as it is to be, in place of one that was seen.
type Change struct {
	Seen Version
	Next action.Delivery
}

// maxWrites is how many writes one call of Firestore takes.
const maxWrites = 500

// SaveAll makes changes that do not depend on each other, and returns those deliveries that are now as they were to be: one that changed or
// went meanwhile is left out, because somebody else was faster. At most 500.
func (l *Ledger) SaveAll(ctx context.Context, changes []Change) ([]action.Delivery, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	writes := make([]*firestorepb.Write, len(changes))
	for i, c := range changes {
		writes[i] = l.replace(c.Seen, c.Next)
	}
	answer, err := l.client.BatchWrite(ctx, &firestorepb.BatchWriteRequest{Database: l.database, Writes: writes})
	if err != nil {
		return nil, mapError("save deliveries", err)
	}
	var saved []action.Delivery
	for i, status := range answer.GetStatus() {
		switch codes.Code(status.GetCode()) {
		case codes.OK:
			saved = append(saved, changes[i].Next)
		case codes.FailedPrecondition, codes.NotFound, codes.Aborted:
		default:
			err = errs.Newf(errs.Unavailable, "save deliveries: %s", status.GetMessage())
		}
	}
	return saved, err
}

// query runs a query over deliveries or valves of all instances.
func (l *Ledger) query(ctx context.Context, operation string, query *firestorepb.StructuredQuery, each func(*firestorepb.Document)) error {
	return l.queryIn(ctx, operation, l.database+"/documents", query, each)
}

func (l *Ledger) queryIn(ctx context.Context, operation, parent string, query *firestorepb.StructuredQuery, each func(*firestorepb.Document)) error {
	stream, err := l.client.RunQuery(ctx, &firestorepb.RunQueryRequest{
		Parent:    parent,
		QueryType: &firestorepb.RunQueryRequest_StructuredQuery{StructuredQuery: query},
	})
	if err != nil {
		return mapError(operation, err)
	}
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return mapError(operation, err)
		}
		if doc := answer.GetDocument(); doc != nil {
			each(doc)
		}
	}
}

func dueQuery(filters ...*firestorepb.StructuredQuery_Filter) *firestorepb.StructuredQuery {
	return groupQuery("deliveries", filters...)
}

// groupQuery asks for the documents of a collection in all instances that pass all filters.
func groupQuery(collection string, filters ...*firestorepb.StructuredQuery_Filter) *firestorepb.StructuredQuery {
	return &firestorepb.StructuredQuery{
		From:  []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: collection, AllDescendants: true}},
		Where: all(filters),
	}
}

func all(filters []*firestorepb.StructuredQuery_Filter) *firestorepb.StructuredQuery_Filter {
	if len(filters) == 1 {
		return filters[0]
	}
	return &firestorepb.StructuredQuery_Filter{FilterType: &firestorepb.StructuredQuery_Filter_CompositeFilter{
		CompositeFilter: &firestorepb.StructuredQuery_CompositeFilter{Op: firestorepb.StructuredQuery_CompositeFilter_AND, Filters: filters},
	}}
}

func where(field string, op firestorepb.StructuredQuery_FieldFilter_Operator, v *firestorepb.Value) *firestorepb.StructuredQuery_Filter {
	return &firestorepb.StructuredQuery_Filter{FilterType: &firestorepb.StructuredQuery_Filter_FieldFilter{
		FieldFilter: &firestorepb.StructuredQuery_FieldFilter{Field: reference(field), Op: op, Value: v},
	}}
}

func ascending(field string) *firestorepb.StructuredQuery_Order {
	return &firestorepb.StructuredQuery_Order{Field: reference(field), Direction: firestorepb.StructuredQuery_ASCENDING}
}

func descending(field string) *firestorepb.StructuredQuery_Order {
	return &firestorepb.StructuredQuery_Order{Field: reference(field), Direction: firestorepb.StructuredQuery_DESCENDING}
}

func reference(field string) *firestorepb.StructuredQuery_FieldReference {
	return &firestorepb.StructuredQuery_FieldReference{FieldPath: field}
}

func timestamp(t time.Time) *firestorepb.Value {
	return &firestorepb.Value{ValueType: &firestorepb.Value_TimestampValue{TimestampValue: timestamppb.New(t.Truncate(time.Microsecond))}}
}
