package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// calls are those to the API, with the token of who has signed in.
type calls struct{ conn }

func (c calls) actions() actionv2.ActionServiceClient { return actionv2.NewActionServiceClient(c) }
func (c calls) deliveries() calloutv1.DeliveryServiceClient {
	return calloutv1.NewDeliveryServiceClient(c)
}
func (c calls) catalog() calloutv1.CatalogServiceClient { return calloutv1.NewCatalogServiceClient(c) }
func (c calls) events() calloutv1.EventServiceClient    { return calloutv1.NewEventServiceClient(c) }
func (c calls) hooks() calloutv1.HookServiceClient      { return calloutv1.NewHookServiceClient(c) }

// conn carries the calls of clients that were generated for gRPC over the Connect protocol. Connect's own clients are generic over their
// messages: for all methods of the API they would make the image 2.5 MB larger, a tenth of it.
type conn struct {
	client *http.Client
	url    string
}

// Invoke is one unary call. The error is a *connect.Error.
func (c conn) Invoke(ctx context.Context, method string, in, out any, _ ...grpc.CallOption) error {
	body, err := proto.Marshal(in.(proto.Message))
	if err != nil { // a field that a browser has not sent: browsers send texts
		return connect.NewError(connect.CodeInvalidArgument, errors.New("a field has bytes that are no text"))
	}
	// Answers are not compressed: they go from one machine of ours to another.
	client := connect.NewClient[[]byte, []byte](c.client, c.url+method, connect.WithCodec(binary{}), connect.WithAcceptCompression("gzip",
		nil, nil))
	answer, err := client.CallUnary(ctx, connect.NewRequest(&body))
	if err != nil {
		return err
	}
	return proto.Unmarshal(*answer.Msg, out.(proto.Message))
}

// NewStream refuses: the API has no streams.
func (conn) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, connect.NewError(connect.CodeUnimplemented, fmt.Errorf("no streams"))
}

// binary is the codec of messages that are encoded already.
type binary struct{}

// Name is that of the encoding.
func (binary) Name() string { return "proto" }

// Marshal gives the bytes.
func (binary) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

// Unmarshal keeps the bytes.
func (binary) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = bytes.Clone(data)
	return nil
}
