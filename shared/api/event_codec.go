package api

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// eventCodec is Connect's JSON for events: the same JSON as POST /v1/events takes, one event or {"events":[…]}, read without passing
// numbers through a double.
type eventCodec struct{ name string }

func (c eventCodec) Name() string { return c.name }

func (c eventCodec) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a message", message)
	}
	return protojson.Marshal(m)
}

func (c eventCodec) Unmarshal(data []byte, message any) error {
	request, ok := message.(*calloutv1.PublishRequest)
	if !ok {
		m, ok := message.(proto.Message)
		if !ok {
			return fmt.Errorf("%T is not a message", message)
		}
		return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, m)
	}
	if len(data) == 0 {
		data = []byte("{}")
	}
	events, err := action.ParseEvents(data)
	if err != nil {
		return err
	}
	for _, o := range events {
		request.Events = append(request.Events, eventMessage(o))
	}
	return nil
}

func eventMessage(o action.Occurrence) *calloutv1.Event {
	m := &calloutv1.Event{
		Id: string(o.ID), AggregateId: o.AggregateID, AggregateType: o.AggregateType, ResourceOwner: o.ResourceOwner,
		InstanceId: string(o.Instance), Version: o.Version, Sequence: o.Sequence, EventType: o.Type, UserId: o.UserID,
		EventPayloadJson: string(o.Payload),
	}
	if !o.CreatedAt.IsZero() {
		m.CreatedAt = timestamppb.New(o.CreatedAt)
	}
	return m
}
