// Package api is the border towards callers: it gives the functions' operations their Connect, gRPC, gRPC-Web and REST faces,
// translates between the protocols' messages and the domain, and is the one place where a kind of error becomes a status.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	zitadelv1 "github.com/callout-dev/callout/shared/gen/zitadel/v1"
	"github.com/callout-dev/callout/shared/logging"
)

// codeOf maps kinds to codes (actions-v2.md section 3.1).
var codeOf = map[errs.Kind]codes.Code{
	errs.InvalidArgument:    codes.InvalidArgument,
	errs.FailedPrecondition: codes.FailedPrecondition,
	errs.NotFound:           codes.NotFound,
	errs.AlreadyExists:      codes.AlreadyExists,
	errs.PermissionDenied:   codes.PermissionDenied,
	errs.Unauthenticated:    codes.Unauthenticated,
	errs.ResourceExhausted:  codes.ResourceExhausted,
	errs.TooLarge:           codes.ResourceExhausted,
	errs.DeadlineExceeded:   codes.DeadlineExceeded,
	errs.Canceled:           codes.Canceled,
	errs.Unimplemented:      codes.Unimplemented,
	errs.Unavailable:        codes.Unavailable,
	errs.Internal:           codes.Internal,
	errs.Unknown:            codes.Unknown,
}

// httpStatusOf maps codes to HTTP statuses as the gateway does.
var httpStatusOf = map[codes.Code]int{
	codes.InvalidArgument:    http.StatusBadRequest,
	codes.FailedPrecondition: http.StatusBadRequest,
	codes.OutOfRange:         http.StatusBadRequest,
	codes.NotFound:           http.StatusNotFound,
	codes.AlreadyExists:      http.StatusConflict,
	codes.Aborted:            http.StatusConflict,
	codes.PermissionDenied:   http.StatusForbidden,
	codes.Unauthenticated:    http.StatusUnauthorized,
	codes.ResourceExhausted:  http.StatusTooManyRequests,
	codes.DeadlineExceeded:   http.StatusGatewayTimeout,
	codes.Canceled:           499,
	codes.Unimplemented:      http.StatusNotImplemented,
	codes.Unavailable:        http.StatusServiceUnavailable,
}

const internalText = "An internal error occurred"

// describe makes the status that a caller sees. The text of an internal error is never part of it: only errors made for callers speak.
func describe(err error) *status.Status {
	if partly, ok := errors.AsType[*action.NotAllPublished](err); ok {
		return withDetail(status.New(codes.Unavailable, "not all events were published; sending them again with the ids in the details is safe"), publishResponse(partly.IDs))
	}
	e, ok := errs.As(err)
	if !ok {
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return status.New(codes.DeadlineExceeded, "the time ran out")
		case errors.Is(err, context.Canceled):
			return status.New(codes.Canceled, "the call was canceled")
		}
		if s, ok := protocolError(err); ok {
			return s
		}
		return status.New(codes.Internal, internalText)
	}
	if e.Retry > 0 {
		return withDetail(status.New(codeOf[e.Kind], publicText(e)), &errdetails.RetryInfo{RetryDelay: durationpb.New(e.Retry)})
	}
	if e.ID == "" {
		return status.New(codeOf[e.Kind], publicText(e))
	}
	return withDetail(status.New(codeOf[e.Kind], e.Public()), &zitadelv1.ErrorDetail{Id: e.ID, Message: e.Message})
}

// protocolError finds what the protocol libraries say of requests: input that they cannot read, a method that is not there. Any other
// status is one of a service of ours that somebody forgot to translate, and its text is not for callers.
func protocolError(err error) (*status.Status, bool) {
	s, ok := status.FromError(err)
	if !ok || s.Code() != codes.InvalidArgument && s.Code() != codes.Unimplemented {
		return nil, false
	}
	return status.New(s.Code(), errs.Brief(s.Message())), true // it may quote the input
}

func withDetail(s *status.Status, detail proto.Message) *status.Status {
	detailed, err := s.WithDetails(protoadapt.MessageV1Of(detail))
	if err != nil {
		return s
	}
	return detailed
}

// publicText hides the names of operations behind internal errors that have no id.
func publicText(e *errs.Error) string {
	if e.Kind == errs.Internal || e.Kind == errs.Unknown {
		return internalText
	}
	return e.Message
}

// logFault logs what is our own fault; what the caller did wrong is theirs to know.
func logFault(ctx context.Context, log *slog.Logger, err error) {
	switch describe(err).Code() {
	case codes.Internal, codes.Unknown, codes.Unavailable:
		log.ErrorContext(ctx, "request failed", logging.Err, err)
	}
}

// toConnect makes the error of Connect, gRPC and gRPC-Web.
func toConnect(err error) error {
	if c, ok := errors.AsType[*connect.Error](err); ok {
		return c
	}
	s := describe(err)
	c := connect.NewError(connect.Code(s.Code()), errors.New(s.Message()))
	for _, d := range s.Proto().GetDetails() {
		if detail, err := connect.NewErrorDetail(d); err == nil {
			c.AddDetail(detail)
		}
	}
	retryAfter(c.Meta(), err)
	return c
}

// retryAfter says in a header or in metadata when to try again, if the error does: in whole seconds, the next one, as RFC 9110 has it.
func retryAfter(h http.Header, err error) {
	if e, ok := errs.As(err); ok && e.Retry > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.Retry+time.Second-1)/time.Second), 10))
	}
}

// WriteError answers a REST call with an error in the shape of actions-v2.md section 3.2.
func WriteError(w http.ResponseWriter, err error) {
	s := describe(err)
	code, ok := httpStatusOf[s.Code()]
	if !ok {
		code = http.StatusInternalServerError
	}
	if errs.Is(err, errs.TooLarge) {
		code = http.StatusRequestEntityTooLarge
	}
	retryAfter(w.Header(), err)
	writeStatus(w, code, s)
}

func writeStatus(w http.ResponseWriter, code int, s *status.Status) {
	body, err := protojson.Marshal(s.Proto())
	if err != nil {
		body = []byte(`{"code":13,"message":"` + internalText + `"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}
