package ledger

import (
	"context"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/logging"
)

// Unfinished lists deliveries of a target that are not final, at most limit.
func (l *Ledger) Unfinished(ctx context.Context, instance action.InstanceID, target action.TargetID, limit int) ([]Version, error) {
	var unfinished []Version
	for shard := range max(l.rules.Shards, 1) {
		for _, state := range []action.State{action.Pending, action.Retrying} {
			equal := firestorepb.StructuredQuery_FieldFilter_EQUAL
			query := dueQuery(where("shard", equal, integer(int64(shard))), where("target", equal, text(string(target))), where("state", equal, text(string(state))))
			query.From[0].AllDescendants = false
			query.OrderBy = []*firestorepb.StructuredQuery_Order{descending("created")}
			query.Limit = wrapperspb.Int32(int32(limit - len(unfinished)))
			err := l.queryIn(ctx, "list unfinished deliveries", l.database+"/documents/instances/"+string(instance), query, func(doc *firestorepb.Document) {
				v, err := version(doc)
				if err != nil {
					l.log.ErrorContext(ctx, "delivery left out", logging.Err, err)
					return
				}
				unfinished = append(unfinished, v)
			})
			if err != nil || len(unfinished) >= limit {
				return unfinished, err
			}
		}
	}
	return unfinished, nil
}
