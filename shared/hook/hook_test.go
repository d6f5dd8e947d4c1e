package hook_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/callout-dev/callout/emulator/memnet"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	"github.com/callout-dev/callout/shared/gen/zitadel/action/v2/actionv2connect"
	zitadelv1 "github.com/callout-dev/callout/shared/gen/zitadel/v1"
	"github.com/callout-dev/callout/shared/hook"
)

// asked is an engine that answers as it is told, and keeps what it was asked.
type asked struct {
	request, response func(message string) (string, error)
	calls             []*calloutv1.TargetCall
	got               []*calloutv1.InvokeRequest
}

func (a *asked) Invoke(_ context.Context, r *calloutv1.InvokeRequest) (*calloutv1.InvokeResponse, error) {
	a.got = append(a.got, r)
	answer := &calloutv1.InvokeResponse{Execution: "request", Calls: a.calls}
	if q := r.GetRequest(); q != nil {
		text, err := a.request(q.GetRequestJson())
		answer.Message = &calloutv1.InvokeResponse_RequestJson{RequestJson: text}
		return answer, err
	}
	text, err := a.response(r.GetResponse().GetResponseJson())
	answer.Message = &calloutv1.InvokeResponse_ResponseJson{ResponseJson: text}
	return answer, err
}

func same(m string) (string, error) { return m, nil }

func becomes(text string) func(string) (string, error) {
	return func(string) (string, error) { return text, nil }
}

func fails(code connect.Code, id string) func(string) (string, error) {
	return func(string) (string, error) {
		e := connect.NewError(code, errors.New("no"))
		if id != "" {
			detail, err := connect.NewErrorDetail(&zitadelv1.ErrorDetail{Id: id, Message: "no"})
			if err != nil {
				return "", err
			}
			e.AddDetail(detail)
		}
		return "", e
	}
}

// host is an API with one method, CreateTarget, over three faces.
type host struct {
	actionv2.UnimplementedActionServiceServer
	handled []string // the names that it was asked for
	err     error
}

func (h *host) CreateTarget(_ context.Context, r *actionv2.CreateTargetRequest) (*actionv2.CreateTargetResponse, error) {
	h.handled = append(h.handled, r.GetName())
	return &actionv2.CreateTargetResponse{Id: "id of " + r.GetName()}, h.err
}

// connectHost is the same for Connect, which has an interface of its own.
type connectHost struct {
	actionv2connect.UnimplementedActionServiceHandler
	*host
}

func (h connectHost) CreateTarget(ctx context.Context, r *actionv2.CreateTargetRequest) (*actionv2.CreateTargetResponse, error) {
	return h.host.CreateTarget(ctx, r)
}

const method = "/zitadel.action.v2.ActionService/CreateTarget"

// face calls the host's method by name and gives the id that comes back, or the code.
type face func(t *testing.T, name string) (id string, code codes.Code)

// faces are the ways to reach a host, each with its middleware.
func faces(h *hook.Host, api *host) map[string]func(*testing.T) face {
	return map[string]func(*testing.T) face{
		"gRPC": func(t *testing.T) face {
			server := grpc.NewServer(grpc.UnaryInterceptor(h.UnaryServerInterceptor()))
			actionv2.RegisterActionServiceServer(server, api)
			listener := memnet.Listen("host")
			go func() { _ = server.Serve(listener) }()
			t.Cleanup(server.Stop)
			conn, err := grpc.NewClient("passthrough:///host", grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx, "", "") }))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			return func(t *testing.T, name string) (string, codes.Code) {
				ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "203.0.113.7", "authorization", "s3cret", "cookie", "s3cret")
				answer, err := actionv2.NewActionServiceClient(conn).CreateTarget(ctx, &actionv2.CreateTargetRequest{Name: name})
				return answer.GetId(), status.Code(err)
			}
		},
		"Connect": func(t *testing.T) face {
			mux := http.NewServeMux()
			mux.Handle(actionv2connect.NewActionServiceHandler(connectHost{host: api}, connect.WithInterceptors(h.UnaryInterceptor())))
			return func(t *testing.T, name string) (string, codes.Code) {
				client := actionv2connect.NewActionServiceClient(&http.Client{Transport: direct{mux}}, "http://host")
				answer, err := client.CreateTarget(t.Context(), &actionv2.CreateTargetRequest{Name: name})
				if err != nil {
					return "", codes.Code(connect.CodeOf(err))
				}
				return answer.GetId(), codes.OK
			}
		},
		"net/http": func(t *testing.T) face {
			handler := h.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				var m actionv2.CreateTargetRequest
				if err := (protojson.UnmarshalOptions{}).Unmarshal(body, &m); err != nil {
					t.Error(err)
				}
				answer, err := api.CreateTarget(r.Context(), &m)
				if err != nil {
					http.Error(w, "no", http.StatusTeapot)
					return
				}
				w.Header().Set("Content-Type", "application/json")
				text, _ := protojson.Marshal(answer)
				_, _ = w.Write(text)
			}))
			return func(t *testing.T, name string) (string, codes.Code) {
				r := httptest.NewRequest("POST", method, strings.NewReader(`{"name":"`+name+`"}`))
				r.Header = http.Header{"Content-Type": {"application/json"}, "X-Forwarded-For": {"203.0.113.7"}, "Authorization": {"s3cret"}, "Cookie": {"s3cret"}}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					var s struct{ Code codes.Code }
					if w.Code == http.StatusTeapot {
						return "", codes.Unknown
					}
					unmarshal(t, w.Body.Bytes(), &s)
					return "", s.Code
				}
				var answer actionv2.CreateTargetResponse
				if err := protojson.Unmarshal(w.Body.Bytes(), &answer); err != nil {
					t.Fatal(err)
				}
				return answer.GetId(), codes.OK
			}
		},
	}
}

// direct calls a handler without a network.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r.Header.Set("X-Forwarded-For", "203.0.113.7")
	r.Header.Set("Authorization", "s3cret")
	d.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestHooksAroundAHandler: what targets change is handled and answered, whatever face the host has.
func TestHooksAroundAHandler(t *testing.T) {
	tests := []struct {
		name              string
		request, response func(string) (string, error)
		host              error
		open              bool
		handled           string // "" if the handler must not run
		id                string
		code              codes.Code
		asked             int
		log               string
	}{
		{name: "nothing changes", request: same, response: same, handled: "kim", id: "id of kim", asked: 2},
		{name: "the request is changed", request: becomes(`{"name":"lee"}`), response: same, handled: "lee", id: "id of lee", asked: 2},
		{name: "fields left out are cleared", request: becomes(`{}`), response: same, handled: "", id: "id of ", asked: 2},
		{name: "the response is changed", request: same, response: becomes(`{"id":"x"}`), handled: "kim", id: "x", asked: 2},
		{name: "the request is rejected", request: fails(connect.CodePermissionDenied, "EXEC-reUaUZCzCp"), code: codes.PermissionDenied, asked: 1},
		{name: "a request is rejected, fail open or not", request: fails(connect.CodePermissionDenied, "EXEC-reUaUZCzCp"), open: true, code: codes.PermissionDenied, asked: 1},
		{name: "the response is rejected", request: same, response: fails(connect.CodeFailedPrecondition, "EXEC-dra6yamk98"), handled: "kim", code: codes.FailedPrecondition, asked: 2},
		{name: "the handler fails", request: same, host: connect.NewError(connect.CodeUnknown, errors.New("of the host")), handled: "kim", code: codes.Unknown, asked: 1},
		{name: "the engine cannot be asked", request: fails(connect.CodeUnavailable, ""), code: codes.Unavailable, asked: 1, log: "the call is stopped"},
		{name: "our own token is refused", request: fails(connect.CodeUnauthenticated, "AUTH-7fs1e"), code: codes.Unavailable, asked: 1, log: "the call is stopped"},
		{name: "the engine cannot be asked, fail open", request: fails(connect.CodeUnavailable, ""), response: fails(connect.CodeInternal, ""), open: true, handled: "kim", id: "id of kim", asked: 2, log: "the call goes on"},
	}
	for _, tt := range tests {
		for name := range faces(nil, nil) {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				var log bytes.Buffer
				engine, api := &asked{request: tt.request, response: tt.response}, &host{err: tt.host}
				h := &hook.Host{
					Engine: engine, FailOpen: tt.open, Log: slog.New(slog.NewTextHandler(&log, nil)),
					Caller: func(context.Context) hook.Caller { return hook.Caller{OrgID: "o", UserID: "u"} },
				}
				id, code := faces(h, api)[name](t)(t, "kim")
				if id != tt.id || code != tt.code {
					t.Errorf("%q, %s", id, code)
				}
				if ran := len(api.handled) == 1; ran != (tt.id != "" || tt.handled != "") || ran && api.handled[0] != tt.handled {
					t.Errorf("handled %q", api.handled)
				}
				if len(engine.got) != tt.asked || !strings.Contains(log.String(), tt.log) {
					t.Errorf("asked %d times; log %s", len(engine.got), &log)
				}
				q := engine.got[0].GetRequest()
				if q.GetFullMethod() != method || q.GetOrgId() != "o" || q.GetUserId() != "u" || q.GetRequestJson() != `{"name":"kim"}` {
					t.Errorf("asked %v", q)
				}
				if q.GetHeaders()["X-Forwarded-For"].GetValues()[0].GetStringValue() != "203.0.113.7" || strings.Contains(q.String(), "s3cret") {
					t.Errorf("headers %v", q.GetHeaders())
				}
				if tt.asked == 2 {
					r := engine.got[1].GetResponse()
					if want, _ := tt.request(`{"name":"kim"}`); tt.open == false && r.GetRequestJson() != want || r.GetResponseJson() == "" {
						t.Errorf("asked %v", r)
					}
				}
			})
		}
	}
}

// TestAnswerThatIsNoMessage: where nobody checked it before, the host does.
func TestAnswerThatIsNoMessage(t *testing.T) {
	for _, name := range []string{"gRPC", "Connect"} {
		engine, api := &asked{request: becomes(`{"nome":"kim"}`), response: same}, &host{}
		if _, code := faces(&hook.Host{Engine: engine}, api)[name](t)(t, "kim"); code != codes.FailedPrecondition || len(api.handled) > 0 {
			t.Errorf("%s: %s, handled %q", name, code, api.handled)
		}
	}
}

// TestFailuresThatWentOnAreLogged says which target it was.
func TestFailuresThatWentOnAreLogged(t *testing.T) {
	var log bytes.Buffer
	engine := &asked{request: same, response: same, calls: []*calloutv1.TargetCall{
		{TargetId: "good", Outcome: "success"}, {TargetId: "async", Outcome: "queued"}, {TargetId: "bad", Outcome: "failed", StatusCode: 500},
	}}
	h := &hook.Host{Engine: engine, Log: slog.New(slog.NewTextHandler(&log, nil))}
	faces(h, &host{})["net/http"](t)(t, "kim")
	if text := log.String(); strings.Count(text, "a target failed; the call goes on") != 2 || !strings.Contains(text, "target=bad outcome=failed status=500") || strings.Contains(text, "good") {
		t.Error(text)
	}
}

// TestBodiesOverHTTP: what targets cannot see is refused, and what has no method passes.
func TestBodiesOverHTTP(t *testing.T) {
	tests := []struct {
		name, path, contentType, body string
		status, asked                 int
	}{
		{"JSON", method, "application/json", `{}`, 200, 2},
		{"JSON of its own kind", method, "application/vnd.x+json; charset=utf-8", `[1]`, 200, 2},
		{"nothing", method, "", "", 200, 2},
		{"a form", method, "application/x-www-form-urlencoded", "a=b", 400, 0},
		{"no JSON", method, "application/json", "{", 400, 0},
		{"too much", method, "application/json", `"` + strings.Repeat("x", hook.MaxMessage) + `"`, 429, 0},
		{"no method", "/assets/logo.png", "", "anything", 200, 0},
		{"no method, deeper", "/a.b/c/d", "", "anything", 200, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			engine := &asked{request: same, response: same}
			handler := (&hook.Host{Engine: engine}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("X-Own", "kept")
				_, _ = io.WriteString(w, `{"a":1}`)
			}))
			r := httptest.NewRequest("POST", tt.path, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != tt.status || len(engine.got) != tt.asked || w.Code == 200 && (w.Body.String() != `{"a":1}` || w.Header().Get("X-Own") != "kept") {
				t.Errorf("%d %s, asked %d times", w.Code, w.Body, len(engine.got))
			}
		})
	}
}
