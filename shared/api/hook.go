package api

import (
	"context"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// Hooks is the operation of function invoke.
type Hooks interface {
	// Run runs a hook of an instance.
	Run(ctx context.Context, h engine.Hook) (engine.Result, error)
}

// ServeHooks serves the HookService over Connect, gRPC and gRPC-Web, and POST /v1/hooks:invoke.
func (b Border) ServeHooks(operations Hooks) http.Handler {
	face := &hookFace{border: b, operations: operations}
	mux := http.NewServeMux()
	path, procedures := calloutv1connect.NewHookServiceHandler(face, b.connectOptions(MaxBody),
		connect.WithCodec(hookCodec{name: "json"}), connect.WithCodec(hookCodec{name: "json; charset=utf-8"}))
	procedures = onlyMethods(calloutv1.HookService_ServiceDesc, procedures)
	mux.Handle(path, procedures)
	mux.Handle("POST "+calloutv1connect.HookServiceInvokeProcedure, &binaryFace{face, procedures})
	mux.HandleFunc("POST /v1/hooks:invoke", face.post)
	mux.HandleFunc("/v1/hooks:invoke", func(w http.ResponseWriter, _ *http.Request) { writeRoutingError(w, http.StatusMethodNotAllowed) })
	return b.Authenticated(mux)
}

// Embedded serves the HookService within a process that is a host itself: its requests are those of one instance and need no token. Errors are
// those that a Connect client gets.
type Embedded struct {
	Operations Hooks
	Instance   action.InstanceID
}

// Invoke is the RPC.
func (e Embedded) Invoke(ctx context.Context, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	answer, err := invoke(ctx, e.Operations, e.Instance, r)
	if err != nil {
		return nil, toConnect(err)
	}
	return answer, nil
}

type hookFace struct {
	border     Border
	operations Hooks
}

// Invoke is the RPC.
func (f *hookFace) Invoke(ctx context.Context, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	caller, err := auth.Require(ctx, auth.HookInvoke)
	if err != nil {
		return nil, err
	}
	return invoke(ctx, f.operations, caller.Instance, r)
}

// post is POST /v1/hooks:invoke.
func (f *hookFace) post(w http.ResponseWriter, r *http.Request) {
	body, err := f.answer(w, r)
	if err != nil {
		logFault(r.Context(), f.border.Log, err)
		WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // who does not read on has gone
}

func (f *hookFace) answer(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	caller, err := auth.Require(r.Context(), auth.HookInvoke)
	if err != nil {
		return nil, err
	}
	body, err := ReadBody(w, r, MaxBody)
	if err != nil {
		return nil, err
	}
	var request calloutv1.InvokeRequest
	if err := parseInvoke(body, &request); err != nil {
		return nil, err
	}
	response, err := invoke(r.Context(), f.operations, caller.Instance, &request)
	if err != nil {
		return nil, err
	}
	return formatInvoke(response)
}

// invoke runs what a message asks for.
func invoke(ctx context.Context, operations Hooks, instance action.InstanceID, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	hook, text, err := hookOf(r)
	if err != nil {
		return nil, err
	}
	hook.Instance = instance
	if r.Timeout != nil {
		timeout := r.Timeout.AsDuration()
		if err := r.Timeout.CheckValid(); err != nil || timeout <= 0 {
			return nil, errs.Newf(errs.InvalidArgument, "timeout must be a duration over 0, like \"2s\"")
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	result, err := operations.Run(ctx, hook)
	if err != nil {
		return nil, err
	}
	return invokeResponse(hook.Kind, result, text)
}

// hookOf reads a message; text says that its messages came as JSON text.
func hookOf(r *calloutv1.InvokeRequest) (h engine.Hook, text bool, err error) {
	switch {
	case r.GetRequest() != nil:
		m := r.GetRequest()
		h = engine.Hook{Kind: action.Request, FullMethod: m.GetFullMethod(), OrgID: m.GetOrgId(), ProjectID: m.GetProjectId(), UserID: m.GetUserId()}
		if h.Headers, err = headersOf(m.GetHeaders()); err == nil {
			h.Request, text, err = jsonOf(m.GetRequestJson(), m.GetRequest())
		}
	case r.GetResponse() != nil:
		m := r.GetResponse()
		h = engine.Hook{Kind: action.Response, FullMethod: m.GetFullMethod(), OrgID: m.GetOrgId(), ProjectID: m.GetProjectId(), UserID: m.GetUserId()}
		if h.Headers, err = headersOf(m.GetHeaders()); err != nil {
			return h, false, err
		}
		if h.Request, _, err = jsonOf(m.GetRequestJson(), m.GetRequest()); err == nil {
			h.Response, text, err = jsonOf(m.GetResponseJson(), m.GetResponse())
		}
	case r.GetFunction() != nil:
		m := r.GetFunction()
		h = engine.Hook{Kind: action.Function, Function: m.GetName(), Payload: []byte(m.GetPayloadJson())}
		if len(h.Payload) == 0 && m.Payload != nil {
			h.Payload, err = protojson.Marshal(m.Payload)
		}
	}
	return h, text, err
}

// jsonOf is a message as JSON: its text, or else its parsed form.
func jsonOf(text string, value *structpb.Value) (data []byte, isText bool, err error) {
	if text != "" || value == nil {
		return []byte(text), true, nil
	}
	data, err = protojson.Marshal(value)
	if err != nil {
		return nil, false, errs.Newf(errs.InvalidArgument, "a message is not JSON: %v", err)
	}
	return data, false, nil
}

func headersOf(lists map[string]*structpb.ListValue) (map[string][]string, error) {
	headers := make(map[string][]string, len(lists))
	for name, list := range lists {
		for _, v := range list.GetValues() {
			text, ok := v.GetKind().(*structpb.Value_StringValue)
			if !ok {
				return nil, errs.Newf(errs.InvalidArgument, "headers: %q must be a list of texts", name)
			}
			headers[name] = append(headers[name], text.StringValue)
		}
	}
	return headers, nil
}

func invokeResponse(kind action.Kind, result engine.Result, text bool) (*calloutv1.InvokeResponse, error) {
	response := &calloutv1.InvokeResponse{Execution: string(result.Execution)}
	for _, c := range result.Calls {
		response.Calls = append(response.Calls, &calloutv1.TargetCall{
			TargetId: string(c.Target), Outcome: string(c.Outcome), StatusCode: int32(c.Status), DurationMs: int32(c.Took.Round(time.Millisecond).Milliseconds()),
		})
	}
	if kind == action.Function {
		answer, err := functionAnswer(result.Answer)
		response.Message = &calloutv1.InvokeResponse_Function{Function: answer}
		return response, err
	}
	if text {
		if kind == action.Request {
			response.Message = &calloutv1.InvokeResponse_RequestJson{RequestJson: string(result.Message)}
		} else {
			response.Message = &calloutv1.InvokeResponse_ResponseJson{ResponseJson: string(result.Message)}
		}
		return response, nil
	}
	value, err := valueOf(result.Message)
	if kind == action.Request {
		response.Message = &calloutv1.InvokeResponse_Request{Request: value}
	} else {
		response.Message = &calloutv1.InvokeResponse_Response{Response: value}
	}
	return response, err
}

func functionAnswer(a engine.Answer) (*calloutv1.FunctionAnswer, error) {
	answer := &calloutv1.FunctionAnswer{AppendLogClaims: a.AppendLogClaims}
	for _, c := range a.AppendClaims {
		value, err := valueOf(c.Value)
		if err != nil {
			return nil, err
		}
		answer.AppendClaims = append(answer.AppendClaims, &calloutv1.Claim{Key: c.Key, Value: value, ValueJson: string(c.Value)})
	}
	for _, m := range a.SetUserMetadata {
		answer.SetUserMetadata = append(answer.SetUserMetadata, &calloutv1.UserMetadata{Key: m.Key, Value: m.Value})
	}
	for _, at := range a.AppendAttribute {
		answer.AppendAttribute = append(answer.AppendAttribute, &calloutv1.SAMLAttribute{Name: at.Name, NameFormat: at.NameFormat, Value: at.Value})
	}
	return answer, nil
}

// valueOf is JSON in its parsed form.
func valueOf(data []byte) (*structpb.Value, error) {
	var value structpb.Value
	if err := protojson.Unmarshal(data, &value); err != nil {
		return nil, errs.Newf(errs.FailedPrecondition, "a target's answer holds JSON that cannot be parsed: ask with JSON text").Because(err)
	}
	return &value, nil
}
