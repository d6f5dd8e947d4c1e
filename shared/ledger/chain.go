package ledger

import (
	"context"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/shared/action"
)

// Held says why a target must not be called now, "" if it may.
type Held func(action.TargetID) action.Hold

// Settle replaces a delivery that was read as seen. If that ends it and others follow it, the same commit frees them, or skips them and
// theirs, so that no crash can come between. Freed are those whose first attempt is to be asked for. FailedPrecondition if any of them
// changed meanwhile: read again, decide again.
func (l *Ledger) Settle(ctx context.Context, seen Version, d action.Delivery, held Held, now time.Time) (freed []action.Delivery, err error) {
	if len(d.Unblocks) == 0 || !d.State.Final() {
		return nil, l.Save(ctx, seen, d)
	}
	writes := []*firestorepb.Write{l.replace(seen, d)}
	followers, err := l.Deliveries(ctx, d.Instance, d.Unblocks)
	if err != nil {
		return nil, err
	}
	for len(followers) > 0 {
		var after []action.DeliveryID
		for _, f := range followers {
			if f.State.Final() || !f.Waits {
				continue
			}
			if d.State != action.Delivered {
				writes = append(writes, l.replace(f, l.rules.Skip(f.Delivery, now)))
				after = append(after, f.Unblocks...)
				continue
			}
			free := Free(f.Delivery, held(f.Target), now)
			writes = append(writes, l.replace(f, free))
			if free.Held == "" {
				freed = append(freed, free)
			}
		}
		if followers, err = l.Deliveries(ctx, d.Instance, after); err != nil {
			return nil, err
		}
	}
	return freed, l.commit(ctx, "settle delivery", writes...)
}

// Ready lists those that follow a delivered one and whose first attempt may have been asked for or not: whoever settled it may have stopped
// before that.
func (l *Ledger) Ready(ctx context.Context, d action.Delivery) ([]action.Delivery, error) {
	if d.State != action.Delivered || len(d.Unblocks) == 0 {
		return nil, nil
	}
	followers, err := l.Deliveries(ctx, d.Instance, d.Unblocks)
	var ready []action.Delivery
	for _, f := range followers {
		if f.State == action.Pending && !f.Waits && f.Held == "" && f.Tried() == f.Before {
			ready = append(ready, f.Delivery)
		}
	}
	return ready, err
}
