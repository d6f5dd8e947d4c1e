package ledger

import (
	"context"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/logging"
)

// Unfinished lists deliveries of a target that are not final, at most limit: the newest of one shard after those of another.
func (l *Ledger) Unfinished(ctx context.Context, instance action.InstanceID, target action.TargetID, limit int) ([]Version, error) {
	var found []Version
	for shard := range max(l.rules.Shards, 1) {
		query := searchQuery(action.DeliveryFilter{Target: target}, []int{shard}, []action.State{action.Pending, action.Retrying})
		query.Limit = wrapperspb.Int32(int32(limit - len(found)))
		err := l.queryIn(ctx, "list unfinished deliveries", l.database+"/documents/instances/"+string(instance), query, func(doc *firestorepb.Document) {
			v, err := version(doc)
			if err != nil {
				l.log.ErrorContext(ctx, "delivery left out", logging.Err, err)
				return
			}
			found = append(found, v)
		})
		if err != nil || len(found) >= limit {
			return found, err
		}
	}
	return found, nil
}
