package deliver

import (
	"context"
	"slices"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
)

// record saves an attempt. The dead letters are told before the ledger: told twice is better than not at all. A save that fails may have been
// applied, and the delivery may have changed since it was read: both show when it is read again. What is final stays as it is.
func (d *Deliverer) record(ctx context.Context, j job, a action.Attempt, retryAfter time.Duration) (action.Delivery, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	seen := j.seen
	var err error
	for range recordTries {
		now := time.Now().UTC()
		next := d.Ledger.Rules().After(seen.Delivery, ledger.Report{Attempt: a, RetryAfter: retryAfter, Schedule: j.target.Delivery.Schedule}, now)
		if next.State == action.Dead {
			if err = d.Queue.Bury(ctx, queue.LetterOf(next, j.event, j.body)); err != nil {
				return seen.Delivery, err
			}
		}
		var freed []action.Delivery
		if freed, err = d.Ledger.Settle(ctx, seen, next, d.held(ctx, seen.Instance), now); err == nil {
			return next, d.first(ctx, freed, j.event, j.body)
		}
		again, readErr := d.Ledger.Delivery(ctx, seen.Instance, seen.ID)
		if readErr != nil {
			return seen.Delivery, readErr
		}
		if again.State.Final() || has(again.Delivery, a) {
			return again.Delivery, d.free(ctx, again.Delivery) // what the save freed, if it was applied, nobody was told of
		}
		seen = again
	}
	return seen.Delivery, err
}

// has says whether an attempt is recorded already: no two begin at the same microsecond and take equally long.
func has(d action.Delivery, a action.Attempt) bool {
	return slices.ContainsFunc(d.Attempts, func(b action.Attempt) bool {
		return b.Start.Equal(a.Start) && b.Took.Microseconds() == a.Took.Microseconds() && b.Outcome == a.Outcome
	})
}

// giveUp makes a delivery dead without an attempt.
func (d *Deliverer) giveUp(ctx context.Context, seen ledger.Version, reason string) error {
	event, err := d.Ledger.Event(ctx, seen.Instance, seen.Event, time.Time{})
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	now := time.Now().UTC()
	dead := d.Ledger.Rules().Kill(seen.Delivery, reason, now)
	if err := d.Queue.Bury(ctx, queue.LetterOf(dead, event.ID, event.Body)); err != nil {
		return err
	}
	d.Log.ErrorContext(ctx, "delivery given up", logging.Target, seen.Target, "reason", reason)
	if _, err = d.Ledger.Settle(ctx, seen, dead, d.held(ctx, seen.Instance), now); err != nil {
		return err
	}
	d.Metrics.Ended(ctx, "", dead)
	return nil
}

// unreadable records a failed attempt for a target whose settings or keys cannot be read: ours to mend, and until then the schedule runs.
func (d *Deliverer) unreadable(ctx context.Context, seen ledger.Version, cause error) error {
	event, err := d.Ledger.Event(ctx, seen.Instance, seen.Event, time.Time{})
	if err != nil {
		return err
	}
	a := action.Attempt{Number: seen.Tried() + 1, Start: time.Now().UTC().Truncate(time.Microsecond), Outcome: action.Failed, Error: action.ErrorPayload}
	j := job{seen: seen, target: action.Target{ID: seen.Target}, event: event.ID, body: event.Body}
	recorded, err := d.record(ctx, j, a, 0)
	d.log(ctx, j, a, recorded.State, cause, err)
	d.count(ctx, j, a, recorded, err)
	if err != nil {
		return err
	}
	d.wake(ctx, recorded.Due)
	return nil
}
