package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// hookCodec is Connect's JSON for hooks: that of POST /v1/hooks:invoke, whose messages keep every byte.
type hookCodec struct{ name string }

func (c hookCodec) Name() string { return c.name }

func (c hookCodec) Marshal(message any) ([]byte, error) {
	switch m := message.(type) {
	case *calloutv1.InvokeResponse:
		return formatInvoke(m)
	case proto.Message: // the details of an error
		return protojson.Marshal(m)
	}
	return nil, fmt.Errorf("%T is not a message", message)
}

func (c hookCodec) Unmarshal(data []byte, message any) error {
	request, ok := message.(*calloutv1.InvokeRequest)
	if !ok {
		return fmt.Errorf("%T is not the message of a hook", message)
	}
	return parseInvoke(data, request)
}

// wireInvoke is the JSON of a request (callout.md section 4).
type wireInvoke struct {
	Request  *wireRequest    `json:"request"`
	Response *wireResponse   `json:"response"`
	Function *wireFunction   `json:"function"`
	Timeout  json.RawMessage `json:"timeout"`
}

type wireRequest struct {
	FullMethod string              `json:"fullMethod"`
	OrgID      string              `json:"orgID"`
	ProjectID  string              `json:"projectID"`
	UserID     string              `json:"userID"`
	Headers    map[string][]string `json:"headers"`
	Request    json.RawMessage     `json:"request"`
}

type wireResponse struct {
	wireRequest
	Response json.RawMessage `json:"response"`
}

type wireFunction struct {
	Name    string          `json:"name"`
	Payload json.RawMessage `json:"payload"`
}

// parseInvoke reads a request; it is exactly one of the three.
func parseInvoke(data []byte, request *calloutv1.InvokeRequest) error {
	var w wireInvoke
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return errs.Newf(errs.InvalidArgument, "body: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errs.Newf(errs.InvalidArgument, "body: there is something after the JSON")
	}
	given := 0
	if w.Request != nil {
		given++
		request.Hook = &calloutv1.InvokeRequest_Request{Request: &calloutv1.RequestHook{
			FullMethod: w.Request.FullMethod, OrgId: w.Request.OrgID, ProjectId: w.Request.ProjectID, UserId: w.Request.UserID,
			Headers: listValues(w.Request.Headers), RequestJson: string(w.Request.Request),
		}}
	}
	if w.Response != nil {
		given++
		request.Hook = &calloutv1.InvokeRequest_Response{Response: &calloutv1.ResponseHook{
			FullMethod: w.Response.FullMethod, OrgId: w.Response.OrgID, ProjectId: w.Response.ProjectID, UserId: w.Response.UserID,
			Headers: listValues(w.Response.Headers), RequestJson: string(w.Response.Request), ResponseJson: string(w.Response.Response),
		}}
	}
	if w.Function != nil {
		given++
		request.Hook = &calloutv1.InvokeRequest_Function{Function: &calloutv1.FunctionHook{Name: w.Function.Name, PayloadJson: string(w.Function.Payload)}}
	}
	if given != 1 {
		return errs.Newf(errs.InvalidArgument, "there must be exactly one of request, response and function")
	}
	if len(w.Timeout) > 0 && string(w.Timeout) != "null" {
		request.Timeout = &durationpb.Duration{}
		if err := protojson.Unmarshal(w.Timeout, request.Timeout); err != nil {
			return errs.Newf(errs.InvalidArgument, "timeout must be a duration over 0, like \"2s\"")
		}
	}
	return nil
}

func listValues(headers map[string][]string) map[string]*structpb.ListValue {
	lists := make(map[string]*structpb.ListValue, len(headers))
	for name, values := range headers {
		list := &structpb.ListValue{}
		for _, v := range values {
			list.Values = append(list.Values, structpb.NewStringValue(v))
		}
		lists[name] = list
	}
	return lists
}

// wireCall is what became of a target's call.
type wireCall struct {
	TargetID   string `json:"targetId"`
	Outcome    string `json:"outcome"`
	StatusCode int32  `json:"statusCode,omitempty"`
	DurationMs int32  `json:"durationMs"`
}

// formatInvoke writes an answer. The message is put in as it is, byte for byte.
func formatInvoke(m *calloutv1.InvokeResponse) ([]byte, error) {
	var out bytes.Buffer
	switch message := m.GetMessage().(type) {
	case *calloutv1.InvokeResponse_RequestJson:
		out.WriteString(`{"request":` + message.RequestJson)
	case *calloutv1.InvokeResponse_ResponseJson:
		out.WriteString(`{"response":` + message.ResponseJson)
	case *calloutv1.InvokeResponse_Function:
		out.WriteString(`{"function":`)
		if err := encodeJSON(&out, answerOf(message.Function)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("an answer without a message: %T", message)
	}
	if m.GetExecution() != "" {
		out.WriteString(`,"execution":`)
		if err := encodeJSON(&out, m.GetExecution()); err != nil {
			return nil, err
		}
	}
	calls := make([]wireCall, len(m.GetCalls()))
	for i, c := range m.GetCalls() {
		calls[i] = wireCall{c.GetTargetId(), c.GetOutcome(), c.GetStatusCode(), c.GetDurationMs()}
	}
	out.WriteString(`,"calls":`)
	if err := encodeJSON(&out, calls); err != nil {
		return nil, err
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func encodeJSON(out *bytes.Buffer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the line's end
	return nil
}

// answerOf is functionAnswer's inverse, for its JSON.
func answerOf(m *calloutv1.FunctionAnswer) engine.Answer {
	a := engine.Answer{AppendLogClaims: m.GetAppendLogClaims()}
	for _, c := range m.GetAppendClaims() {
		a.AppendClaims = append(a.AppendClaims, engine.Claim{Key: c.GetKey(), Value: json.RawMessage(c.GetValueJson())})
	}
	for _, u := range m.GetSetUserMetadata() {
		a.SetUserMetadata = append(a.SetUserMetadata, engine.Metadata{Key: u.GetKey(), Value: u.GetValue()})
	}
	for _, at := range m.GetAppendAttribute() {
		a.AppendAttribute = append(a.AppendAttribute, engine.Attribute{Name: at.GetName(), NameFormat: at.GetNameFormat(), Value: at.GetValue()})
	}
	return a
}
