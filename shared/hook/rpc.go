package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// UnaryServerInterceptor runs the executions of a gRPC server's unary calls. Streams pass.
func (h *Host) UnaryServerInterceptor() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		headers := http.Header{}
		md, _ := metadata.FromIncomingContext(ctx)
		for name, values := range md {
			if name == ":authority" {
				name = "Host"
			}
			headers[http.CanonicalHeaderKey(name)] = values
		}
		c := h.call(ctx, info.FullMethod, headers)
		asked, changed, err := c.requestMessage(ctx, request)
		if err != nil {
			return nil, grpcError(err)
		}
		response, err := handler(ctx, changed)
		if err != nil {
			return nil, err
		}
		answer, err := c.responseMessage(ctx, asked, response)
		return answer, grpcError(err)
	}
}

// UnaryInterceptor runs the executions of a Connect handler's unary calls; streams, and the calls of clients, pass. The messages that the
// handler is given and gives are changed in place: it must not share its responses.
func (h *Host) UnaryInterceptor() connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
			if request.Spec().IsClient {
				return next(ctx, request)
			}
			c := h.call(ctx, request.Spec().Procedure, request.Header())
			asked, changed, err := c.requestMessage(ctx, request.Any())
			if err != nil {
				return nil, err
			}
			replace(request.Any(), changed)
			response, err := next(ctx, request)
			if err != nil {
				return nil, err
			}
			answer, err := c.responseMessage(ctx, asked, response.Any())
			if err != nil {
				return nil, err
			}
			replace(response.Any(), answer)
			return response, nil
		}
	}
}

// replace makes a message what another one is.
func replace(old, changed any) {
	if old == changed {
		return
	}
	proto.Reset(old.(proto.Message))
	proto.Merge(old.(proto.Message), changed.(proto.Message))
}

// requestMessage runs the execution of a request. Asked is its JSON as it is to be handled, and changed the message: the same one where
// nothing changed it.
func (c call) requestMessage(ctx context.Context, message any) (asked []byte, changed any, err error) {
	text, err := encode(message)
	if err != nil {
		return nil, nil, err
	}
	asked, err = c.request(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	changed, err = decode(message, text, asked)
	return asked, changed, err
}

func (c call) responseMessage(ctx context.Context, asked []byte, message any) (any, error) {
	text, err := encode(message)
	if err != nil {
		return nil, err
	}
	answer, err := c.response(ctx, asked, text)
	if err != nil {
		return nil, err
	}
	return decode(message, text, answer)
}

// encode is a message's JSON, as protobuf has it (actions-v2.md section 6.1).
func encode(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, connect.NewError(connect.CodeInternal, fmt.Errorf("hooks need protobuf messages, not %T", message))
	}
	text, err := protojson.Marshal(m)
	var compact bytes.Buffer
	if err == nil {
		err = json.Compact(&compact, text) // the library puts in white space at random
	}
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, errors.New("the message has no JSON"))
	}
	return compact.Bytes(), nil
}

// decode is the message that a target has made of another one: unknown fields are refused, and what is left out is cleared.
func decode(old any, before, after []byte) (any, error) {
	if string(before) == string(after) {
		return old, nil
	}
	changed := old.(proto.Message).ProtoReflect().New().Interface()
	if err := protojson.Unmarshal(after, changed); err != nil {
		return nil, connect.NewError(connect.CodeFailedPrecondition, errors.New("a target's answer is not the message that it stands for"))
	}
	return changed, nil
}

// grpcError is an error of the engine as grpc-go wants it, with its details.
func grpcError(err error) error {
	e, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return err
	}
	s := status.New(codes.Code(e.Code()), e.Message())
	for _, d := range e.Details() {
		value, err := d.Value()
		if err != nil {
			continue
		}
		if with, err := s.WithDetails(protoadapt.MessageV1Of(value)); err == nil {
			s = with
		}
	}
	return s.Err()
}
