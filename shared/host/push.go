package host

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"google.golang.org/grpc/codes"

	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
)

// maxPush is the size of the largest push: a message of 10 MB in base64 and its wrapping.
const maxPush = 14 << 20

// PushGuard says whether a push comes from the queue.
type PushGuard interface {
	Authenticate(ctx context.Context, authorization string) error
}

// pushHandler turns a push into a message, and an error into an ack or a nack.
type pushHandler struct {
	event EventFunc
	guard PushGuard
	log   *slog.Logger
}

func (p *pushHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		Refuse(w, http.StatusMethodNotAllowed, codes.Unimplemented, "Method Not Allowed")
		return
	}
	if err := p.guard.Authenticate(ctx, r.Header.Get("Authorization")); err != nil {
		p.log.WarnContext(ctx, "push refused", logging.Err, err)
		status, code := pushRefusal(err)
		Refuse(w, status, code, "this is for the queue only")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPush))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		Refuse(w, http.StatusRequestEntityTooLarge, codes.ResourceExhausted, "push too large")
		return
	}
	if err != nil {
		Refuse(w, http.StatusBadRequest, codes.InvalidArgument, "body not readable")
		return
	}
	m, err := queue.DecodePush(body)
	if err != nil {
		Refuse(w, http.StatusBadRequest, codes.InvalidArgument, "not a push of Pub/Sub")
		return
	}
	if err := p.event(ctx, m); err != nil {
		if !acknowledge(err) {
			p.log.WarnContext(ctx, "push comes back", logging.Err, err)
			Refuse(w, http.StatusServiceUnavailable, codes.Unavailable, "try again")
			return
		}
		p.log.ErrorContext(ctx, "push given up", logging.Err, err)
	}
	w.WriteHeader(http.StatusNoContent)
}

func pushRefusal(err error) (int, codes.Code) {
	switch errs.KindOf(err) {
	case errs.Unavailable:
		return http.StatusServiceUnavailable, codes.Unavailable
	case errs.PermissionDenied:
		return http.StatusForbidden, codes.PermissionDenied
	default:
		return http.StatusUnauthorized, codes.Unauthenticated
	}
}

// acknowledge is the one rule for the queue: what trying again cannot mend is acknowledged, everything else comes back. A thing that was
// not found comes back, because it may be our own configuration that is missing.
func acknowledge(err error) bool {
	return errs.Is(err, errs.InvalidArgument) || errs.Is(err, errs.TooLarge)
}
