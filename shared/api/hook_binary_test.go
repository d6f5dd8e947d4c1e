package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
	"github.com/callout-dev/callout/shared/logging"
)

// hooksByName answers by the method's name.
type hooksByName struct{}

func (hooksByName) Run(ctx context.Context, h engine.Hook) (engine.Result, error) {
	switch h.FullMethod {
	case "/a.A/Refused":
		return engine.Result{}, errs.New(errs.PermissionDenied, "EXEC-no", "not from there")
	case "/a.A/Broken":
		return engine.Result{}, io.ErrClosedPipe
	case "/a.A/Waits":
		<-ctx.Done()
		return engine.Result{}, ctx.Err()
	}
	return engine.Result{Execution: "request", Message: json.RawMessage(`{"changed":true}`)}, nil
}

// anyone lets everybody in who has a token.
type anyone struct{ roles auth.Roles }

func (a anyone) Authenticate(_ context.Context, authorization, _ string) (auth.Caller, error) {
	if authorization == "" {
		return auth.Caller{}, errs.New(errs.Unauthenticated, "", "auth header missing")
	}
	return a.roles.Caller("someone", action.DefaultInstance, "IAM_OWNER"), nil
}

// TestBinaryFace: what a plain call is answered by hand is what Connect's handler answers to it, and that handler has what is not plain. Beside
// each plain call stands the same one with a header that only Connect's handler understands.
func TestBinaryFace(t *testing.T) {
	handler := Border{Guard: anyone{auth.DefaultRoles()}, Log: logging.Discard()}.ServeHooks(hooksByName{})
	message := func(method, request string) string {
		m := &calloutv1.InvokeRequest{Hook: &calloutv1.InvokeRequest_Request{Request: &calloutv1.RequestHook{FullMethod: method, RequestJson: request}}}
		if method == "/a.A/Never" {
			m.Timeout = durationpb.New(0)
		}
		text, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	tests := []struct {
		name, body, token string
		headers           []string
		status            int
		want              string // within the answer
	}{
		{name: "a good call", body: message("/a.A/M", `{}`), token: "t", status: 200, want: `{"changed":true}`},
		{name: "no token", body: message("/a.A/M", `{}`), status: 401, want: "auth header missing"},
		{name: "refused by a target", body: message("/a.A/Refused", `{}`), token: "t", status: 403, want: "not from there"},
		{name: "our own fault", body: message("/a.A/Broken", `{}`), token: "t", status: 500, want: internalText},
		{name: "a time of nothing", body: message("/a.A/Never", `{}`), token: "t", status: 400, want: "timeout must be"},
		{name: "too late", body: message("/a.A/Waits", `{}`), token: "t", headers: []string{"Connect-Timeout-Ms", "1"}, status: 504, want: "deadline_exceeded"},
		{name: "a time that is no number", body: message("/a.A/M", `{}`), token: "t", headers: []string{"Connect-Timeout-Ms", "soon"}, status: 400, want: "invalid_argument"},
		{name: "no message", body: "\xff\xff", token: "t", status: 400, want: "invalid_argument"},
		{name: "nothing asked", body: "", token: "t", status: 200},
		{name: "too large", body: message("/a.A/M", `"`+strings.Repeat("x", MaxBody)+`"`), token: "t", status: 429, want: "resource_exhausted"},
		{name: "an encoding nobody knows", body: "x", token: "t", headers: []string{"Content-Encoding", "rot13"}, status: 501, want: "unimplemented"},
		{name: "another version", body: message("/a.A/M", `{}`), token: "t", headers: []string{"Connect-Protocol-Version", "2"}, status: 400, want: "invalid_argument"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ask := func(more ...string) *httptest.ResponseRecorder {
				r := httptest.NewRequest(http.MethodPost, calloutv1connect.HookServiceInvokeProcedure, strings.NewReader(tt.body))
				headers := append([]string{"Content-Type", "application/proto", "Connect-Protocol-Version", "1"}, append(tt.headers, more...)...)
				for i := 0; i < len(headers); i += 2 {
					r.Header.Set(headers[i], headers[i+1])
				}
				if tt.token != "" {
					r.Header.Set("Authorization", "Bearer "+tt.token)
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				return w
			}
			plain := ask()
			if plain.Code != tt.status || !strings.Contains(plain.Body.String(), tt.want) {
				t.Errorf("answered %d %q, want %d with %q", plain.Code, plain.Body, tt.status, tt.want)
			}
			if len(tt.headers) == 0 || tt.headers[0] == "Connect-Timeout-Ms" {
				theirs := ask("Content-Encoding", "identity")
				if diff := cmp.Diff([]any{theirs.Code, theirs.Body.String(), theirs.Header().Get("Content-Type")},
					[]any{plain.Code, plain.Body.String(), plain.Header().Get("Content-Type")}); diff != "" {
					t.Errorf("Connect's handler answers differently (-theirs +ours):\n%s", diff)
				}
			}
		})
	}
}
