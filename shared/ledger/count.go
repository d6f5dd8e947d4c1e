package ledger

import (
	"context"
	"io"
	"sync/atomic"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
)

// counting is how many counts are asked for side by side.
const counting = 16

// Count says how many deliveries there are in each state, for the filter's target and time: the ledger's law, without counters. Of the
// filter's states only those are counted; all of them where it names none. What has expired and was not removed yet counts too.
func (l *Ledger) Count(ctx context.Context, instance action.InstanceID, f action.DeliveryFilter, shards int) (map[action.State]int, error) {
	states := allStates()
	counts := make([]atomic.Int64, len(states))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(counting)
	for i, state := range states {
		if !f.MatchesState(state) {
			continue
		}
		for low := 0; low < max(shards, 1); low += alternatives {
			var some []int
			for shard := low; shard < min(low+alternatives, max(shards, 1)); shard++ {
				some = append(some, shard)
			}
			group.Go(func() error {
				n, err := l.count(groupCtx, l.database+"/documents/instances/"+string(instance), searchQuery(f, some, []action.State{state}), 0)
				counts[i].Add(n)
				return err
			})
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	byState := map[action.State]int{}
	for i, state := range states {
		if f.MatchesState(state) {
			byState[state] = int(counts[i].Load())
		}
	}
	return byState, nil
}

// CountHeld says how many deliveries lie in a target's lane.
func (l *Ledger) CountHeld(ctx context.Context, instance action.InstanceID, target action.TargetID) (int, error) {
	q := dueQuery(where("lane", firestorepb.StructuredQuery_FieldFilter_EQUAL, text(TargetLane(instance, target))))
	q.OrderBy = []*firestorepb.StructuredQuery_Order{ascending("due")}
	n, err := l.count(ctx, l.database+"/documents", q, 0)
	return int(n), err
}

// count counts what a query finds, as far as upTo if that is not 0.
func (l *Ledger) count(ctx context.Context, parent string, q *firestorepb.StructuredQuery, upTo int) (int64, error) {
	const name = "n"
	counting := &firestorepb.StructuredAggregationQuery_Aggregation_Count{}
	if upTo > 0 {
		counting.UpTo = wrapperspb.Int64(int64(upTo))
	}
	stream, err := l.client.RunAggregationQuery(ctx, &firestorepb.RunAggregationQueryRequest{
		Parent: parent,
		QueryType: &firestorepb.RunAggregationQueryRequest_StructuredAggregationQuery{
			StructuredAggregationQuery: &firestorepb.StructuredAggregationQuery{
				QueryType: &firestorepb.StructuredAggregationQuery_StructuredQuery{StructuredQuery: q},
				Aggregations: []*firestorepb.StructuredAggregationQuery_Aggregation{{
					Alias:    name,
					Operator: &firestorepb.StructuredAggregationQuery_Aggregation_Count_{Count: counting},
				}},
			},
		},
	})
	if err != nil {
		return 0, mapError("count deliveries", err)
	}
	var n int64
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return 0, mapError("count deliveries", err)
		}
		n += answer.GetResult().GetAggregateFields()[name].GetIntegerValue()
	}
}
