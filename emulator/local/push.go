package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/callout-dev/callout/emulator/memnet"
)

// pushTransport carries pushes: those to this process's own functions by a call, without a socket, and any other over the network. Until
// open is called, pushes wait: at a start the backlog is there before the functions are.
type pushTransport struct {
	outside *http.Transport
	workers *memnet.Workers

	opened  chan struct{}
	host    string
	handler http.Handler
}

func newPushTransport(c Config, workers *memnet.Workers) *pushTransport {
	outside := &http.Transport{
		DialContext:         c.DialPush,
		MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, // nothing in an answer but its status is looked at
	}
	return &pushTransport{workers: workers, outside: outside, opened: make(chan struct{})}
}

// open says which base URL is this process's and who answers for it, and lets pushes through. It is called once, when the subscriptions
// have their endpoints of this start.
func (t *pushTransport) open(base string, handler http.Handler) error {
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	t.host, t.handler = u.Host, handler
	close(t.opened)
	return nil
}

// wait returns when pushes are let through, and whether it had to wait.
func (t *pushTransport) wait(ctx context.Context) (waited bool, err error) {
	select {
	case <-t.opened:
		return false, nil
	default:
	}
	select {
	case <-t.opened:
		return true, nil
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// errMoved sends a push back that was made before the subscriptions knew where the functions are now.
var errMoved = errors.New("the endpoint may have moved since the last start")

// RoundTrip implements http.RoundTripper.
func (t *pushTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	waited, err := t.wait(r.Context())
	switch {
	case err != nil:
		return nil, err
	case r.URL.Host != t.host && waited:
		return nil, errMoved
	case r.URL.Host != t.host:
		return t.outside.RoundTrip(r)
	}
	return direct(t.workers, t.handler, r)
}

// direct has a handler of this process answer a request by a call, without a socket.
func direct(workers *memnet.Workers, handler http.Handler, r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI, in.Host = r.URL.RequestURI(), r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := &answer{header: http.Header{}}
	done := make(chan struct{})
	workers.Go(func() {
		defer close(done)
		handler.ServeHTTP(out, in)
	})
	select {
	case <-done:
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		return out.response(r), nil
	case <-r.Context().Done(): // a handler that does not heed its context holds up itself alone
		return nil, r.Context().Err()
	}
}

// apiTransport carries the calls that functions of this process make to its API. The handler is set before the first one.
type apiTransport struct {
	workers *memnet.Workers
	handler http.Handler
}

// RoundTrip implements http.RoundTripper.
func (t *apiTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return direct(t.workers, t.handler, r)
}

// answer collects what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) response(r *http.Request) *http.Response {
	a.WriteHeader(http.StatusOK)
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: r,
	}
}
