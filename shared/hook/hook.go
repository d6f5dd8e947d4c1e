// Package hook is what a host API imports to be extended by callouts: middleware for net/http, gRPC and Connect that runs the executions of
// a request before it is handled and of a response before it is sent, Function for the functions of tokens and SAML responses, and
// Installation.Publish to tell what happened. Programs that use each of them are in scripts/examples.
//
// One API stands for two engines: Remote asks an installation's function invoke, and an embedded one, such as that of package
// functions/invoke, runs routes and targets in the host's own process.
//
// Put the middleware after authentication and before validation: targets see who calls, and what they change is validated.
//
// When a target fails, its own interruptOnError decides whether the call is stopped; what went on regardless is logged. When the engine
// itself cannot be asked, the call is stopped, unless FailOpen says otherwise.
package hook

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/structpb"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	zitadelv1 "github.com/callout-dev/callout/shared/gen/zitadel/v1"
)

// Engine runs hooks. Its errors are *connect.Error.
type Engine interface {
	Invoke(ctx context.Context, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error)
}

// Caller is who calls the host.
type Caller struct{ OrgID, ProjectID, UserID string }

// Host is a host API. Its fields are set before it is used, by however many at once.
type Host struct {
	Engine Engine
	// Caller tells who calls, from what authentication put into the context; nil: nobody knows.
	Caller func(context.Context) Caller
	// FailOpen lets calls go on when the engine cannot be asked. A target's own interruptOnError holds all the same.
	FailOpen bool
	// Log is told of what failed and went on; nil is slog's default.
	Log *slog.Logger
	// Method names what a request to the net/http middleware calls, as /package.Service/Method; "" is subject to no execution. Nil takes the
	// path of a Connect procedure, and nothing else.
	Method func(*http.Request) string
}

// MaxMessage is how many bytes a message may have that targets are to see.
const MaxMessage = 1 << 20

// errEngine is what a caller is told when the engine cannot be asked: why is in the log.
func errEngine() *connect.Error {
	return connect.NewError(connect.CodeUnavailable, errors.New("the call could not be checked; try again"))
}

// call is a call of the host on its way through the hooks.
type call struct {
	host    *Host
	method  string
	caller  Caller
	headers map[string]*structpb.ListValue
}

func (h *Host) call(ctx context.Context, method string, headers http.Header) call {
	c := call{host: h, method: method, headers: map[string]*structpb.ListValue{}}
	if h.Caller != nil {
		c.caller = h.Caller(ctx)
	}
	for name, values := range headers {
		if !forwarded(name) {
			continue
		}
		list := &structpb.ListValue{}
		for _, v := range values {
			list.Values = append(list.Values, structpb.NewStringValue(strings.ToValidUTF8(v, "\uFFFD")))
		}
		c.headers[name] = list
	}
	return c
}

// forwarded says whether a header may leave the host: which of them targets see, the engine decides.
func forwarded(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie":
		return false
	}
	return true
}

// request runs the execution of a request. What comes back is the message to handle: the same bytes where nothing changed it.
func (c call) request(ctx context.Context, message []byte) ([]byte, error) {
	answer, err := c.host.invoke(ctx, &calloutv1.InvokeRequest{Hook: &calloutv1.InvokeRequest_Request{Request: &calloutv1.RequestHook{
		FullMethod: c.method, OrgId: c.caller.OrgID, ProjectId: c.caller.ProjectID, UserId: c.caller.UserID, Headers: c.headers,
		RequestJson: string(message),
	}}})
	if err != nil || answer == nil {
		return message, err
	}
	return []byte(answer.GetRequestJson()), nil
}

// response runs the execution of a response; request is what was handled.
func (c call) response(ctx context.Context, request, message []byte) ([]byte, error) {
	answer, err := c.host.invoke(ctx, &calloutv1.InvokeRequest{Hook: &calloutv1.InvokeRequest_Response{Response: &calloutv1.ResponseHook{
		FullMethod: c.method, OrgId: c.caller.OrgID, ProjectId: c.caller.ProjectID, UserId: c.caller.UserID, Headers: c.headers,
		RequestJson: string(request), ResponseJson: string(message),
	}}})
	if err != nil || answer == nil {
		return message, err
	}
	return []byte(answer.GetResponseJson()), nil
}

// invoke asks the engine. Nil without an error: it could not be asked, and the call is to go on. An error is for the caller.
func (h *Host) invoke(ctx context.Context, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	answer, err := h.Engine.Invoke(ctx, r)
	if err == nil {
		h.logFailures(ctx, answer)
		return answer, nil
	}
	if ofTarget(err) {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, connect.NewError(connect.CodeOf(ctx.Err()), ctx.Err())
	}
	if h.FailOpen {
		h.log().WarnContext(ctx, "hooks not run; the call goes on", "error", err)
		return nil, nil
	}
	h.log().ErrorContext(ctx, "hooks not run; the call is stopped", "error", err)
	return nil, errEngine()
}

// logFailures says what failed and went on.
func (h *Host) logFailures(ctx context.Context, answer *calloutv1.InvokeResponse) {
	for _, c := range answer.GetCalls() {
		if o := c.GetOutcome(); o != "success" && o != "queued" {
			h.log().WarnContext(ctx, "a target failed; the call goes on", "execution", answer.GetExecution(), "target", c.GetTargetId(), "outcome", o, "status", c.GetStatusCode())
		}
	}
}

func (h *Host) log() *slog.Logger {
	if h.Log == nil {
		return slog.Default()
	}
	return h.Log
}

// ofTarget says whether an error is an execution's, and so the caller's, by its id (actions-v2.md section 5.4): any other one means that the
// engine was not asked, or would not answer.
func ofTarget(err error) bool {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return false
	}
	for _, d := range e.Details() {
		value, err := d.Value()
		if detail, ok := value.(*zitadelv1.ErrorDetail); err == nil && ok {
			return strings.HasPrefix(detail.GetId(), "EXEC-") || strings.HasPrefix(detail.GetId(), "ACTION-")
		}
	}
	return false
}
