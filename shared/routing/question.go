package routing

import (
	"strings"
	"unique"

	"github.com/callout-dev/callout/shared/action"
)

// subject is what is asked about.
type subject uint8

const (
	ofEvent subject = iota
	ofRequest
	ofResponse
	ofFunction
	ofTarget
)

// question is the key of an answer. Making one from what a caller has costs nothing.
type question struct {
	instance action.InstanceID
	subject  subject
	name     string // event type, full method ("" for one that is none), function, or target
}

// owned is the same question in memory of its own, so that keeping it keeps nothing larger.
func (q question) owned() question {
	q.instance = action.InstanceID(unique.Make(string(q.instance)).Value())
	q.name = strings.Clone(q.name)
	return q
}

// candidates are the executions that may be the answer, the best first.
func (q question) candidates() []action.ExecutionID {
	switch q.subject {
	case ofEvent:
		if q.name == "" {
			return nil
		}
		return action.EventCandidates(q.name)
	case ofRequest:
		return methodCandidates(action.Request, q.name)
	case ofResponse:
		return methodCandidates(action.Response, q.name)
	case ofFunction:
		if q.name == "" {
			return nil
		}
		return []action.ExecutionID{action.Condition{Kind: action.Function, Scope: action.Exact, Name: q.name}.ID()}
	default:
		return nil
	}
}

func methodCandidates(kind action.Kind, fullMethod string) []action.ExecutionID {
	all := action.Condition{Kind: kind, Scope: action.All}.ID()
	if fullMethod == "" {
		return []action.ExecutionID{all}
	}
	service, _, _ := strings.Cut(fullMethod[1:], "/")
	return []action.ExecutionID{
		action.Condition{Kind: kind, Scope: action.Exact, Name: fullMethod}.ID(),
		action.Condition{Kind: kind, Scope: action.Service, Name: service}.ID(),
		all,
	}
}

// isMethod says whether this is /service/method: two names, neither empty.
func isMethod(fullMethod string) bool {
	rest, ok := strings.CutPrefix(fullMethod, "/")
	service, method, cut := strings.Cut(rest, "/")
	return ok && cut && service != "" && method != "" && strings.IndexByte(method, '/') < 0
}
