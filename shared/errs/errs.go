// Package errs holds the kinds of error that Callout knows. The domain says what went wrong with a kind, a stable id and a text for
// the caller; what status that is, each border decides for itself: shared/api towards callers, shared/host towards the queue.
package errs

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what sort of failure an error is, in words that know no transport.
type Kind string

// The kinds. An error without one is Internal: its text is for the log, never for a caller.
const (
	InvalidArgument    Kind = "invalid_argument"
	FailedPrecondition Kind = "failed_precondition"
	NotFound           Kind = "not_found"
	AlreadyExists      Kind = "already_exists"
	PermissionDenied   Kind = "permission_denied"
	Unauthenticated    Kind = "unauthenticated"
	ResourceExhausted  Kind = "resource_exhausted"
	DeadlineExceeded   Kind = "deadline_exceeded"
	Canceled           Kind = "canceled"
	Unimplemented      Kind = "unimplemented"
	Unavailable        Kind = "unavailable"
	TooLarge           Kind = "too_large"
	Internal           Kind = "internal"
	Unknown            Kind = "unknown"
)

// Error is a failure that may be told to the caller. ID is one of the stable identifiers of actions-v2.md section 3, empty where the
// reference attaches none. Cause is for the log alone.
type Error struct {
	Kind    Kind
	ID      string
	Message string
	Cause   error
	// Retry is after how long the caller may try again, 0 where nobody can say.
	Retry time.Duration
}

// New makes an error for the caller.
func New(kind Kind, id, message string) *Error {
	return &Error{Kind: kind, ID: id, Message: message}
}

// Newf makes an error without an id from a format. What it quotes may come from outside: the message is cut as Brief does.
func Newf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: Brief(fmt.Sprintf(format, args...))}
}

// maxMessage is how long a message may be that may quote what somebody sent.
const maxMessage = 1000

// Brief cuts a message to 1,000 bytes, and says with an ellipsis that it did.
func Brief(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "…"
}

// Because returns a copy of e that remembers its cause.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// RetryIn returns a copy of e that says when to try again.
func (e *Error) RetryIn(wait time.Duration) *Error {
	c := *e
	c.Retry = wait
	return &c
}

// Public is the text for the caller: the message, then the id in parentheses where there is one.
func (e *Error) Public() string {
	if e.ID == "" {
		return e.Message
	}
	return e.Message + " (" + e.ID + ")"
}

// Error is the text for the log: the public one and the cause.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Public()
	}
	return e.Public() + ": " + e.Cause.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// As finds the first *Error in err's chain.
func As(err error) (*Error, bool) { return errors.AsType[*Error](err) }

// KindOf is the kind of the first *Error in err's chain, Internal where there is none.
func KindOf(err error) Kind {
	if e, ok := As(err); ok {
		return e.Kind
	}
	return Internal
}

// Is says whether err is of that kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
