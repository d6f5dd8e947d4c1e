package deliver

import (
	"context"
	"net/http"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
)

// hold puts a delivery into its target's lane: one write, however long it lies there. If it changed since it was read, somebody else works
// on it.
func (d *Deliverer) hold(ctx context.Context, seen ledger.Version, reason action.Hold) error {
	held := ledger.Hold(seen.Delivery, reason)
	if err := d.Ledger.Save(ctx, seen, held); err != nil && !errs.Is(err, errs.FailedPrecondition) {
		return err
	}
	d.wake(ctx, held.Due)
	return nil
}

// shut gives a target a valve, unless it has one. It comes before what is held for it: nothing is to lie in a lane that nobody looks at.
func (d *Deliverer) shut(ctx context.Context, valve action.Valve) error {
	added, err := d.Ledger.AddValve(ctx, valve, valve.Since)
	if err != nil || !added {
		return err
	}
	d.Log.WarnContext(ctx, "target held", logging.Target, valve.Target, "reason", valve.Reason)
	return nil
}

// stamp notes on a valve that what it released found no room, so that it slows down: each such release costs two writes.
func (d *Deliverer) stamp(ctx context.Context, valve action.Valve, now time.Time) {
	if !valve.Shut() || !d.gate.mayStamp(key{valve.Instance, valve.Target}, false, now) {
		return
	}
	if err := d.Ledger.StampValve(ctx, valve, false, false, now); err != nil {
		d.Log.WarnContext(ctx, "valve not written", logging.Target, valve.Target, logging.Err, err)
	}
}

// watch draws from an attempt what it says about the target. The attempt is recorded: what fails here is logged, and the next one says the
// same.
func (d *Deliverer) watch(ctx context.Context, j job, a action.Attempt) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	k, good, now := key{j.seen.Instance, j.seen.Target}, a.Outcome == action.Success, time.Now().UTC()
	breaks := d.gate.note(k, good)
	var err error
	switch {
	case a.Status == http.StatusGone:
		err = d.Ledger.Pause(ctx, k.instance, k.target, action.HoldGone, now)
	case j.valve.Shut():
		// A success through an open valve is what the sweeper waits for.
		look := good && j.valve.State == action.ValveOpen
		if d.gate.mayStamp(k, good, now) || look {
			err = d.Ledger.StampValve(ctx, j.valve, good, look, now)
		}
		if look {
			d.wake(ctx, now)
		}
	case breaks:
		err = d.shut(ctx, ledger.Opened(j.valve, action.HoldFailing, now))
		d.wake(ctx, now.Add(time.Second))
	}
	if err != nil {
		d.Log.WarnContext(ctx, "valve not written", logging.Target, k.target, logging.Err, err)
	}
}
