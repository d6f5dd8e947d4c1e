package api

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// MaxEventsBody is how large a request with events may be.
const MaxEventsBody = 8 << 20

const headerIdempotencyKey = "Idempotency-Key"

// Events is the operation of function publish.
type Events interface {
	// Publish returns when all events are on the queue: their ids, in order. Key is the request's Idempotency-Key, "" for none.
	Publish(ctx context.Context, caller auth.Caller, events []action.Occurrence, key string) ([]action.EventID, error)
}

// EventReader reads the events of a REST request, by its Content-Type.
type EventReader func(h http.Header, body []byte) ([]action.Occurrence, error)

// ServeEvents serves the EventService over Connect, gRPC and gRPC-Web, and POST /v1/events in all forms that read knows.
func (b Border) ServeEvents(operations Events, read EventReader) http.Handler {
	face := &eventFace{border: b, operations: operations, read: read}
	mux := http.NewServeMux()
	path, procedures := calloutv1connect.NewEventServiceHandler(face, b.connectOptions(MaxEventsBody),
		connect.WithCodec(eventCodec{name: "json"}), connect.WithCodec(eventCodec{name: "json; charset=utf-8"}))
	mux.Handle(path, onlyMethods(calloutv1.EventService_ServiceDesc, procedures))
	mux.HandleFunc("POST /v1/events", face.post)
	mux.HandleFunc("/v1/events", func(w http.ResponseWriter, _ *http.Request) { writeRoutingError(w, http.StatusMethodNotAllowed) })
	return b.Authenticated(mux)
}

type eventFace struct {
	border     Border
	operations Events
	read       EventReader
}

// Publish is the RPC.
func (f *eventFace) Publish(ctx context.Context, r *calloutv1.PublishRequest) (*calloutv1.PublishResponse, error) {
	caller, err := auth.Require(ctx, auth.EventPublish)
	if err != nil {
		return nil, err
	}
	if n := len(r.GetEvents()); n < 1 || n > action.MaxEvents {
		return nil, errs.Newf(errs.InvalidArgument, "events: there must be 1 to %d", action.MaxEvents)
	}
	events := make([]action.Occurrence, len(r.GetEvents()))
	for i, m := range r.GetEvents() {
		if events[i], err = occurrence(m); err != nil {
			return nil, action.AtIndex(i, err)
		}
	}
	var key string
	if info, ok := connect.CallInfoForHandlerContext(ctx); ok {
		key = info.RequestHeader().Get(headerIdempotencyKey)
	}
	ids, err := f.operations.Publish(ctx, caller, events, key)
	if err != nil {
		return nil, err
	}
	return publishResponse(ids), nil
}

// post is POST /v1/events.
func (f *eventFace) post(w http.ResponseWriter, r *http.Request) {
	response, err := f.accept(w, r)
	if err != nil {
		logFault(r.Context(), f.border.Log, err)
		WriteError(w, err)
		return
	}
	body, err := protojson.Marshal(response)
	if err != nil {
		WriteError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write(body)
}

func (f *eventFace) accept(w http.ResponseWriter, r *http.Request) (*calloutv1.PublishResponse, error) {
	caller, err := auth.Require(r.Context(), auth.EventPublish)
	if err != nil {
		return nil, err
	}
	body, err := ReadBody(w, r, MaxEventsBody)
	if err != nil {
		return nil, err
	}
	events, err := f.read(r.Header, body)
	if err != nil {
		return nil, err
	}
	ids, err := f.operations.Publish(r.Context(), caller, events, r.Header.Get(headerIdempotencyKey))
	if err != nil {
		return nil, err
	}
	return publishResponse(ids), nil
}

func publishResponse(ids []action.EventID) *calloutv1.PublishResponse {
	response := &calloutv1.PublishResponse{}
	for _, id := range ids {
		response.Ids = append(response.Ids, string(id))
	}
	return response
}

// occurrence reads an event's message. The payload's JSON text wins over its parsed form.
func occurrence(m *calloutv1.Event) (action.Occurrence, error) {
	o := action.Occurrence{
		ID: action.EventID(m.GetId()), AggregateID: m.GetAggregateId(), AggregateType: m.GetAggregateType(),
		ResourceOwner: m.GetResourceOwner(), Instance: action.InstanceID(m.GetInstanceId()), Version: m.GetVersion(),
		Sequence: m.GetSequence(), Type: m.GetEventType(), UserID: m.GetUserId(), Payload: []byte(m.GetEventPayloadJson()),
	}
	if m.CreatedAt != nil {
		if err := m.CreatedAt.CheckValid(); err != nil {
			return o, errs.Newf(errs.InvalidArgument, "created_at is not a valid time")
		}
		o.CreatedAt = m.CreatedAt.AsTime()
	}
	if m.EventPayload != nil && len(o.Payload) == 0 {
		payload, err := protojson.Marshal(m.EventPayload)
		if err != nil {
			return o, errs.Newf(errs.InvalidArgument, "event_payload: %v", err)
		}
		o.Payload = payload
	}
	return o, nil
}
