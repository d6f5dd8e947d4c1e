package api

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// What the commands refuse under ids of their own, though the bounds of the messages would do it too (actions-v2.md section 3.5). An empty
// name of an update and an empty endpoint are left to the domain.
var (
	errUpdateNoID = errs.New(errs.InvalidArgument, "COMMAND-zqibgg0wwh", "ID missing")
	errDeleteNoID = errs.New(errs.InvalidArgument, "COMMAND-obqos2l3no", "ID missing")
)

// Bounds of the messages' texts, in characters (actions-v2.md section 1.3).
const (
	maxID       = 200
	maxName     = 1000
	maxEndpoint = 2048

	maxBetaEndpoint = 1000 // in v2beta: section 1.5
)

var payloadTypes = map[actionv2.PayloadType]action.PayloadType{
	actionv2.PayloadType_PAYLOAD_TYPE_UNSPECIFIED: action.PayloadUnspecified,
	actionv2.PayloadType_PAYLOAD_TYPE_JSON:        action.PayloadJSON,
	actionv2.PayloadType_PAYLOAD_TYPE_JWT:         action.PayloadJWT,
	actionv2.PayloadType_PAYLOAD_TYPE_JWE:         action.PayloadJWE,
}

func newTarget(r *actionv2.CreateTargetRequest, maxEndpoint int) (action.Target, error) {
	const message = "CreateTargetRequest"
	payload, known := payloadTypes[r.GetPayloadType()]
	switch err := checkLength(message, "Name", r.GetName(), 1, maxName); {
	case err != nil:
		return action.Target{}, err
	case r.GetTargetType() == nil:
		return action.Target{}, invalid(message, "TargetType", "value is required")
	case !known:
		return action.Target{}, invalid(message, "PayloadType", "value must be one of the defined enum values")
	}
	if err := checkDuration(message, "Timeout", r.GetTimeout(), 0, action.MaxTimeout); err != nil {
		return action.Target{}, err
	}
	if err := checkGiven(message, "Endpoint", r.GetEndpoint(), maxEndpoint); err != nil {
		return action.Target{}, err
	}
	t := action.Target{Name: r.GetName(), Timeout: r.GetTimeout().AsDuration(), Endpoint: r.GetEndpoint(), PayloadType: payload}
	switch kind := r.GetTargetType().(type) {
	case *actionv2.CreateTargetRequest_RestWebhook:
		t.Type, t.InterruptOnError = action.Webhook, kind.RestWebhook.GetInterruptOnError()
	case *actionv2.CreateTargetRequest_RestCall:
		t.Type, t.InterruptOnError = action.Call, kind.RestCall.GetInterruptOnError()
	case *actionv2.CreateTargetRequest_RestAsync:
		t.Type = action.Async
	}
	return t, nil
}

func targetChange(r *actionv2.UpdateTargetRequest, maxEndpoint int) (action.TargetChange, error) {
	const message = "UpdateTargetRequest"
	var c action.TargetChange
	if r.GetId() == "" {
		return c, errUpdateNoID
	}
	if err := checkLength(message, "Id", r.GetId(), 1, maxID); err != nil {
		return c, err
	}
	if err := checkGiven(message, "Name", r.GetName(), maxName); err != nil {
		return c, err
	}
	c.Name = r.Name
	if err := checkDuration(message, "Timeout", r.Timeout, 0, action.MaxTimeout); err != nil {
		return c, err
	}
	c.Timeout = duration(r.Timeout)
	if err := checkGiven(message, "Endpoint", r.GetEndpoint(), maxEndpoint); err != nil {
		return c, err
	}
	c.Endpoint = r.Endpoint
	if err := checkDuration(message, "ExpirationSigningKey", r.ExpirationSigningKey, 0, action.MaxKeyOverlap); err != nil {
		return c, err
	}
	c.RotateKey = duration(r.ExpirationSigningKey)
	payload, known := payloadTypes[r.GetPayloadType()]
	if !known {
		return c, invalid(message, "PayloadType", "value must be one of the defined enum values")
	}
	c.PayloadType = payload
	switch kind := r.GetTargetType().(type) {
	case *actionv2.UpdateTargetRequest_RestWebhook:
		c.Type = &action.TargetTypeChange{Type: action.Webhook, InterruptOnError: kind.RestWebhook.GetInterruptOnError()}
	case *actionv2.UpdateTargetRequest_RestCall:
		c.Type = &action.TargetTypeChange{Type: action.Call, InterruptOnError: kind.RestCall.GetInterruptOnError()}
	case *actionv2.UpdateTargetRequest_RestAsync:
		c.Type = &action.TargetTypeChange{Type: action.Async}
	}
	return c, nil
}

func duration(d *durationpb.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	value := d.AsDuration()
	return &value
}

func targetMessage(t action.Target) *actionv2.Target {
	m := &actionv2.Target{
		Id: string(t.ID), CreationDate: timestamppb.New(t.Created), ChangeDate: timestamppb.New(t.Changed), Name: t.Name,
		Timeout: durationpb.New(t.Timeout), Endpoint: t.Endpoint, SigningKey: string(t.SigningKey()),
	}
	switch t.Type {
	case action.Webhook:
		m.TargetType = &actionv2.Target_RestWebhook{RestWebhook: &actionv2.RESTWebhook{InterruptOnError: t.InterruptOnError}}
	case action.Call:
		m.TargetType = &actionv2.Target_RestCall{RestCall: &actionv2.RESTCall{InterruptOnError: t.InterruptOnError}}
	case action.Async:
		m.TargetType = &actionv2.Target_RestAsync{RestAsync: &actionv2.RESTAsync{}}
	}
	for message, payload := range payloadTypes {
		if payload == t.PayloadType {
			m.PayloadType = message
		}
	}
	return m
}

// timestamp leaves out the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
