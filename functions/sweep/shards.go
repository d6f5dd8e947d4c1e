package sweep

import (
	"context"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/queue"
)

// shards brings back what is due in the lanes of the shards, and says whether more comes due until then.
func (s *Sweeper) shards(ctx context.Context, until time.Time) (bool, error) {
	more, oldest := false, time.Duration(0)
	for shard := range max(s.Ledger.Rules().Shards, 1) {
		lane := ledger.Lane(shard)
		for {
			due, err := s.Ledger.Due(ctx, lane, time.Now(), batch)
			if err != nil {
				return false, err
			}
			if len(due) > 0 {
				oldest = max(oldest, time.Since(due[0].Due))
			}
			if err := s.bringBack(ctx, due); err != nil {
				return false, err
			}
			if len(due) < batch {
				break
			}
		}
		next, err := s.Ledger.Due(ctx, lane, until, 1)
		if err != nil {
			return false, err
		}
		more = more || len(next) > 0
	}
	s.Metrics.SawRetries(oldest)
	return more, nil
}

// bringBack sorts deliveries that are due: into the queue, into the lanes of their targets, or out of the world.
func (s *Sweeper) bringBack(ctx context.Context, due []ledger.Version) error {
	now := time.Now().UTC()
	var release, hold []ledger.Change
	var late []ledger.Version
	for _, v := range due {
		switch reason := s.held(ctx, v); {
		case !now.Before(s.Ledger.Rules().Last(v.Delivery)):
			late = append(late, v)
		case reason != "" && !v.Waits:
			hold = append(hold, ledger.Change{Seen: v, Next: ledger.Hold(v.Delivery, reason)})
		default:
			release = append(release, ledger.Change{Seen: v, Next: ledger.Claim(v.Delivery, now)})
		}
	}
	if _, err := s.Ledger.SaveAll(ctx, hold); err != nil {
		return err
	}
	if err := s.giveUp(ctx, late, ledger.ReasonExpired); err != nil {
		return err
	}
	_, err := s.release(ctx, release, false)
	return err
}

// held says why a delivery must not be attempted now. A target that cannot be looked up is for deliver to judge.
func (s *Sweeper) held(ctx context.Context, v ledger.Version) action.Hold {
	to, err := s.Routes.Destination(ctx, v.Instance, v.Target)
	if err != nil || !to.Valve.Shut() {
		return ""
	}
	return to.Hold()
}

// release claims deliveries and publishes those that it got, and says how many. A claim whose message is not published is due again in
// ledger.ClaimTime.
func (s *Sweeper) release(ctx context.Context, changes []ledger.Change, throughValve bool) (int, error) {
	claimed, err := s.Ledger.SaveAll(ctx, changes)
	if len(claimed) == 0 {
		return 0, err
	}
	messages, encodeErr := queue.EncodeDeliveries(queue.Delivery{Release: throughValve}, claimed...)
	if encodeErr != nil {
		return 0, encodeErr
	}
	if publishErr := s.Queue.Publish(ctx, queue.DeliveriesSlow, messages...); publishErr != nil {
		return 0, publishErr
	}
	s.Log.DebugContext(ctx, "deliveries released", "count", len(messages))
	return len(messages), err
}
