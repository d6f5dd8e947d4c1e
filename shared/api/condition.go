package api

import (
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// Condition reads a condition; ids are those of actions-v2.md section 3.7.
func Condition(m *actionv2.Condition) (action.Condition, error) {
	switch c := m.GetConditionType().(type) {
	case *actionv2.Condition_Request:
		return requestCondition(c.Request)
	case *actionv2.Condition_Response:
		return responseCondition(c.Response)
	case *actionv2.Condition_Function:
		return functionCondition(c.Function)
	case *actionv2.Condition_Event:
		return eventCondition(c.Event)
	default:
		return action.Condition{}, errs.New(errs.InvalidArgument, "ACTION-5r5Ju", "Execution condition is invalid")
	}
}

func requestCondition(m *actionv2.RequestExecution) (action.Condition, error) {
	const message = "RequestExecution"
	switch c := m.GetCondition().(type) {
	case *actionv2.RequestExecution_Method:
		return named(message, "Method", action.Condition{Kind: action.Request, Scope: action.Exact, Name: c.Method})
	case *actionv2.RequestExecution_Service:
		return named(message, "Service", action.Condition{Kind: action.Request, Scope: action.Service, Name: c.Service})
	case *actionv2.RequestExecution_All:
		return all(message, action.Request, c.All)
	default:
		return action.Condition{}, invalid(message, "Condition", "value is required")
	}
}

func responseCondition(m *actionv2.ResponseExecution) (action.Condition, error) {
	const message = "ResponseExecution"
	switch c := m.GetCondition().(type) {
	case *actionv2.ResponseExecution_Method:
		return named(message, "Method", action.Condition{Kind: action.Response, Scope: action.Exact, Name: c.Method})
	case *actionv2.ResponseExecution_Service:
		return named(message, "Service", action.Condition{Kind: action.Response, Scope: action.Service, Name: c.Service})
	case *actionv2.ResponseExecution_All:
		return all(message, action.Response, c.All)
	default:
		return action.Condition{}, invalid(message, "Condition", "value is required")
	}
}

func functionCondition(m *actionv2.FunctionExecution) (action.Condition, error) {
	if m.GetName() == "" {
		return action.Condition{}, errs.New(errs.InvalidArgument, "COMMAND-5folwn5jws", "Execution condition is invalid")
	}
	return named("FunctionExecution", "Name", action.Condition{Kind: action.Function, Scope: action.Exact, Name: m.GetName()})
}

func eventCondition(m *actionv2.EventExecution) (action.Condition, error) {
	const message = "EventExecution"
	switch c := m.GetCondition().(type) {
	case *actionv2.EventExecution_Event:
		return named(message, "Event", action.Condition{Kind: action.Event, Scope: action.Exact, Name: c.Event})
	case *actionv2.EventExecution_Group:
		return named(message, "Group", action.Condition{Kind: action.Event, Scope: action.Group, Name: action.GroupName(c.Group)})
	case *actionv2.EventExecution_All:
		return all(message, action.Event, c.All)
	default:
		return action.Condition{}, errs.New(errs.InvalidArgument, "COMMAND-w5smb6v7qu", "Execution is invalid")
	}
}

func named(message, field string, c action.Condition) (action.Condition, error) {
	return c, checkLength(message, field, c.Name, 1, maxName)
}

func all(message string, kind action.Kind, value bool) (action.Condition, error) {
	if !value {
		return action.Condition{}, invalid(message, "All", "value must equal true")
	}
	return action.Condition{Kind: kind, Scope: action.All}, nil
}

// ConditionMessage is the inverse of Condition.
func ConditionMessage(c action.Condition) *actionv2.Condition {
	switch c.Kind {
	case action.Request:
		m := &actionv2.RequestExecution{}
		switch c.Scope {
		case action.All:
			m.Condition = &actionv2.RequestExecution_All{All: true}
		case action.Service:
			m.Condition = &actionv2.RequestExecution_Service{Service: c.Name}
		default:
			m.Condition = &actionv2.RequestExecution_Method{Method: c.Name}
		}
		return &actionv2.Condition{ConditionType: &actionv2.Condition_Request{Request: m}}
	case action.Response:
		m := &actionv2.ResponseExecution{}
		switch c.Scope {
		case action.All:
			m.Condition = &actionv2.ResponseExecution_All{All: true}
		case action.Service:
			m.Condition = &actionv2.ResponseExecution_Service{Service: c.Name}
		default:
			m.Condition = &actionv2.ResponseExecution_Method{Method: c.Name}
		}
		return &actionv2.Condition{ConditionType: &actionv2.Condition_Response{Response: m}}
	case action.Event:
		m := &actionv2.EventExecution{}
		switch c.Scope {
		case action.All:
			m.Condition = &actionv2.EventExecution_All{All: true}
		case action.Group:
			m.Condition = &actionv2.EventExecution_Group{Group: c.Name}
		default:
			m.Condition = &actionv2.EventExecution_Event{Event: c.Name}
		}
		return &actionv2.Condition{ConditionType: &actionv2.Condition_Event{Event: m}}
	default:
		m := &actionv2.FunctionExecution{Name: c.Name}
		return &actionv2.Condition{ConditionType: &actionv2.Condition_Function{Function: m}}
	}
}
