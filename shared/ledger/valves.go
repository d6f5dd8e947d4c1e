package ledger

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
)

// ValveVersion is a valve and when it last changed.
type ValveVersion struct {
	action.Valve
	updated *timestamppb.Timestamp
}

func (l *Ledger) valveName(instance action.InstanceID, target action.TargetID) string {
	return l.name(instance, "valves", string(target))
}

// Valves reads the valves of those targets that have one, in no order.
func (l *Ledger) Valves(ctx context.Context, instance action.InstanceID, targets []action.TargetID) ([]action.Valve, error) {
	names := make([]string, len(targets))
	for i, target := range targets {
		names[i] = l.valveName(instance, target)
	}
	found, err := l.get(ctx, "read valves", names)
	if err != nil {
		return nil, err
	}
	var valves []action.Valve
	for _, doc := range found {
		v, err := decodeValve(doc)
		if err != nil {
			return nil, errs.New(errs.Internal, "", "read valves").Because(err)
		}
		valves = append(valves, v)
	}
	return valves, nil
}

// Valve reads a valve as it is now; its State is "" where the target has none.
func (l *Ledger) Valve(ctx context.Context, instance action.InstanceID, target action.TargetID) (ValveVersion, error) {
	none := ValveVersion{Valve: action.Valve{Instance: instance, Target: target}}
	doc, err := l.client.GetDocument(ctx, &firestorepb.GetDocumentRequest{Name: l.valveName(instance, target)})
	if err := mapError("read valve", err); errs.Is(err, errs.NotFound) {
		return none, nil
	} else if err != nil {
		return none, err
	}
	v, err := decodeValve(doc)
	return ValveVersion{Valve: v, updated: doc.GetUpdateTime()}, err
}

// DueValves lists the valves, over all instances, that a sweeper is to look at until the given time, the longest due first.
func (l *Ledger) DueValves(ctx context.Context, until time.Time, limit int) ([]ValveVersion, error) {
	query := groupQuery("valves", where("next", firestorepb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL, timestamp(until)))
	query.OrderBy = []*firestorepb.StructuredQuery_Order{ascending("next")}
	query.Limit = wrapperspb.Int32(int32(limit))
	var due []ValveVersion
	err := l.query(ctx, "query due valves", query, func(doc *firestorepb.Document) {
		v, err := decodeValve(doc)
		if err != nil {
			l.log.ErrorContext(ctx, "valve left out of the sweep", logging.Err, err)
			return
		}
		due = append(due, ValveVersion{Valve: v, updated: doc.GetUpdateTime()})
	})
	return due, err
}

// AddValve gives a target a valve, and tells all processes. False: it has one already, and one trouble at a time is enough.
func (l *Ledger) AddValve(ctx context.Context, v action.Valve, now time.Time) (bool, error) {
	err := l.SaveValve(ctx, ValveVersion{Valve: action.Valve{Instance: v.Instance, Target: v.Target}}, v, now)
	if errs.Is(err, errs.AlreadyExists) {
		return false, nil
	}
	return err == nil, err
}

// Limit gives a target with limits of its own a valve that keeps them, unless it is known to have one. It comes before anything is held for
// the target: nothing is to lie in a lane that nobody looks at.
func (l *Ledger) Limit(ctx context.Context, known action.Valve, limits action.Limits, now time.Time) error {
	if known.Shut() || limits.None() {
		return nil
	}
	_, err := l.AddValve(ctx, Draining(known, action.HoldLimited, limits, now), now)
	return err
}

// SaveValve replaces a valve that was read as seen, or makes it where there was none; FailedPrecondition or AlreadyExists if somebody else
// was faster. All processes are told, unless nothing that they care about is different.
func (l *Ledger) SaveValve(ctx context.Context, seen ValveVersion, v action.Valve, now time.Time) error {
	const operation = "save valve"
	write := &firestorepb.Write{
		Operation:       &firestorepb.Write_Update{Update: &firestorepb.Document{Name: l.valveName(seen.Instance, seen.Target), Fields: encodeValve(v)}},
		UpdateMask:      valveMask,
		CurrentDocument: seen.condition(),
	}
	if v.State == seen.State && v.Reason == seen.Reason {
		return l.commit(ctx, operation, write)
	}
	return l.tell(ctx, operation, seen.Valve, write, now)
}

// RemoveValve puts a target back into good standing, and tells all processes; FailedPrecondition if the valve has changed since it was read.
func (l *Ledger) RemoveValve(ctx context.Context, seen ValveVersion, now time.Time) error {
	return l.tell(ctx, "remove valve", seen.Valve, &firestorepb.Write{
		Operation:       &firestorepb.Write_Delete{Delete: l.valveName(seen.Instance, seen.Target)},
		CurrentDocument: seen.condition(),
	}, now)
}

// tell changes a valve, and tells all processes of it in the same commit: this one whatever came of it. A refusal may be that of the client's
// own second try, after a first one that was applied; if not, somebody else was faster, and this process has not seen that.
func (l *Ledger) tell(ctx context.Context, operation string, v action.Valve, change *firestorepb.Write, now time.Time) error {
	err := l.commit(ctx, operation, change, l.announce(v, now))
	if l.OnChange != nil {
		l.OnChange(action.Change{Instance: v.Instance, Kind: action.ChangeValve, ID: string(v.Target)})
	}
	return err
}

func (v ValveVersion) condition() *firestorepb.Precondition {
	if v.updated == nil {
		return &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_Exists{Exists: false}}
	}
	return &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_UpdateTime{UpdateTime: v.updated}}
}

// announce is the document by which other processes learn of a valve (package routing reads them).
func (l *Ledger) announce(v action.Valve, now time.Time) *firestorepb.Write {
	f := newFields()
	f.setText("kind", string(action.ChangeValve))
	f.setText("id", string(v.Target))
	f.setTime("expireAt", now.Add(action.ChangeKept))
	return &firestorepb.Write{
		Operation: &firestorepb.Write_Update{Update: &firestorepb.Document{
			Name: l.name(v.Instance, "changes", strings.ToLower(rand.Text())), Fields: f.values,
		}},
		UpdateTransforms: []*firestorepb.DocumentTransform_FieldTransform{{
			FieldPath:     "at",
			TransformType: &firestorepb.DocumentTransform_FieldTransform_SetToServerValue{SetToServerValue: firestorepb.DocumentTransform_FieldTransform_REQUEST_TIME},
		}},
	}
}

// StampValve notes on a valve how an attempt ended, and has a sweeper look at it now if that is wanted. A valve that is gone is no error.
func (l *Ledger) StampValve(ctx context.Context, v action.Valve, good, look bool, now time.Time) error {
	f, mask := newFields(), []string{"lastBad"}
	if good {
		mask[0] = "lastGood"
	}
	f.setTime(mask[0], now)
	if look {
		f.setTime("next", now)
		mask = append(mask, "next")
	}
	err := l.commit(ctx, "stamp valve", &firestorepb.Write{
		Operation:       &firestorepb.Write_Update{Update: &firestorepb.Document{Name: l.valveName(v.Instance, v.Target), Fields: f.values}},
		UpdateMask:      &firestorepb.DocumentMask{FieldPaths: mask},
		CurrentDocument: &firestorepb.Precondition{ConditionType: &firestorepb.Precondition_Exists{Exists: true}},
	})
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.FailedPrecondition) {
		return nil
	}
	return err
}

// valveTries is how often a valve is read again that changed under a hand.
const valveTries = 5

// Pause holds everything for a target until Resume; gone is for a target that said so itself (410).
func (l *Ledger) Pause(ctx context.Context, instance action.InstanceID, target action.TargetID, reason action.Hold, now time.Time) error {
	return l.change(ctx, instance, target, now, func(v action.Valve) (action.Valve, bool) {
		return Paused(v, reason, now), v.State != action.ValveRemoved && (v.State != action.ValvePaused || v.Reason != reason)
	})
}

// Resume lets what is held for a target go, slowly at first. A target in good standing has nothing held.
func (l *Ledger) Resume(ctx context.Context, instance action.InstanceID, target action.TargetID, now time.Time) error {
	return l.change(ctx, instance, target, now, func(v action.Valve) (action.Valve, bool) {
		return Draining(v, action.HoldPaused, action.Limits{}, now), v.State == action.ValvePaused || v.State == action.ValveOpen
	})
}

// Remove has a sweeper give up whatever is unfinished for a target that was deleted.
func (l *Ledger) Remove(ctx context.Context, instance action.InstanceID, target action.TargetID, now time.Time) error {
	return l.change(ctx, instance, target, now, func(v action.Valve) (action.Valve, bool) {
		v.State, v.Reason, v.Since, v.Next, v.Idle = action.ValveRemoved, action.HoldRemoved, now, now, time.Time{}
		return v, true
	})
}

// change makes of a valve what fn says, if it says that anything is to be done.
func (l *Ledger) change(ctx context.Context, instance action.InstanceID, target action.TargetID, now time.Time, fn func(action.Valve) (action.Valve, bool)) error {
	var err error
	for range valveTries {
		var seen ValveVersion
		if seen, err = l.Valve(ctx, instance, target); err != nil {
			return err
		}
		next, differs := fn(seen.Valve)
		if !differs {
			return nil
		}
		if err = l.SaveValve(ctx, seen, next, now); !errs.Is(err, errs.FailedPrecondition) && !errs.Is(err, errs.AlreadyExists) {
			return err
		}
	}
	return errs.New(errs.Unavailable, "", "the target's valve keeps changing; try again").Because(err)
}
