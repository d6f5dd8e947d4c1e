package deliveries

import (
	"context"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
)

// events finds the events of an id: of all sources, or of the one that is said.
func (o *Operations) events(ctx context.Context, caller auth.Caller, id action.EventID, source *string) ([]ledger.Event, error) {
	switch {
	case id == "" || len(id) > action.MaxEventID:
		return nil, errs.Newf(errs.InvalidArgument, "id must be 1 to %d bytes", action.MaxEventID)
	case source != nil && len(*source) > action.MaxField:
		return nil, errs.Newf(errs.InvalidArgument, "source is longer than %d bytes", action.MaxField)
	}
	now := time.Now()
	var events []ledger.Event
	if source != nil {
		event, err := o.Log.Event(ctx, caller.Instance, action.KeyOfEvent(caller.Instance, *source, id), now)
		if err == nil {
			return []ledger.Event{event}, nil
		}
		if !errs.Is(err, errs.NotFound) {
			return nil, err
		}
	} else {
		var err error
		if events, err = o.Log.EventsByID(ctx, caller.Instance, id, now); err != nil {
			return nil, err
		}
	}
	if len(events) == 0 {
		return nil, o.unknown(id)
	}
	return events, nil
}

// unknown says why there may be no record of an event.
func (o *Operations) unknown(id action.EventID) error {
	unmatched := "or it matched no execution, and such events are not kept (CALLOUT_LOG_UNMATCHED)"
	if o.Rules.KeepUnmatched > 0 {
		unmatched = "or it matched no execution, and such events are kept for " + action.WaitText(o.Rules.KeepUnmatched) + " (CALLOUT_LOG_UNMATCHED)"
	}
	return errs.Newf(errs.NotFound, "no event %q is on record: it was not accepted here, or not yet; or it has expired after %s (CALLOUT_RETENTION); %s",
		id, action.WaitText(o.Rules.Retention), unmatched)
}

// DeleteEvent removes an event's payload and its targets' answers. FailedPrecondition where several sources used the id and none is said.
func (o *Operations) DeleteEvent(ctx context.Context, caller auth.Caller, id action.EventID, source *string) error {
	events, err := o.events(ctx, caller, id, source)
	if err != nil {
		return err
	}
	if len(events) > 1 {
		return errs.Newf(errs.FailedPrecondition, "%d sources used the id %q, %q and %q among them: say which one with source",
			len(events), id, events[0].Source, events[1].Source)
	}
	return o.Changer.DeleteEvent(ctx, caller.Instance, events[0].Key(), time.Now().UTC())
}
