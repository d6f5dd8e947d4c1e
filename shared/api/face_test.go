package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	zitadelv1 "github.com/callout-dev/callout/shared/gen/zitadel/v1"
	"github.com/callout-dev/callout/shared/logging"
)

// fakeTargets is Targets whose answer the test decides.
type fakeTargets struct {
	PublicKeys // nil: its tests have the real ones
	err        error
	created    []action.Target
	change     action.TargetChange
}

func (f *fakeTargets) Create(_ context.Context, _ auth.Caller, t action.Target) (action.Target, error) {
	f.created = append(f.created, t)
	t.ID, t.Created, t.SigningKeys = "t1", time.Unix(1735787045, 0), []action.SigningKey{{Value: "key"}}
	return t, f.err
}

func (f *fakeTargets) Update(_ context.Context, _ auth.Caller, _ action.TargetID, c action.TargetChange) (action.Target, bool, error) {
	f.change = c
	return action.Target{Changed: time.Unix(1735787045, 0), SigningKeys: []action.SigningKey{{Value: "key"}}}, c.RotateKey != nil, f.err
}

func (f *fakeTargets) Delete(context.Context, auth.Caller, action.TargetID) (time.Time, error) {
	return time.Time{}, f.err
}

func (f *fakeTargets) Get(_ context.Context, _ auth.Caller, id action.TargetID) (action.Target, error) {
	return action.Target{ID: id, Type: action.Async}, f.err
}

func (f *fakeTargets) List(context.Context, auth.Caller, action.TargetQuery) ([]action.Target, int, error) {
	return []action.Target{{ID: "t1"}}, 3, f.err
}

// roleGuard refuses as its token says, and lets any other in as somebody without a role.
type roleGuard struct{}

func (roleGuard) Authenticate(_ context.Context, authorization, _ string) (auth.Caller, error) {
	switch authorization {
	case "":
		return auth.Caller{}, errs.New(errs.Unauthenticated, "", "auth header missing")
	case "Bearer down":
		return auth.Caller{}, errs.New(errs.Unavailable, "", "the issuer does not answer").Because(errors.New("secret address"))
	case "Bearer bad":
		return auth.Caller{}, errs.New(errs.Unauthenticated, "AUTH-7fs1e", "Token is invalid")
	}
	return auth.Caller{Subject: "u", Instance: "default"}, nil
}

// targetHandler serves operations to whom guard lets in.
func targetHandler(t *testing.T, operations Targets, guard Guard, log *slog.Logger) http.Handler {
	t.Helper()
	h, err := Border{Guard: guard, Log: log}.ServeTargets(operations)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func send(h http.Handler, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer owner")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wantJSON compares without regard to white space, which protojson varies on purpose.
func wantJSON(t *testing.T, w *httptest.ResponseRecorder, code int, want string) {
	t.Helper()
	var got, wanted any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Errorf("%d %s: %v", w.Code, w.Body, err)
		return
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" || w.Code != code {
		t.Errorf("status %d, want %d (-want +got):\n%s", w.Code, code, diff)
	}
}

const create = `{"name":"n","restCall":{},"timeout":"10s","endpoint":"https://a","unknown":{"x":1}}`

func TestRESTAndConnectAreTwins(t *testing.T) {
	operations := &fakeTargets{}
	h := targetHandler(t, operations, ownerGuard(t), logging.Discard())
	const created = `{"id":"t1","creationDate":"2025-01-02T03:04:05Z","signingKey":"key"}`
	const service = "/zitadel.action.v2.ActionService/"
	wantJSON(t, send(h, "POST", "/v2/actions/targets", create), 200, created)
	wantJSON(t, send(h, "POST", service+"CreateTarget", create), 200, created)
	if diff := cmp.Diff(operations.created[0], operations.created[1]); diff != "" {
		t.Errorf("they read differently:\n%s", diff)
	}
	wantJSON(t, send(h, "POST", "/v2/actions/targets/t1", `{"expiration_signing_key":"0s"}`), 200, `{"changeDate":"2025-01-02T03:04:05Z","signingKey":"key"}`)
	if operations.change.RotateKey == nil {
		t.Error("the presence of 0s was lost")
	}
	wantJSON(t, send(h, "POST", "/v2/actions/targets/t1", `{}`), 200, `{"changeDate":"2025-01-02T03:04:05Z"}`)
	wantJSON(t, send(h, "DELETE", "/v2/actions/targets/t1", ``), 200, `{}`)
	wantJSON(t, send(h, "GET", "/v2/actions/targets/t1", ``), 200, `{"target":{"id":"t1","creationDate":"0001-01-01T00:00:00Z","changeDate":"0001-01-01T00:00:00Z","restAsync":{},"timeout":"0s"}}`)
	w := send(h, "POST", "/v2/actions/targets/search", `{"pagination":{"limit":1}}`)
	wantJSON(t, w, 200, `{"pagination":{"totalResult":"3","appliedLimit":"1"},"targets":[{"id":"t1","creationDate":"0001-01-01T00:00:00Z","changeDate":"0001-01-01T00:00:00Z","timeout":"0s"}]}`)
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("answers with keys may be cached")
	}
}

func TestErrorShapes(t *testing.T) {
	const service = "/zitadel.action.v2.ActionService/CreateTarget"
	detail, err := proto.Marshal(&zitadelv1.ErrorDetail{Id: "COMMAND-39f35d8uri", Message: "Target has no timeout"})
	if err != nil {
		t.Fatal(err)
	}
	h := targetHandler(t, &fakeTargets{err: errs.New(errs.InvalidArgument, "COMMAND-39f35d8uri", "Target has no timeout").Because(errors.New("secret"))}, ownerGuard(t), logging.Discard())
	wantJSON(t, send(h, "POST", "/v2/actions/targets", create), 400, `{"code":3,"message":"Target has no timeout (COMMAND-39f35d8uri)","details":[{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"COMMAND-39f35d8uri","message":"Target has no timeout"}]}`)
	wantJSON(t, send(h, "POST", service, create), 400, `{"code":"invalid_argument","message":"Target has no timeout (COMMAND-39f35d8uri)","details":[{"type":"zitadel.v1.ErrorDetail","value":"`+
		base64.RawStdEncoding.EncodeToString(detail)+`","debug":{"id":"COMMAND-39f35d8uri","message":"Target has no timeout"}}]}`)

	plain := `{"code":3,"message":"invalid CreateTargetRequest.Name: value length must be between 1 and 1000 runes, inclusive"}`
	wantJSON(t, send(h, "POST", "/v2/actions/targets", `{}`), 400, plain)
	w := send(h, "POST", "/v2/actions/targets", `{"name":`)
	if w.Code != 400 || !strings.Contains(strings.ReplaceAll(w.Body.String(), " ", ""), `"code":3`) {
		t.Errorf("half a body: %d %s", w.Code, w.Body)
	}
	wantJSON(t, send(h, "PUT", "/v2/actions/targets/t1", `{}`), 405, `{"code":12,"message":"Method Not Allowed"}`)
	wantJSON(t, send(h, "POST", "/v2/actions/nothing", `{}`), 404, `{"code":5,"message":"Not Found"}`)
	wantJSON(t, send(h, "POST", "/v2/actions/executions/search", `{}`), 501, `{"code":12,"message":"method ListExecutions not implemented"}`)

	large := `{"name":"` + strings.Repeat("x", MaxBody) + `"}`
	wantJSON(t, send(h, "POST", "/v2/actions/targets", large), 413, fmt.Sprintf(`{"code":8,"message":"the body is larger than %d bytes"}`, MaxBody))
	if w := send(h, "POST", service, large); w.Code != 429 || !strings.Contains(w.Body.String(), `"resource_exhausted"`) {
		t.Errorf("Connect, too large: %d %s", w.Code, w.Body)
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	h := targetHandler(t, &fakeTargets{}, roleGuard{}, logging.Discard())
	const service = "/zitadel.action.v2.ActionService/GetTarget"
	invalid := `[{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"AUTH-7fs1e","message":"Token is invalid"}]`
	wantJSON(t, send(h, "GET", "/v2/actions/targets/t", "", "Authorization", ""), 401, `{"code":16,"message":"auth header missing"}`)
	wantJSON(t, send(h, "GET", "/v2/actions/targets/t", "", "Authorization", "Bearer bad"), 401, `{"code":16,"message":"Token is invalid (AUTH-7fs1e)","details":`+invalid+`}`)
	wantJSON(t, send(h, "GET", "/v2/actions/targets/t", "", "Authorization", "Bearer down"), 503, `{"code":14,"message":"the issuer does not answer"}`)
	wantJSON(t, send(h, "POST", service, `{}`, "Authorization", ""), 401, `{"code":"unauthenticated","message":"auth header missing"}`)
	wantJSON(t, send(h, "POST", "/nowhere", `{}`, "Authorization", ""), 401, `{"code":16,"message":"auth header missing"}`)
	w := send(h, "POST", service, "", "Authorization", "", "Content-Type", "application/grpc+proto")
	if trailer := w.Header().Get("Grpc-Status"); w.Code != 200 || trailer != "16" {
		t.Errorf("gRPC: %d, status %q", w.Code, trailer)
	}
	// A caller without any role, in every operation.
	for path, method := range map[string]string{"/v2/actions/targets": "POST", "/v2/actions/targets/t": "GET", "/v2/actions/targets/search": "POST"} {
		if w := send(h, method, path, create); w.Code != 404 || !strings.Contains(w.Body.String(), "AUTHZ-cdgFk") {
			t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
}

func TestStatuses(t *testing.T) {
	for _, tt := range []struct {
		err     error
		code    codes.Code
		http    int
		message string
	}{
		{errs.New(errs.FailedPrecondition, "", "x"), codes.FailedPrecondition, 400, "x"},
		{errs.New(errs.NotFound, "", "x"), codes.NotFound, 404, "x"},
		{errs.New(errs.AlreadyExists, "", "x"), codes.AlreadyExists, 409, "x"},
		{errs.New(errs.PermissionDenied, "", "x"), codes.PermissionDenied, 403, "x"},
		{errs.New(errs.Unauthenticated, "", "x"), codes.Unauthenticated, 401, "x"},
		{errs.New(errs.ResourceExhausted, "", "x"), codes.ResourceExhausted, 429, "x"},
		{errs.New(errs.TooLarge, "", "x"), codes.ResourceExhausted, 413, "x"},
		{errs.New(errs.DeadlineExceeded, "", "x"), codes.DeadlineExceeded, 504, "x"},
		{errs.New(errs.Canceled, "", "x"), codes.Canceled, 499, "x"},
		{errs.New(errs.Unimplemented, "", "x"), codes.Unimplemented, 501, "x"},
		{errs.New(errs.Unavailable, "", "x"), codes.Unavailable, 503, "x"},
		{errs.New(errs.Unavailable, "", "the disk is full").Because(errors.New("secret")), codes.Unavailable, 503, "the disk is full"},
		{errs.New(errs.Internal, "", "read events").Because(errors.New("secret")), codes.Internal, 500, "An internal error occurred"},
		{errs.New(errs.Internal, "EXEC-1", "Told"), codes.Internal, 500, "Told (EXEC-1)"},
		{errs.New(errs.Unknown, "", "secret"), codes.Unknown, 500, "An internal error occurred"},
		{fmt.Errorf("wrapped: %w", errs.New(errs.NotFound, "", "x")), codes.NotFound, 404, "x"},
		{errors.New("secret"), codes.Internal, 500, "An internal error occurred"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, 504, "the time ran out"},
		{fmt.Errorf("secret: %w", context.Canceled), codes.Canceled, 499, "the call was canceled"},
		{status.Error(codes.InvalidArgument, "proto: syntax error"), codes.InvalidArgument, 400, "proto: syntax error"},
		{status.Error(codes.NotFound, "secret document projects/p"), codes.Internal, 500, "An internal error occurred"},
		{fmt.Errorf("read: %w", status.Error(codes.PermissionDenied, "secret project")), codes.Internal, 500, "An internal error occurred"},
	} {
		w := httptest.NewRecorder()
		WriteError(w, tt.err)
		var body struct {
			Code    codes.Code
			Message string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != tt.http || body.Message != tt.message || int(body.Code) != int(tt.code) {
			t.Errorf("%v: got %d %s, %v", tt.err, w.Code, w.Body, err)
		}
		c := new(connect.Error)
		if !errors.As(toConnect(tt.err), &c) || c.Code() != connect.Code(tt.code) || c.Message() != tt.message {
			t.Errorf("%v: Connect says %v", tt.err, toConnect(tt.err))
		}
	}
}

func TestOnlyOurFaultsAreLogged(t *testing.T) {
	var log bytes.Buffer
	l := logging.New(&log, logging.Text, slog.LevelDebug)
	logFault(t.Context(), l, errs.New(errs.InvalidArgument, "", "theirs"))
	logFault(t.Context(), l, errs.New(errs.Internal, "", "read events").Because(errors.New("disk on fire")))
	if strings.Contains(log.String(), "theirs") || !strings.Contains(log.String(), "disk on fire") {
		t.Errorf("got %s", &log)
	}
}

// fakeExecutions is Executions.
type fakeExecutions struct {
	set     time.Time
	targets []action.TargetID
}

func (f *fakeExecutions) Set(_ context.Context, _ auth.Caller, _ action.Condition, targets []action.TargetID) (time.Time, error) {
	f.targets = targets
	return f.set, nil
}

func (f *fakeExecutions) List(context.Context, auth.Caller, action.ExecutionQuery) ([]action.Execution, int, error) {
	return []action.Execution{{Condition: action.Condition{Kind: action.Event, Scope: action.Group, Name: "user"}, Targets: []action.TargetID{"b", "a"}, Created: time.Unix(1735787045, 0), Changed: time.Unix(1735787046, 0)}}, 7, nil
}

func (f *fakeExecutions) Names(context.Context, auth.Caller) (action.Names, error) {
	return action.Names{Services: []string{"s"}, Methods: []string{"m"}, Functions: []string{"f"}}, nil
}

func TestExecutionsOverREST(t *testing.T) {
	operations := &fakeExecutions{set: time.Unix(1735787045, 0)}
	h, err := Border{Guard: ownerGuard(t), Log: logging.Discard()}.ServeExecutions(operations)
	if err != nil {
		t.Fatal(err)
	}
	const set = `{"condition":{"event":{"group":"user"}},"targets":["b","a"]}`
	wantJSON(t, send(h, "PUT", "/v2/actions/executions", set), 200, `{"setDate":"2025-01-02T03:04:05Z"}`)
	if diff := cmp.Diff([]action.TargetID{"b", "a"}, operations.targets); diff != "" {
		t.Errorf("the order (-want +got):\n%s", diff)
	}
	operations.set = time.Time{}
	wantJSON(t, send(h, "PUT", "/v2/actions/executions", `{"condition":{"event":{"group":"user"}}}`), 200, `{"setDate":"0001-01-01T00:00:00Z"}`)
	wantJSON(t, send(h, "PUT", "/v2/actions/executions", `{}`), 400, `{"code":3,"message":"Execution condition is invalid (ACTION-5r5Ju)","details":[{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"ACTION-5r5Ju","message":"Execution condition is invalid"}]}`)
	wantJSON(t, send(h, "POST", "/v2/actions/executions/search", `{}`), 200,
		`{"pagination":{"totalResult":"7","appliedLimit":"100"},"executions":[{"condition":{"event":{"group":"user"}},"creationDate":"2025-01-02T03:04:05Z","changeDate":"2025-01-02T03:04:06Z","targets":["b","a"]}]}`)
	anybody, err := Border{Guard: roleGuard{}, Log: logging.Discard()}.ServeExecutions(operations)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"functions": `{"functions":["f"]}`, "methods": `{"methods":["m"]}`, "services": `{"services":["s"]}`} {
		wantJSON(t, send(anybody, "GET", "/v2/actions/executions/"+path, ""), 200, want) // names want no permission
	}
	if w := send(anybody, "PUT", "/v2/actions/executions", set); w.Code != 404 {
		t.Errorf("set by anybody: %d %s", w.Code, w.Body)
	}
}
