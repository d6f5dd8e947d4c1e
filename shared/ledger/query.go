package ledger

import (
	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/shared/action"
)

// searchQuery is the query behind a search and a count: what the indexes (shard, state, created) and (shard, target, state, created) know of
// a filter, the newest first. States must be named, all of them if need be: then two indexes do instead of four, each of which every write
// of a delivery would have to keep.
func searchQuery(f action.DeliveryFilter, shards []int, states []action.State) *firestorepb.StructuredQuery {
	var shardValues, stateValues []*firestorepb.Value
	for _, s := range shards {
		shardValues = append(shardValues, integer(int64(s)))
	}
	for _, s := range states {
		stateValues = append(stateValues, text(string(s)))
	}
	conditions := []*firestorepb.StructuredQuery_Filter{oneOf("shard", shardValues), oneOf("state", stateValues)}
	if f.Target != "" {
		conditions = append(conditions, oneOf("target", []*firestorepb.Value{text(string(f.Target))}))
	}
	if !f.From.IsZero() {
		conditions = append(conditions, where("created", firestorepb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL, timestamp(f.From)))
	}
	if !f.To.IsZero() {
		conditions = append(conditions, where("created", firestorepb.StructuredQuery_FieldFilter_LESS_THAN, timestamp(f.To)))
	}
	return &firestorepb.StructuredQuery{
		From:    []*firestorepb.StructuredQuery_CollectionSelector{{CollectionId: "deliveries"}},
		Where:   all(conditions),
		OrderBy: []*firestorepb.StructuredQuery_Order{descending("created"), descending("__name__")},
	}
}

// oneOf wants a field to have one of the values.
func oneOf(name string, values []*firestorepb.Value) *firestorepb.StructuredQuery_Filter {
	if len(values) == 1 {
		return where(name, firestorepb.StructuredQuery_FieldFilter_EQUAL, values[0])
	}
	list := &firestorepb.Value{ValueType: &firestorepb.Value_ArrayValue{ArrayValue: &firestorepb.ArrayValue{Values: values}}}
	return where(name, firestorepb.StructuredQuery_FieldFilter_IN, list)
}
