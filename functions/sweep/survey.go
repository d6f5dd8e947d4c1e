package sweep

import (
	"context"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
)

const (
	// surveyEvery is how often all lanes of targets are looked at, whatever their valves say.
	surveyEvery = time.Minute
	// maxLanes is how many of them at once.
	maxLanes = 10_000
	// removedTime is how long the valve of a removed target stays: nobody believes in the target for longer.
	removedTime = time.Minute
)

// survey looks at every lane in which something lies: one that has no valve, because the valve went while somebody still believed in it, gets
// one; what has lain too long is given up.
func (s *Sweeper) survey(ctx context.Context) error {
	if now := time.Now(); now.Sub(s.surveyed) >= surveyEvery || now.Before(s.surveyed) {
		s.surveyed = now
	} else {
		return nil
	}
	if err := s.Removals.FinishRemovals(ctx); err != nil { // no delivery waits for it: the next survey tries again
		s.Log.WarnContext(ctx, "removals of targets not finished yet", logging.Err, err)
	}
	if err := s.WebKeys.RotateOldWebKeys(ctx); err != nil { // the old one goes on signing: the next survey tries again
		s.Log.ErrorContext(ctx, "web keys not rotated yet", logging.Err, err)
	}
	lanes, err := s.Ledger.Lanes(ctx, maxLanes)
	if err != nil {
		return err
	}
	oldest, valves := time.Duration(0), map[action.ValveState]int{}
	for _, lane := range lanes {
		oldest = max(oldest, time.Since(lane.Due)) // below 0 where all of it is released
		state, err := s.surveyLane(ctx, lane.Name)
		if err != nil {
			return err
		}
		valves[state]++
	}
	s.Metrics.SawTargets(oldest, valves)
	return nil
}

// surveyLane looks at the lane of a target, and says in which state its valve is then.
func (s *Sweeper) surveyLane(ctx context.Context, lane string) (action.ValveState, error) {
	instance, target, ok := ledger.TargetOfLane(lane)
	if !ok {
		s.Log.ErrorContext(ctx, "a lane of nobody", "lane", lane)
		return "", nil
	}
	now := time.Now().UTC()
	if err := s.expire(ctx, lane, now); err != nil {
		return "", err
	}
	valve, err := s.Ledger.Valve(ctx, instance, target)
	if err != nil || valve.Shut() {
		return valve.State, err
	}
	limits, err := s.limits(ctx, valve.Valve)
	if errs.Is(err, errs.NotFound) {
		return action.ValveRemoved, s.Ledger.Remove(ctx, instance, target, now)
	}
	if err != nil {
		return "", err
	}
	_, err = s.Ledger.AddValve(ctx, ledger.Draining(valve.Valve, action.HoldSlow, limits, now), now)
	return action.ValveDraining, err
}

// expire gives up what has lain in a lane until its time ended. A lane is in the order in which its deliveries were made.
func (s *Sweeper) expire(ctx context.Context, lane string, now time.Time) error {
	for {
		due, err := s.Ledger.Due(ctx, lane, now.Add(ledger.Margin-s.Ledger.Rules().Retention), batch)
		if err != nil {
			return err
		}
		if err := s.giveUp(ctx, due, ledger.ReasonExpired); err != nil {
			return err
		}
		if len(due) < batch {
			return nil
		}
	}
}

// remove gives up all that is unfinished for a target that was deleted, and then its valve.
func (s *Sweeper) remove(ctx context.Context, valve ledger.ValveVersion) error {
	for {
		unfinished, err := s.Ledger.Unfinished(ctx, valve.Instance, valve.Target, batch)
		if err != nil {
			return err
		}
		if err := s.giveUp(ctx, unfinished, ledger.ReasonRemoved); err != nil {
			return err
		}
		if len(unfinished) < batch {
			break
		}
	}
	now := time.Now().UTC()
	if now.Sub(valve.Since) < removedTime {
		next := valve.Valve
		next.Next = now.Add(removedTime / 2)
		return anybody(s.Ledger.SaveValve(ctx, valve, next, now))
	}
	return anybody(s.Ledger.RemoveValve(ctx, valve, now))
}

// anybody lets it pass that somebody else was faster.
func anybody(err error) error {
	if errs.Is(err, errs.FailedPrecondition) || errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// giveUp makes deliveries dead, after the dead letters were told. What changed meanwhile stays as it is.
func (s *Sweeper) giveUp(ctx context.Context, late []ledger.Version, reason string) error {
	byInstance := map[action.InstanceID][]ledger.Version{}
	for _, v := range late {
		byInstance[v.Instance] = append(byInstance[v.Instance], v)
	}
	for instance, versions := range byInstance {
		if err := s.bury(ctx, instance, versions, reason); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sweeper) bury(ctx context.Context, instance action.InstanceID, versions []ledger.Version, reason string) error {
	keys := make([]action.EventKey, len(versions))
	for i, v := range versions {
		keys[i] = v.Event
	}
	events, err := s.Ledger.Events(ctx, instance, keys)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	changes := make([]ledger.Change, len(versions))
	letters := make([]queue.DeadLetter, len(versions))
	for i, v := range versions {
		dead, event := s.Ledger.Rules().Kill(v.Delivery, reason, now), events[v.Event]
		changes[i] = ledger.Change{Seen: v, Next: dead}
		letters[i] = queue.LetterOf(dead, event.ID, event.Body)
	}
	if err := s.Queue.Bury(ctx, letters...); err != nil {
		return err
	}
	var alone []ledger.Change
	for _, c := range changes {
		s.Log.ErrorContext(ctx, "delivery given up", logging.Delivery, c.Seen.ID, logging.Target, c.Seen.Target, "reason", reason)
		if len(c.Seen.Unblocks) == 0 {
			alone = append(alone, c)
			continue
		}
		_, err := s.Ledger.Settle(ctx, c.Seen, c.Next, nil, now)
		if anybody(err) != nil {
			return err
		}
		if err == nil {
			s.Metrics.Ended(ctx, "", c.Next)
		}
	}
	dead, err := s.Ledger.SaveAll(ctx, alone)
	for _, d := range dead {
		s.Metrics.Ended(ctx, "", d)
	}
	return err
}
