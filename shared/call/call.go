// Package call calls one target once and says what happened: it makes the body in the target's form, signs it and sends it. It neither
// retries nor records; a failure is a result, not an error.
package call

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/payload"
	"github.com/callout-dev/callout/shared/signature"
	"github.com/callout-dev/callout/shared/telemetry"
)

// Headers of a delivery (callout.md section 6).
const (
	HeaderDelivery = "Callout-Delivery"
	HeaderAttempt  = "Callout-Attempt"
)

// drainLimit is how much of an answer is read beyond what is kept, so that the connection can be used again.
const drainLimit = 64 << 10

// Caller calls targets.
type Caller struct {
	// Client must be one of shared/egress wherever customers name addresses.
	Client *http.Client
	// UserAgent is the value of that header.
	UserAgent string
	// Payload makes the body of targets that want a JWT or a JWE.
	Payload payload.Maker
}

// Request is one call.
type Request struct {
	Instance action.InstanceID
	Target   action.Target
	// Body is the JSON, which the target gets in its own form.
	Body []byte
	// WebhookID goes into the webhook-id header.
	WebhookID string
	// Delivery and Attempt are set for events only.
	Delivery action.DeliveryID
	Attempt  int
	// Keep is how many bytes of the answer are wanted.
	Keep int64
}

// Result is what happened.
type Result struct {
	Start   time.Time
	Took    time.Duration
	Status  int
	Outcome action.Outcome
	Error   action.ErrorKind
	// Answer is the beginning of the answer's body; Cut says that there was more.
	Answer []byte
	Cut    bool
	// RetryAfter is how long the target asked to be left alone, 0 if it did not.
	RetryAfter time.Duration
	// Cause is the network's word for the log, which may hold the endpoint, or why the body could not be made: then it is one of package
	// payload, and nothing was sent.
	Cause error
}

// Call sends the request and waits for the answer, for the target's timeout at the longest. Making the body is not of that time: that is
// ours.
func (c Caller) Call(ctx context.Context, r Request) Result {
	var err error
	r.Body, err = c.Payload.Make(ctx, r.Instance, r.Target, r.Body)
	start := time.Now()
	if err != nil {
		return Result{Start: start, Outcome: action.Failed, Error: action.ErrorPayload, Cause: err}
	}
	ctx, cancel := context.WithTimeout(ctx, r.Target.Timeout)
	defer cancel()
	ctx, span := telemetry.Start(ctx, http.MethodPost, trace.SpanKindClient)
	defer span.End()
	if span.IsRecording() {
		span.SetAttributes(r.attributes()...)
	}
	result := c.exchange(ctx, r, start)
	result.Start, result.Took = start, time.Since(start)
	result.tell(span)
	return result
}

func (c Caller) exchange(ctx context.Context, r Request, now time.Time) Result {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.Target.Endpoint, bytes.NewReader(r.Body))
	if err != nil {
		return Result{Outcome: action.Failed, Error: action.ErrorConnection, Cause: err}
	}
	c.setHeaders(ctx, request.Header, r, now)
	response, err := c.Client.Do(request)
	if err != nil {
		return failure(err)
	}
	defer response.Body.Close()
	if response.StatusCode < http.StatusOK {
		// After 101 the body is the bare connection, which no context bounds: nothing is read of it.
		return Result{Status: response.StatusCode, Outcome: action.Failed, Error: action.ErrorStatus}
	}
	// Whatever a body is made of, reading it ends with the time.
	defer context.AfterFunc(ctx, func() { _ = response.Body.Close() })()
	result := Result{Status: response.StatusCode, RetryAfter: retryAfter(response.Header.Get("Retry-After"), now)}
	result.Answer, err = io.ReadAll(io.LimitReader(response.Body, r.Keep))
	if err == nil {
		var more int64
		more, err = io.Copy(io.Discard, io.LimitReader(response.Body, drainLimit))
		result.Cut = more > 0
	}
	if err != nil {
		broken := failure(errors.Join(err, ctx.Err()))
		broken.Status, broken.Answer = result.Status, result.Answer
		return broken
	}
	switch {
	case result.Status >= 200 && result.Status <= 299:
		result.Outcome = action.Success
	case result.Status >= 300 && result.Status <= 399:
		result.Outcome, result.Error = action.Failed, action.ErrorRedirect
	default:
		result.Outcome, result.Error = action.Failed, action.ErrorStatus
	}
	return result
}

func (c Caller) setHeaders(ctx context.Context, h http.Header, r Request, now time.Time) {
	var keys []string
	for _, k := range r.Target.KeysAt(now) {
		keys = append(keys, string(k))
	}
	signature.Sign(h, keys, r.WebhookID, now, r.Body)
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", c.UserAgent)
	setTrace(ctx, h)
	if r.Delivery != "" {
		h.Set(HeaderDelivery, string(r.Delivery))
		h.Set(HeaderAttempt, strconv.Itoa(r.Attempt))
	}
}

// maxRetryAfter is the longest that a target may put off its next attempt (callout.md section 7).
const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header in both forms of RFC 9110 section 10.2.3; what it cannot read counts as absent.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	var wait time.Duration
	seconds, err := strconv.ParseUint(value, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// failure tells the kinds of broken calls apart. What net/http says around an error is left out: it quotes the endpoint, whose query may
// hold a secret, and causes go to the log.
func failure(err error) Result {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	r := Result{Outcome: action.Failed, Error: kindOf(err), Cause: err}
	if errors.Is(err, context.DeadlineExceeded) {
		r.Error = action.ErrorTimeout
	}
	if r.Error == action.ErrorTimeout {
		r.Outcome = action.Timeout
	}
	return r
}
