package queue

import (
	"maps"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// attributeTarget names the one target that an event is for, past all executions.
const attributeTarget = "target"

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
