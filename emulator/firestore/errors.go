package firestore

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/storage"
)

type statusError interface {
	error
	GRPCStatus() *status.Status
}

// message is the text of an error without its status code, what was put in front of it included.
func message(err error) string {
	s, ok := errors.AsType[statusError](err)
	if !ok {
		return err.Error()
	}
	outer, inner := err.Error(), s.Error()
	return outer[:len(outer)-len(inner)] + s.GRPCStatus().Message()
}

// maxMessage is how many bytes of text an error has: clients bound the headers that it comes in.
const maxMessage = 1 << 10

// clip cuts what a request's own text made long.
func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "…"
}

// fail makes err one for the client: statuses go as they are, the store's failures get theirs, and what nobody foresaw is logged and
// hidden.
func (s *Server) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[statusError](err); ok {
		return status.Error(e.GRPCStatus().Code(), clip(message(err)))
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, "the request was canceled")
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, "the deadline has passed")
	case errors.Is(err, storage.ErrFull):
		return status.Error(codes.ResourceExhausted, "the disk is full; reads go on")
	case errors.Is(err, storage.ErrUnavailable):
		return status.Error(codes.Unavailable, "the storage is unavailable")
	}
	s.log.ErrorContext(ctx, "firestore: internal error", "error", err)
	return status.Error(codes.Internal, "internal error")
}

func aborted(text string) error { return status.Error(codes.Aborted, text) }
