package queue

import (
	"context"
	"maps"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// attributeTarget names the one target that an event is for, past all executions.
const attributeTarget = "target"

// What is beside the body of a hook's event, which says nothing of it.
const (
	attributeHook     = "hook"
	attributeID       = "id"
	attributeInstance = "instance"
	attributeUser     = "user"
)

// encodeHook makes the message of a call that a hook left to the queue.
func encodeHook(o action.Occurrence) Message {
	return Message{Data: o.Payload, Attributes: map[string]string{
		attributeHook: string(o.Hook), attributeID: string(o.ID), attributeInstance: string(o.Instance), attributeUser: o.UserID,
	}}
}

// decodeHook reads one. InvalidArgument if it is not of a hook, or not for one target.
func decodeHook(m Message) (action.Occurrence, error) {
	a := m.Attributes
	hook := action.ExecutionID(a[attributeHook])
	condition, err := action.ParseExecutionID(hook)
	if err != nil || condition.Kind == action.Event {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "attribute %s must be the id of an execution of a request, a response or a function", attributeHook)
	}
	if a[attributeTarget] == "" {
		return action.Occurrence{}, errs.Newf(errs.InvalidArgument, "a hook's event must be for one target")
	}
	return action.Occurrence{
		Hook: hook, ID: action.EventID(a[attributeID]), Instance: action.InstanceID(a[attributeInstance]), UserID: a[attributeUser],
		Type: action.HookType(hook), Payload: m.Data,
	}, nil
}

// PublishAddressed puts an event for a single target on the events topic and waits until Pub/Sub has accepted it; errors are those of Publish.
func (q *Queue) PublishAddressed(ctx context.Context, to action.TargetID, event action.Occurrence) error {
	m, err := EncodeEvent(event)
	if err != nil {
		return err
	}
	return q.Publish(ctx, Events, Addressed(m, to))
}

// Addressed makes the message of an event one for a single target.
func Addressed(m Message, target action.TargetID) Message {
	attributes := map[string]string{attributeTarget: string(target)}
	maps.Copy(attributes, m.Attributes)
	m.Attributes = attributes
	return m
}

// Addressee is the one target that an event's message is for; "" for whomever the executions say. InvalidArgument if it names what can be
// no target.
func Addressee(m Message) (action.TargetID, error) {
	target, addressed := m.Attributes[attributeTarget]
	if addressed && !action.TargetID(target).Valid() {
		return "", errs.Newf(errs.InvalidArgument, "attribute %s must be the id of a target", attributeTarget)
	}
	return action.TargetID(target), nil
}
