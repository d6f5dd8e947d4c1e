package command

import (
	"strings"

	"github.com/callout-dev/callout/shared/action"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// parseCondition reads a routing identifier (actions-v2.md section 4.1). A method may keep the slash it begins with.
func parseCondition(text string) (*actionv2.Condition, error) {
	kind, name, _ := strings.Cut(text, "/")
	if strings.HasPrefix(name, "/") && (kind == string(action.Request) || kind == string(action.Response)) {
		text = kind + name
	}
	c, err := action.ParseExecutionID(action.ExecutionID(text))
	if err != nil || c.Scope != action.All && strings.Trim(c.Name, "/") == "" || c.Kind == action.Event && strings.Contains(c.Name, "/") {
		return nil, usageErrorf("%q is no condition. Conditions are request, request/SERVICE, request/SERVICE/METHOD, the same with response, event, event/TYPE, event/GROUP.* and function/NAME", text)
	}
	all, service, group := c.Scope == action.All, c.Scope == action.Service, c.Scope == action.Group
	switch c.Kind {
	case action.Request:
		m := &actionv2.RequestExecution{Condition: &actionv2.RequestExecution_Method{Method: c.Name}}
		if all {
			m.Condition = &actionv2.RequestExecution_All{All: true}
		} else if service {
			m.Condition = &actionv2.RequestExecution_Service{Service: c.Name}
		}
		return &actionv2.Condition{ConditionType: &actionv2.Condition_Request{Request: m}}, nil
	case action.Response:
		m := &actionv2.ResponseExecution{Condition: &actionv2.ResponseExecution_Method{Method: c.Name}}
		if all {
			m.Condition = &actionv2.ResponseExecution_All{All: true}
		} else if service {
			m.Condition = &actionv2.ResponseExecution_Service{Service: c.Name}
		}
		return &actionv2.Condition{ConditionType: &actionv2.Condition_Response{Response: m}}, nil
	case action.Event:
		m := &actionv2.EventExecution{Condition: &actionv2.EventExecution_Event{Event: c.Name}}
		if all {
			m.Condition = &actionv2.EventExecution_All{All: true}
		} else if group {
			m.Condition = &actionv2.EventExecution_Group{Group: c.Name}
		}
		return &actionv2.Condition{ConditionType: &actionv2.Condition_Event{Event: m}}, nil
	default:
		return &actionv2.Condition{ConditionType: &actionv2.Condition_Function{Function: &actionv2.FunctionExecution{Name: c.Name}}}, nil
	}
}

// formatCondition is the inverse of parseCondition. A condition of a kind that this program does not know is "?".
func formatCondition(m *actionv2.Condition) string {
	var c action.Condition
	switch t := m.GetConditionType().(type) {
	case *actionv2.Condition_Request:
		c = rpcCondition(action.Request, t.Request.GetMethod(), t.Request.GetService())
	case *actionv2.Condition_Response:
		c = rpcCondition(action.Response, t.Response.GetMethod(), t.Response.GetService())
	case *actionv2.Condition_Function:
		c = action.Condition{Kind: action.Function, Scope: action.Exact, Name: t.Function.GetName()}
	case *actionv2.Condition_Event:
		switch {
		case t.Event.GetEvent() != "":
			c = action.Condition{Kind: action.Event, Scope: action.Exact, Name: t.Event.GetEvent()}
		case t.Event.GetGroup() != "":
			c = action.Condition{Kind: action.Event, Scope: action.Group, Name: action.GroupName(t.Event.GetGroup())}
		default:
			c = action.Condition{Kind: action.Event, Scope: action.All}
		}
	default:
		return "?"
	}
	return string(c.ID())
}

func rpcCondition(kind action.Kind, method, service string) action.Condition {
	switch {
	case method != "":
		return action.Condition{Kind: kind, Scope: action.Exact, Name: method}
	case service != "":
		return action.Condition{Kind: kind, Scope: action.Service, Name: service}
	default:
		return action.Condition{Kind: kind, Scope: action.All}
	}
}
