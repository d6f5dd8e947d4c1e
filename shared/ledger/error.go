package ledger

import (
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/shared/errs"
)

// mapError is where Firestore's statuses become kinds. What may be tried again is Unavailable.
func mapError(operation string, err error) error {
	if err == nil {
		return nil
	}
	kind := errs.Internal
	switch status.Code(err) {
	case codes.AlreadyExists:
		kind = errs.AlreadyExists
	case codes.NotFound:
		kind = errs.NotFound
	case codes.FailedPrecondition:
		kind = errs.FailedPrecondition
	case codes.Unavailable, codes.Aborted, codes.DeadlineExceeded, codes.ResourceExhausted:
		kind = errs.Unavailable
	case codes.Canceled:
		kind = errs.Canceled
	}
	if kind == errs.Unavailable {
		return errs.New(kind, "", "the database does not answer or takes no writes; try again").Because(fmt.Errorf("%s: %w", operation, err))
	}
	return errs.New(kind, "", operation).Because(err)
}
