package action

import (
	"strings"
	"time"

	"github.com/callout-dev/callout/shared/errs"
)

// Kind is the sort of moment at which an execution runs.
type Kind string

// The kinds, as they begin an execution's id.
const (
	Request  Kind = "request"
	Response Kind = "response"
	Function Kind = "function"
	Event    Kind = "event"
)

// Scope is how much of its kind a condition covers.
type Scope string

// The scopes. Exact is one method, function or event type.
const (
	All     Scope = "all"
	Service Scope = "service"
	Group   Scope = "group"
	Exact   Scope = "exact"
)

const groupSuffix = ".*"

// Condition says when an execution runs. Name is empty for All; a method's name has its leading slash, a group's none of the ".*".
type Condition struct {
	Kind  Kind
	Scope Scope
	Name  string
}

// ID is the routing identifier (actions-v2.md section 4.1).
func (c Condition) ID() ExecutionID {
	switch c.Scope {
	case All:
		return ExecutionID(c.Kind)
	case Group:
		return ExecutionID(string(c.Kind) + "/" + c.Name + groupSuffix)
	default:
		name := c.Name
		if c.Kind == Request || c.Kind == Response {
			name = strings.TrimPrefix(name, "/") // a method's
		}
		return ExecutionID(string(c.Kind) + "/" + name)
	}
}

// GroupName drops one trailing ".*" (callout.md section 10).
func GroupName(name string) string { return strings.TrimSuffix(name, groupSuffix) }

// ParseExecutionID is the inverse of Condition.ID (actions-v2.md section 2, end).
func ParseExecutionID(id ExecutionID) (Condition, error) {
	kind, name, named := strings.Cut(string(id), "/")
	c := Condition{Kind: Kind(kind), Scope: Exact, Name: name}
	switch {
	case c.Kind != Request && c.Kind != Response && c.Kind != Function && c.Kind != Event:
		return Condition{}, errs.Newf(errs.InvalidArgument, "execution id %q is of no known kind", id)
	case !named && c.Kind != Function:
		c.Scope = All
		return c, nil
	case name == "":
		return Condition{}, errs.Newf(errs.InvalidArgument, "execution id %q has no name", id)
	}
	switch c.Kind {
	case Request, Response:
		if strings.Contains(name, "/") {
			c.Name = "/" + name
		} else {
			c.Scope = Service
		}
	case Event:
		if strings.HasSuffix(name, groupSuffix) {
			c.Scope, c.Name = Group, GroupName(name)
			if c.Name == "" {
				return Condition{}, errs.Newf(errs.InvalidArgument, "execution id %q has no name", id)
			}
		}
	}
	return c, nil
}

// MaxSegments bounds the dot-separated segments of an event type, and with them the candidates of one event.
const MaxSegments = 32

// EventCandidates lists the ids of all executions that an event of this type can match, the best first: the event itself, its groups
// from the longest on, all events (callout.md and actions-v2.md section 10: on "." boundaries only).
func EventCandidates(eventType string) []ExecutionID {
	ids := []ExecutionID{Condition{Kind: Event, Scope: Exact, Name: eventType}.ID()}
	for group := eventType; group != ""; {
		ids = append(ids, Condition{Kind: Event, Scope: Group, Name: group}.ID())
		cut := strings.LastIndexByte(group, '.')
		if cut < 0 {
			break
		}
		group = group[:cut]
	}
	return append(ids, Condition{Kind: Event, Scope: All}.ID())
}

// MaxTargets is how many targets one execution may have (callout.md section 10).
const MaxTargets = 100

// Execution says which targets are called, in this order, when its condition is met. One without targets is as good as removed.
type Execution struct {
	Condition        Condition
	Targets          []TargetID
	Created, Changed time.Time
}

// ValidateTargets checks a list of targets as far as that goes without looking them up (actions-v2.md section 3.7).
func ValidateTargets(targets []TargetID) error {
	if len(targets) > MaxTargets {
		return errs.New(errs.InvalidArgument, "COMMAND-tg100max", "Too many targets")
	}
	seen := make(map[TargetID]bool, len(targets))
	for _, id := range targets {
		if id == "" {
			return errs.New(errs.InvalidArgument, "COMMAND-hdm4zl1hmd", "Execution is invalid")
		}
		if seen[id] {
			return ErrExecutionTarget
		}
		seen[id] = true
	}
	return nil
}

// ErrExecutionTarget says that a list of targets names one that does not exist, or one twice (actions-v2.md section 3.7).
var ErrExecutionTarget = errs.New(errs.NotFound, "COMMAND-17e8fq1ggk", "Target not found")
