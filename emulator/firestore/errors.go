package firestore

import (
	"context"
	"errors"

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

// fail makes err one for the client: statuses go as they are, the store's failures get theirs, and what nobody foresaw is logged and
// hidden.
func (s *Server) fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[statusError](err); ok {
		return status.Error(e.GRPCStatus().Code(), message(err))
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
