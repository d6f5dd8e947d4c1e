// Package publish is the function that accepts events over HTTP and puts them on the events topic.
package publish

import (
	"context"
	"strconv"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/queue"
)

// Operations are those of api.Events.
type Operations struct {
	Queue *queue.Queue
}

// Publish checks all events before it publishes any, and returns when Pub/Sub has accepted all of them. An *action.NotAllPublished
// says which ids they were given; sending them again with these is safe.
func (o *Operations) Publish(ctx context.Context, caller auth.Caller, events []action.Occurrence, key string) ([]action.EventID, error) {
	if len(key) > action.MaxField {
		return nil, errs.Newf(errs.InvalidArgument, "Idempotency-Key is longer than %d bytes", action.MaxField)
	}
	now := time.Now().UTC()
	ids := make([]action.EventID, len(events))
	messages := make([]queue.Message, len(events))
	for i, event := range events {
		event, err := accept(event, caller, idFor(caller, key, i), now)
		if err != nil {
			return nil, action.AtIndex(i, err)
		}
		ids[i] = event.ID
		if messages[i], err = queue.EncodeEvent(event); err != nil {
			return nil, err
		}
	}
	if err := o.Queue.Publish(ctx, queue.Events, messages...); err != nil {
		return nil, &action.NotAllPublished{IDs: ids, Cause: err}
	}
	return ids, nil
}

// accept checks an event and fills what was left out.
func accept(event action.Occurrence, caller auth.Caller, id action.EventID, now time.Time) (action.Occurrence, error) {
	if event.Instance != "" && event.Instance != caller.Instance {
		return event, errs.Newf(errs.InvalidArgument, "instanceID: this host's instance is %q", caller.Instance)
	}
	event.Instance = caller.Instance
	if event.ID == "" {
		event.ID = id
	}
	event = event.Complete(now)
	return event, event.Validate()
}

// idFor makes the id of an event that has none: from the request's Idempotency-Key, the caller and the index, so that a repeated
// request is the same events; random without a key.
func idFor(caller auth.Caller, key string, index int) action.EventID {
	if key == "" {
		return action.NewEventID()
	}
	return action.EventID(action.Key("idempotency", string(caller.Instance), caller.Subject, key, strconv.Itoa(index)))
}
