package local

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// pushTransport carries pushes: those to this process's own functions by a call, without a socket, and any other over the network.
type pushTransport struct {
	outside *http.Transport

	mu      sync.RWMutex
	host    string
	handler http.Handler
}

func newPushTransport() *pushTransport {
	return &pushTransport{outside: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second}}
}

// set says which base URL is this process's, and who answers for it.
func (t *pushTransport) set(base string, handler http.Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if u, err := url.Parse(base); err == nil {
		t.host, t.handler = u.Host, handler
	}
}

// RoundTrip implements http.RoundTripper.
func (t *pushTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.RLock()
	host, handler := t.host, t.handler
	t.mu.RUnlock()
	if r.URL.Host != host {
		return t.outside.RoundTrip(r)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RequestURI, in.Host = r.URL.RequestURI(), r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := &answer{header: http.Header{}}
	handler.ServeHTTP(out, in)
	return out.response(r), r.Context().Err()
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
