package api

import (
	"context"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// DeliveryLog is what function deliveries shows. A source that is nil means events of all sources.
type DeliveryLog interface {
	// Search gives a page, the newest first.
	Search(ctx context.Context, caller auth.Caller, q action.DeliveryQuery) (action.DeliveryPage, error)
	Get(ctx context.Context, caller auth.Caller, id action.DeliveryID) (action.DeliveryView, error)
	// Explain says what became of each event with an id, and why.
	Explain(ctx context.Context, caller auth.Caller, id action.EventID, source *string) ([]action.Explanation, error)
	// Settings shows how events are delivered to a target.
	Settings(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TargetDelivery, error)
}

// DeliveryRepair is what function deliveries changes.
type DeliveryRepair interface {
	Redeliver(ctx context.Context, caller auth.Caller, id action.DeliveryID) (action.DeliveryView, error)
	// RedeliverAll puts the next dead deliveries back that a filter finds; with dry, it only counts them.
	RedeliverAll(ctx context.Context, caller auth.Caller, f action.DeliveryFilter, token string, dry bool) (action.Redelivery, error)
	DeleteEvent(ctx context.Context, caller auth.Caller, id action.EventID, source *string) error
	// Test publishes an event that only this target receives.
	Test(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TestEvent, error)
	// Update changes what is not nil; Pause and Resume are the two updates that need no body.
	Update(ctx context.Context, caller auth.Caller, id action.TargetID, c action.DeliveryChange) (action.TargetDelivery, error)
	Pause(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TargetDelivery, error)
	Resume(ctx context.Context, caller auth.Caller, id action.TargetID) (action.TargetDelivery, error)
}

// Deliveries are the operations of function deliveries.
type Deliveries interface {
	DeliveryLog
	DeliveryRepair
}

// ServeDeliveries serves the DeliveryService over all protocols.
func (b Border) ServeDeliveries(operations Deliveries) (http.Handler, error) {
	face := &deliveryFace{operations: operations}
	gateway := b.newGateway(true)
	if err := calloutv1.RegisterDeliveryServiceHandlerServer(context.Background(), gateway, face); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	path, procedures := calloutv1connect.NewDeliveryServiceHandler(face, b.connectOptions(MaxBody),
		connect.WithCodec(strictCodec{name: "json"}), connect.WithCodec(strictCodec{name: "json; charset=utf-8"}))
	mux.Handle(path, onlyMethods(calloutv1.DeliveryService_ServiceDesc, procedures))
	mux.Handle("/", bounded(MaxBody, gateway))
	return b.Authenticated(mux), nil
}

// strictCodec is Connect's JSON with unknown fields refused.
type strictCodec struct{ name string }

func (c strictCodec) Name() string { return c.name }

func (c strictCodec) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a message", message)
	}
	return protojson.Marshal(m)
}

func (c strictCodec) Unmarshal(data []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is not a message", message)
	}
	if len(data) == 0 {
		data = []byte("{}")
	}
	return protojson.Unmarshal(data, m)
}

type deliveryFace struct{ operations Deliveries }

func (f *deliveryFace) SearchDeliveries(ctx context.Context, r *calloutv1.SearchDeliveriesRequest) (*calloutv1.SearchDeliveriesResponse, error) {
	caller, err := auth.Require(ctx, auth.DeliveryRead)
	if err != nil {
		return nil, err
	}
	q := action.DeliveryQuery{Size: int(r.GetPageSize()), Token: r.GetPageToken(), Counts: r.GetCounts()}
	if q.Size == 0 {
		q.Size = action.DefaultDeliveries
	}
	if q.Filter, err = deliveryFilter(r.GetFilter()); err != nil {
		return nil, err
	}
	page, err := f.operations.Search(ctx, caller, q)
	if err != nil {
		return nil, err
	}
	response := &calloutv1.SearchDeliveriesResponse{NextPageToken: page.Token}
	for _, d := range page.Deliveries {
		response.Deliveries = append(response.Deliveries, deliverySummary(d))
	}
	if page.Counts != nil {
		response.Counts = map[string]uint32{}
		for state, n := range page.Counts {
			response.Counts[string(state)] = uint32(n)
		}
	}
	return response, nil
}

func (f *deliveryFace) GetDelivery(ctx context.Context, r *calloutv1.GetDeliveryRequest) (*calloutv1.Delivery, error) {
	caller, err := auth.Require(ctx, auth.DeliveryRead)
	if err != nil {
		return nil, err
	}
	d, err := f.operations.Get(ctx, caller, action.DeliveryID(r.GetId()))
	if err != nil {
		return nil, err
	}
	return deliveryMessage(d), nil
}

func (f *deliveryFace) RedeliverDelivery(ctx context.Context, r *calloutv1.RedeliverDeliveryRequest) (*calloutv1.Delivery, error) {
	caller, err := auth.Require(ctx, auth.DeliveryWrite)
	if err != nil {
		return nil, err
	}
	d, err := f.operations.Redeliver(ctx, caller, action.DeliveryID(r.GetId()))
	if err != nil {
		return nil, err
	}
	return deliveryMessage(d), nil
}

func (f *deliveryFace) RedeliverDeliveries(ctx context.Context, r *calloutv1.RedeliverDeliveriesRequest) (*calloutv1.RedeliverDeliveriesResponse, error) {
	caller, err := auth.Require(ctx, auth.DeliveryWrite)
	if err != nil {
		return nil, err
	}
	filter, err := deliveryFilter(r.GetFilter())
	if err != nil {
		return nil, err
	}
	result, err := f.operations.RedeliverAll(ctx, caller, filter, r.GetPageToken(), r.GetDryRun())
	if err != nil {
		return nil, err
	}
	return &calloutv1.RedeliverDeliveriesResponse{
		Matched: uint32(result.Matched), Moved: uint32(result.Moved), NextPageToken: result.Token,
	}, nil
}

func (f *deliveryFace) ExplainEvent(ctx context.Context, r *calloutv1.ExplainEventRequest) (*calloutv1.ExplainEventResponse, error) {
	caller, err := auth.Require(ctx, auth.DeliveryRead)
	if err != nil {
		return nil, err
	}
	found, err := f.operations.Explain(ctx, caller, action.EventID(r.GetId()), r.Source)
	if err != nil {
		return nil, err
	}
	response := &calloutv1.ExplainEventResponse{}
	for _, x := range found {
		response.Events = append(response.Events, explanationMessage(x))
	}
	return response, nil
}

func (f *deliveryFace) DeleteEvent(ctx context.Context, r *calloutv1.DeleteEventRequest) (*calloutv1.DeleteEventResponse, error) {
	caller, err := auth.Require(ctx, auth.DeliveryWrite)
	if err != nil {
		return nil, err
	}
	if err := f.operations.DeleteEvent(ctx, caller, action.EventID(r.GetId()), r.Source); err != nil {
		return nil, err
	}
	return &calloutv1.DeleteEventResponse{}, nil
}
