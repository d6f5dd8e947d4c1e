package engine

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Limits of a hook.
const (
	// MaxMessage is how many bytes a message or a payload may have, and so what a target may answer.
	MaxMessage = 1 << 20
	// maxText is how many bytes any other text may have.
	maxText = 8 << 10
)

// Hook is a moment at which targets are called.
type Hook struct {
	Instance action.InstanceID
	// Kind is action.Request, action.Response or action.Function.
	Kind action.Kind

	// Of a request and a response. FullMethod is /package.Service/Method.
	FullMethod, OrgID, ProjectID, UserID string
	// Headers are the request's; targets see few of them.
	Headers map[string][]string
	// Request is the bare message, in JSON; Response too, and absent in a request's hook.
	Request, Response json.RawMessage

	// Function is the name of a function, and Payload an object: what targets receive but for "function" and "response".
	Function string
	Payload  json.RawMessage
	// Check says whether a target's answer can be the message; nil takes any object for an object, and any value for any other.
	Check func(json.RawMessage) error
}

// message is what targets may change: nil for functions, whose targets ask for things.
func (h Hook) message() json.RawMessage {
	switch h.Kind {
	case action.Request:
		return h.Request
	case action.Response:
		return h.Response
	}
	return nil
}

func (h Hook) validate() error {
	texts := []struct{ field, value string }{
		{"fullMethod", h.FullMethod}, {"orgID", h.OrgID}, {"projectID", h.ProjectID}, {"userID", h.UserID}, {"name", h.Function},
	}
	for _, t := range texts {
		if len(t.value) > maxText || !utf8.ValidString(t.value) {
			return errs.Newf(errs.InvalidArgument, "%s must be UTF-8 of at most %d bytes", t.field, maxText)
		}
	}
	switch h.Kind {
	case action.Request:
		if h.FullMethod == "" {
			return errs.Newf(errs.InvalidArgument, "fullMethod is required")
		}
		return checkJSON("request", h.Request)
	case action.Response:
		if h.FullMethod == "" {
			return errs.Newf(errs.InvalidArgument, "fullMethod is required")
		}
		if err := checkJSON("request", h.Request); err != nil {
			return err
		}
		return checkJSON("response", h.Response)
	case action.Function:
		if h.Function == "" {
			return errs.Newf(errs.InvalidArgument, "name is required")
		}
		if err := checkJSON("payload", h.Payload); err != nil {
			return err
		}
		return checkPayload(h.Payload)
	default:
		return errs.Newf(errs.InvalidArgument, "there must be one of request, response and function")
	}
}

func checkJSON(field string, data json.RawMessage) error {
	switch {
	case len(data) == 0:
		return errs.Newf(errs.InvalidArgument, "%s is required", field)
	case len(data) > MaxMessage:
		return errs.Newf(errs.TooLarge, "%s is larger than %d KiB", field, MaxMessage>>10)
	case !json.Valid(data) || !utf8.Valid(data):
		return errs.Newf(errs.InvalidArgument, "%s is not JSON in UTF-8", field)
	}
	return nil
}

// checkPayload refuses what is no object, or has what the engine itself puts in.
func checkPayload(payload json.RawMessage) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil || members == nil {
		return errs.Newf(errs.InvalidArgument, "payload must be an object")
	}
	for _, name := range []string{"function", "response"} {
		if _, there := members[name]; there {
			return errs.Newf(errs.InvalidArgument, "payload must not have %q: it is put in for each target", name)
		}
	}
	return nil
}

// frame is what a target receives, around what targets may change.
type frame struct{ before, after []byte }

func (f frame) around(message []byte) []byte {
	return slices.Concat(f.before, message, f.after)
}

// frame makes it, with the keys of actions-v2.md section 6 in their order.
func (h Hook) frame(headers map[string][]string) frame {
	var f frame
	if h.Kind == action.Function {
		f.before = appendMember([]byte{'{'}, "function", string(functionID(h.Function)))
		if inner := members(h.Payload); len(inner) > 0 {
			f.before = append(append(f.before, ','), inner...)
		}
		f.before = append(f.before, `,"response":`...)
		f.after = []byte{'}'}
		return f
	}
	b := []byte{'{'}
	b = appendMember(b, "fullMethod", h.FullMethod)
	b = appendMember(b, "instanceID", string(h.Instance))
	b = appendMember(b, "orgID", h.OrgID)
	b = appendMember(b, "projectID", h.ProjectID)
	b = appendMember(b, "userID", h.UserID)
	b = append(b, `,"request":`...)
	if h.Kind == action.Response {
		b = append(append(b, h.Request...), `,"response":`...)
	}
	f.before = b
	if len(headers) > 0 {
		text, _ := json.Marshal(headers) // a map of texts always can be
		f.after = append([]byte(`,"headers":`), text...)
	}
	f.after = append(f.after, '}')
	return f
}

// functionID is the id that a function's targets are told.
func functionID(name string) action.ExecutionID {
	return action.Condition{Kind: action.Function, Scope: action.Exact, Name: name}.ID()
}

// appendMember adds a text to an object that is being written, unless it is empty.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	if len(b) > 1 {
		b = append(b, ',')
	}
	text, _ := json.Marshal(value) // a text always can be
	return append(append(append(append(b, '"'), name...), '"', ':'), text...)
}

// members is what stands between the braces of an object.
func members(object []byte) []byte {
	inner := bytes.TrimSpace(object)
	return bytes.TrimSpace(inner[1 : len(inner)-1])
}
