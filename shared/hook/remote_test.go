package hook_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"connectrpc.com/connect"
	"golang.org/x/oauth2"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/hook"
)

// turn is what becomes of one request.
type turn func(*http.Request) (*http.Response, error)

// turns is a transport on which each request has its turn.
type turns struct {
	left []turn
	made int
}

func (t *turns) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	now := t.left[0]
	t.left, t.made = t.left[1:], t.made+1
	return now(r)
}

func replies(status int, contentType, body string) turn {
	return answersWith(status, contentType, func() io.Reader { return strings.NewReader(body) })
}

func answersWith(status int, contentType string, body func() io.Reader) turn {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(body()), Request: r, ContentLength: -1,
			ProtoMajor: 1, ProtoMinor: 1,
		}, nil
	}
}

func breaks(err error) turn { return func(*http.Request) (*http.Response, error) { return nil, err } }

// cut is a body that ends in the middle.
type cut struct{ err error }

func (c cut) Read([]byte) (int, error) { return 0, c.err }

func (c cut) reader() io.Reader { return c }

func rejects(code, id string) string {
	return `{"code":"` + code + `","message":"no","details":[{"type":"zitadel.v1.ErrorDetail","value":"` + id + `"}]}`
}

// TestRepeatOnce: only where no answer came is the question put again, once, and only where the host chose that.
func TestRepeatOnce(t *testing.T) {
	const proto, text = "application/proto", "application/json"
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	// The details' values are base64 of ErrorDetail{id: "EXEC-x"} and of {id: "AUTH-x"}.
	const ofTarget, ofOurs = "CgZFWEVDLXg", "CgZBVVRILXg"
	good := func() turn { return replies(200, proto, "") }
	tests := []struct {
		name  string
		first turn
		made  int // requests with the option; without it, always one
		code  connect.Code
	}{
		{"an answer", good(), 1, 0},
		{"the connection is refused", breaks(refused), 2, connect.CodeUnavailable},
		{"the connection ends without an answer", breaks(io.EOF), 2, connect.CodeUnavailable},
		{"the connection ends within the answer", answersWith(200, proto, cut{io.ErrUnexpectedEOF}.reader), 2, connect.CodeUnknown},
		{"the connection is reset within the answer", answersWith(200, proto, cut{&net.OpError{Op: "read", Err: syscall.ECONNRESET}}.reader), 2, connect.CodeCanceled},
		{"what stands before it finds nobody", replies(502, "text/html", "<h1>Bad gateway</h1>"), 2, connect.CodeUnavailable},
		{"it says unavailable itself", replies(503, text, rejects("unavailable", ofOurs)), 2, connect.CodeUnavailable},
		{"a target said unavailable", replies(503, text, rejects("unavailable", ofTarget)), 1, connect.CodeUnavailable},
		{"it is refused", replies(403, text, rejects("permission_denied", ofOurs)), 1, connect.CodePermissionDenied},
		{"too often", replies(429, text, rejects("resource_exhausted", ofOurs)), 1, connect.CodeResourceExhausted},
		{"the time is over", breaks(context.DeadlineExceeded), 1, connect.CodeDeadlineExceeded},
	}
	for _, tt := range tests {
		for _, options := range [][]hook.Option{nil, {hook.RepeatOnce()}} {
			name, made, code := tt.name, 1, tt.code
			if len(options) > 0 {
				name, made = name+", repeated", tt.made
				if made == 2 {
					code = 0
				}
			}
			t.Run(name, func(t *testing.T) {
				transport := &turns{left: []turn{tt.first, good()}}
				_, err := remote(transport, options...).Invoke(t.Context(), &calloutv1.InvokeRequest{})
				if transport.made != made || err == nil != (code == 0) || err != nil && connect.CodeOf(err) != code {
					t.Errorf("asked %d times, want %d: %v, want %v", transport.made, made, err, code)
				}
			})
		}
	}
}

// TestRepeatEnds: the second failure is the caller's, and so is the first one where the caller has no time left.
func TestRepeatEnds(t *testing.T) {
	transport := &turns{left: []turn{breaks(io.EOF), breaks(io.EOF), breaks(errors.New("a third time"))}}
	if _, err := remote(transport, hook.RepeatOnce()).Invoke(t.Context(), &calloutv1.InvokeRequest{}); connect.CodeOf(err) != connect.CodeUnavailable || transport.made != 2 {
		t.Errorf("asked %d times: %v", transport.made, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	transport = &turns{left: []turn{func(*http.Request) (*http.Response, error) { cancel(); return nil, io.EOF }}}
	if _, err := remote(transport, hook.RepeatOnce()).Invoke(ctx, &calloutv1.InvokeRequest{}); err == nil || transport.made != 1 {
		t.Errorf("asked %d times by a caller who has gone: %v", transport.made, err)
	}
}

func remote(transport http.RoundTripper, options ...hook.Option) *hook.Installation {
	return hook.Remote("http://callout", oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "t"}), &http.Client{Transport: transport}, options...)
}
