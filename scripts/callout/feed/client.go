package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	requestTimeout = time.Minute
	maxAttempts    = 8
	maxAnswer      = 1 << 20
	// maxRetryAfter is the longest that this program waits because a server says so.
	maxRetryAfter = 2 * time.Minute
)

// Client publishes events over HTTP.
type Client struct {
	// HTTP adds the token.
	HTTP *http.Client
	// API has no slash at its end.
	API string
	// Again is told before each repetition what the last attempt came to and how long it waits. It may be nil.
	Again func(cause error, wait time.Duration)
}

// Refusal is the API's answer to events that it did not accept.
type Refusal struct {
	// Status is that of HTTP.
	Status int
	// Message is the API's, with its id.
	Message    string
	retryAfter time.Duration
}

func (r *Refusal) Error() string { return r.Message }

// Index says which of the events of the request the refusal is about, and what is wrong with that one.
func (r *Refusal) Index() (index int, message string, ok bool) {
	match := atIndex.FindStringSubmatch(r.Message)
	if match == nil || !r.aboutEvents() {
		return 0, "", false
	}
	index, err := strconv.Atoi(match[1])
	return index, match[2], err == nil
}

// aboutEvents tells what is wrong with the events from what is wrong with anything else.
func (r *Refusal) aboutEvents() bool {
	return r.Status == http.StatusBadRequest || r.Status == http.StatusRequestEntityTooLarge
}

var atIndex = regexp.MustCompile(`(?s)^events\[(\d{1,6})\]: (.*)$`)

// Publish sends one request and gives the ids of its events. It repeats the request, with growing pauses or as long as the API asks for,
// while the API is busy (429), away (502, 503, 504) or breaks off; the events must have ids, or the request a key, so that repeating adds
// nothing. The error is a *Refusal where the API has answered.
func (c *Client) Publish(ctx context.Context, contentType string, body []byte, key string) ([]string, error) {
	attempt := func() ([]string, error) {
		ids, err := c.post(ctx, contentType, body, key)
		return ids, c.fate(ctx, err)
	}
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.MaxInterval = 500*time.Millisecond, 2, 30*time.Second
	options := []backoff.RetryOption{backoff.WithBackOff(pauses), backoff.WithMaxTries(maxAttempts)}
	if c.Again != nil {
		options = append(options, backoff.WithNotify(func(err error, wait time.Duration) { c.Again(err, wait) }))
	}
	return backoff.Retry(ctx, attempt, options...)
}

// fate marks what repeating does not help.
func (c *Client) fate(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		switch refusal.Status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			return backoff.Permanent(err)
		}
		if refusal.retryAfter > maxRetryAfter {
			return backoff.Permanent(err)
		}
		if refusal.retryAfter > 0 {
			return &later{RetryAfterError: backoff.RetryAfterError{Duration: refusal.retryAfter}, refusal: refusal}
		}
		return err
	}
	if brokenOff(err) {
		return err
	}
	return backoff.Permanent(err)
}

// brokenOff says whether a connection that was there is gone, or was too slow. That nobody is there at all is better said at once.
func brokenOff(err error) bool {
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Op != "dial"
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// later is a refusal with the time when the API wants to be asked again.
type later struct {
	backoff.RetryAfterError
	refusal *Refusal
}

func (l *later) Error() string   { return l.refusal.Error() }
func (l *later) Unwrap() []error { return []error{l.refusal, &l.RetryAfterError} }

func (c *Client) post(ctx context.Context, contentType string, body []byte, key string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.API+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	request.Header.Set("Content-Type", contentType)
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("publish: read the answer: %w", err)
	}
	if response.StatusCode != http.StatusAccepted {
		return nil, refusalOf(response, answer)
	}
	var accepted struct {
		IDs []string `json:"ids"`
	}
	if err := json.Unmarshal(answer, &accepted); err != nil {
		return nil, fmt.Errorf("publish: %s does not answer as a Callout API does", c.API)
	}
	return accepted.IDs, nil
}

func refusalOf(response *http.Response, answer []byte) *Refusal {
	var body struct {
		Message string `json:"message"`
	}
	r := &Refusal{Status: response.StatusCode}
	if json.Unmarshal(answer, &body) == nil && body.Message != "" {
		r.Message = body.Message
	} else { // something before the API has answered
		r.Message = fmt.Sprintf("the answer was %s", response.Status)
	}
	value := response.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		r.retryAfter = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		r.retryAfter = time.Until(at)
	}
	return r
}
