package sweep

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
)

const (
	// maxValves is how many valves are turned in one look, turns how many side by side.
	maxValves = 1000
	turns     = 32
	// step is how long a release waits at first for room under way, and releaseTime how long it goes on: less than pace.
	step        = 50 * time.Millisecond
	releaseTime = 800 * time.Millisecond
	// maxGather is how many waiting deliveries a target's return hurries; the others come when they are due.
	maxGather = 1000
	// valveTries is how often a valve is read again that was stamped while it was decided about.
	valveTries = 3
)

// valves turns those that are due, and says whether more come due until then.
func (s *Sweeper) valves(ctx context.Context, until time.Time) (bool, error) {
	due, err := s.Ledger.DueValves(ctx, time.Now(), maxValves)
	if err != nil {
		return false, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(turns)
	for _, v := range due {
		group.Go(func() error { return s.turn(groupCtx, v) })
	}
	if err := group.Wait(); err != nil {
		return false, err
	}
	next, err := s.Ledger.DueValves(ctx, until, 1)
	return len(next) > 0, err
}

// turn decides about a valve and does what it says. Whoever writes the decision first carries it out.
func (s *Sweeper) turn(ctx context.Context, seen ledger.ValveVersion) error {
	for range valveTries {
		if seen.State == action.ValveRemoved {
			return s.remove(ctx, seen)
		}
		now := time.Now().UTC()
		if seen.Next.IsZero() || seen.Next.After(now) {
			return nil // somebody else has decided
		}
		limits, err := s.limits(ctx, seen.Valve)
		if errs.Is(err, errs.NotFound) {
			return s.Ledger.Remove(ctx, seen.Instance, seen.Target, now)
		}
		if err != nil {
			return err
		}
		lane := ledger.TargetLane(seen.Instance, seen.Target)
		look, err := s.lane(ctx, lane, now)
		if err != nil {
			return err
		}
		look.Limits = limits
		turn := ledger.Turned(seen.Valve, look, now)
		err = s.save(ctx, seen, turn, now)
		if err == nil {
			if turn.Valve.State == action.ValveDraining && seen.State == action.ValveOpen {
				if err := s.gather(ctx, seen.Valve); err != nil {
					return err
				}
			}
			return s.drain(ctx, lane, turn, look.Underway)
		}
		if !errs.Is(err, errs.FailedPrecondition) && !errs.Is(err, errs.NotFound) {
			return err
		}
		if seen, err = s.Ledger.Valve(ctx, seen.Instance, seen.Target); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sweeper) save(ctx context.Context, seen ledger.ValveVersion, turn ledger.Turn, now time.Time) error {
	var err error
	if turn.Close {
		err = s.Ledger.RemoveValve(ctx, seen, now)
	} else {
		err = s.Ledger.SaveValve(ctx, seen, turn.Valve, now)
	}
	if err != nil || !turn.Close && turn.Valve.State == seen.State {
		return err
	}
	state := string(turn.Valve.State)
	if turn.Close {
		state = "in good standing"
	}
	s.Log.InfoContext(ctx, "valve turned", logging.Target, seen.Target, "from", seen.State, "to", state, "reason", turn.Valve.Reason)
	return nil
}

// limits are those of a target; NotFound if it is gone.
func (s *Sweeper) limits(ctx context.Context, v action.Valve) (action.Limits, error) {
	to, err := s.Routes.Destination(ctx, v.Instance, v.Target)
	if err != nil {
		return action.Limits{}, err
	}
	return to.Target.Delivery.Limits, nil
}

func (s *Sweeper) lane(ctx context.Context, lane string, now time.Time) (ledger.Look, error) {
	due, err := s.Ledger.Due(ctx, lane, now, 1)
	if err != nil {
		return ledger.Look{}, err
	}
	underway, err := s.Ledger.Underway(ctx, lane, now, ledger.Share+1)
	return ledger.Look{Due: len(due) > 0, Underway: underway}, err
}

// gather puts into the lane of a target that has come back what waits for its next attempt elsewhere, so that one drain brings all of it; not
// what the target itself asked to be spared for longer, nor what waits long beside the time that it was away.
func (s *Sweeper) gather(ctx context.Context, v action.Valve) error {
	waiting, err := s.Ledger.Unfinished(ctx, v.Instance, v.Target, maxGather)
	if err != nil {
		return err
	}
	now := time.Now()
	var changes []ledger.Change
	for _, d := range waiting {
		if d.State == action.Retrying && d.Held == "" && s.Ledger.Rules().Scheduled(d.Delivery, v.Since, now) {
			changes = append(changes, ledger.Change{Seen: d, Next: ledger.Hurry(d.Delivery, v.Reason)})
		}
	}
	for part := range slices.Chunk(changes, batch) {
		if _, err := s.Ledger.SaveAll(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// drain releases from a lane what a turn allows, as far as there is room under way. While there is none, it looks ever more rarely.
func (s *Sweeper) drain(ctx context.Context, lane string, turn ledger.Turn, underway int) error {
	wait, before := step, time.Duration(0) // 1, 1, 2, 3, 5 … steps: most calls end within the first ones
	for began, left := time.Now(), turn.Release; left > 0; wait, before = wait+before, wait {
		if room := min(left, turn.Window-underway, batch); room > 0 {
			released, empty, err := s.releaseDue(ctx, lane, room)
			if left -= released; err != nil || empty || left <= 0 {
				return err
			}
			if released > 0 {
				wait, before = step, 0
			}
		}
		rest := releaseTime - time.Since(began)
		if rest <= 0 {
			return nil
		}
		timer := time.NewTimer(min(wait, rest))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		var err error
		if underway, err = s.Ledger.Underway(ctx, lane, time.Now(), ledger.Share+1); err != nil {
			return err
		}
	}
	return nil
}

// releaseDue releases the oldest deliveries in a lane, as many as there is room for, and says whether there were fewer.
func (s *Sweeper) releaseDue(ctx context.Context, lane string, room int) (released int, empty bool, err error) {
	now := time.Now().UTC()
	due, err := s.Ledger.Due(ctx, lane, now, room)
	if err != nil {
		return 0, false, err
	}
	changes := make([]ledger.Change, len(due))
	for i, v := range due {
		changes[i] = ledger.Change{Seen: v, Next: ledger.Claim(v.Delivery, now)}
	}
	released, err = s.release(ctx, changes, true)
	return released, len(due) < room, err
}
