package pubsub

import (
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/storage"
)

// Every status that leaves the server is made in this file, with the codes of production
// (https://cloud.google.com/pubsub/docs/reference/error-codes).

// invalid names the field that is wrong and says what would be right.
func invalid(field, format string, args ...any) error {
	text := field + " " + fmt.Sprintf(format, args...)
	st, err := status.New(codes.InvalidArgument, text).WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: text}},
	})
	if err != nil {
		return status.Error(codes.InvalidArgument, text)
	}
	return st.Err()
}

func notFound(name string) error {
	return status.Errorf(codes.NotFound, "Resource not found (resource=%s).", clip(name))
}

func alreadyExists(name string) error {
	return status.Errorf(codes.AlreadyExists, "Resource already exists in the project (resource=%s).", clip(name))
}

func precondition(format string, args ...any) error {
	return status.Errorf(codes.FailedPrecondition, format, args...)
}

func unimplemented(field string) error {
	return status.Errorf(codes.Unimplemented, "%s is not supported by this server", field)
}

// errClosing is the answer to what comes while the server shuts down.
var errClosing = status.Error(codes.Unavailable, "the server is shutting down")

// staleAckIDs is how exactly-once delivery says which acknowledgements did not count: a map from ack id to reason in an ErrorInfo.
func staleAckIDs(ids []string) error {
	reasons := make(map[string]string, len(ids))
	for _, id := range ids {
		reasons[id] = "PERMANENT_FAILURE_INVALID_ACK_ID"
	}
	const text = "Some acknowledgement ids in the request were invalid. This could be because the acknowledgement ids have expired or the acknowledgement ids were malformed."
	st, err := status.New(codes.InvalidArgument, text).WithDetails(&errdetails.ErrorInfo{
		Reason: "EXACTLY_ONCE_ACKID_FAILURE", Domain: "pubsub.googleapis.com", Metadata: reasons,
	})
	if err != nil {
		return status.Error(codes.InvalidArgument, text)
	}
	return st.Err()
}

// stored turns an error of the store into a status: the caller may try again, and learns nothing of the disk but that it is at fault.
func stored(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrFull):
		return status.Errorf(codes.ResourceExhausted, "%s: the disk is full", operation)
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Errorf(codes.Unavailable, "%s: the store cannot be written", operation)
}
