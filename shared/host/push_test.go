package host_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
)

// pushHandler is an event function behind a guard whose answer the test decides.
func pushHandler(t *testing.T, event eventFunc, guard guardFunc) http.Handler {
	t.Helper()
	return host.NewPushHandler(event, guard, logging.Discard())
}

type guardFunc func(authorization string) error

func (g guardFunc) Authenticate(_ context.Context, authorization string) error {
	return g(authorization)
}

func open(string) error { return nil }

func push(data string) string {
	return `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `","messageId":"m1","publishTime":"2026-02-03T04:05:06.7Z","attributes":{"a":"b"}},"subscription":"projects/p/subscriptions/s"}`
}

func TestPushStatuses(t *testing.T) {
	fine := func(context.Context, queue.Message) error { return nil }
	failing := func(err error) eventFunc {
		return func(context.Context, queue.Message) error { return err }
	}
	refusing := func(kind errs.Kind) guardFunc {
		return func(string) error { return errs.Newf(kind, "secret reason") }
	}
	tests := []struct {
		name   string
		method string
		body   string
		guard  guardFunc
		event  eventFunc
		status int
	}{
		{name: "a good push", status: 204},
		{name: "no token", guard: refusing(errs.Unauthenticated), status: 401},
		{name: "another account", guard: refusing(errs.PermissionDenied), status: 403},
		{name: "the issuer is away", guard: refusing(errs.Unavailable), status: 503},
		{name: "a guard that fails", guard: func(string) error { return errOurs }, status: 401},
		{name: "GET", method: "GET", guard: refusing(errs.Unauthenticated), status: 405},
		{name: "PUT", method: "PUT", status: 405},
		{name: "too large", body: strings.Repeat("x", 14<<20+1), status: 413},
		{name: "nothing", body: " ", status: 400},
		{name: "no JSON", body: "x", status: 400},
		{name: "no message", body: `{"subscription":"s"}`, status: 400},
		{name: "data that is not base64", body: `{"message":{"messageId":"1","data":"*"}}`, status: 400},
		{name: "bad input is acknowledged", event: failing(errs.Newf(errs.InvalidArgument, "secret reason")), status: 204},
		{name: "too large input is acknowledged", event: failing(errs.Newf(errs.TooLarge, "secret reason")), status: 204},
		{name: "bad input in a wrapping is acknowledged", event: failing(fmt.Errorf("dispatch: %w", errs.Newf(errs.InvalidArgument, "x"))), status: 204},
		{name: "our fault comes back", event: failing(errOurs), status: 503},
		{name: "an internal error comes back", event: failing(errs.Newf(errs.Internal, "secret reason")), status: 503},
		{name: "an unavailable service comes back", event: failing(errs.Newf(errs.Unavailable, "secret reason")), status: 503},
		{name: "not found comes back", event: failing(errs.Newf(errs.NotFound, "secret reason")), status: 503},
		{name: "a lost race comes back", event: failing(errs.Newf(errs.FailedPrecondition, "secret reason")), status: 503},
		{name: "running out of time comes back", event: failing(context.DeadlineExceeded), status: 503},
		{name: "being stopped comes back", event: failing(context.Canceled), status: 503},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			method, body, guard, event := tt.method, tt.body, tt.guard, tt.event
			if method == "" {
				method = "POST"
			}
			if body == "" {
				body = push("{}")
			}
			if guard == nil {
				guard = open
			}
			if event == nil {
				event = fine
			}
			ran := false
			handler := pushHandler(t, func(ctx context.Context, m queue.Message) error { ran = true; return event(ctx, m) }, guard)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(method, "/push/x", strings.NewReader(body)))
			if w.Code != tt.status || strings.Contains(w.Body.String(), "secret") || ran != (w.Code == 204 || tt.event != nil) {
				t.Errorf("got %d %s, ran %v; want %d", w.Code, w.Body, ran, tt.status)
			}
			if w.Code == 405 && w.Header().Get("Allow") != "POST" {
				t.Errorf("405 allows %q", w.Header().Get("Allow"))
			}
			if w.Code >= 400 && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%d with %q", w.Code, w.Body)
			}
		})
	}
}

func TestPushBecomesAMessage(t *testing.T) {
	var got queue.Message
	var authorization string
	handler := pushHandler(t, func(_ context.Context, m queue.Message) error { got = m; return nil }, func(a string) error { authorization = a; return nil })
	r := httptest.NewRequest("POST", "/push/x", strings.NewReader(push(`{"event_type":"a"}`)))
	r.Header.Set("Authorization", "Bearer t")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	want := queue.Message{
		ID: "m1", Published: time.Date(2026, 2, 3, 4, 5, 6, 7e8, time.UTC), Data: []byte(`{"event_type":"a"}`),
		Attributes: map[string]string{"a": "b"}, Subscription: "projects/p/subscriptions/s",
	}
	if diff := cmp.Diff(want, got); diff != "" || authorization != "Bearer t" {
		t.Errorf("authorization %q (-want +got):\n%s", authorization, diff)
	}
}

// TestEventFunctionsAreGuarded: a function of the queue is served with the guard of the clients, on every path of it.
func TestEventFunctionsAreGuarded(t *testing.T) {
	guard := &auth.PushGuard{Verifier: auth.NewVerifier("https://issuer.invalid", "push", http.DefaultClient)}
	f := host.Function{Name: "x", Trigger: host.Event, Paths: []string{"/push/x", "/push/x-slow"}, Event: func(*env.Clients) (host.EventFunc, error) {
		return func(context.Context, queue.Message) error { t.Error("it ran"); return nil }, nil
	}}
	routes, err := host.Routes(&env.Clients{Log: logging.Discard(), Push: guard}, []host.Function{f})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range f.Paths {
		for _, token := range []string{"", "Bearer x", "Basic x"} {
			r := httptest.NewRequest("POST", path, strings.NewReader(push("{}")))
			r.Header.Set("Authorization", token)
			w := httptest.NewRecorder()
			routes.ServeHTTP(w, r)
			if w.Code != 401 {
				t.Errorf("%s with %q: got %d", path, token, w.Code)
			}
		}
	}
}

func FuzzPush(f *testing.F) {
	f.Add([]byte(push("{}")))
	f.Add([]byte(`{"message":{"messageId":"\u0000","data":""},"subscription":"%zz"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		handler := host.NewPushHandler(func(_ context.Context, m queue.Message) error {
			if m.ID == "" {
				t.Error("a message without an id")
			}
			return nil
		}, guardFunc(open), logging.Discard())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(string(body))))
		if w.Code != 204 && w.Code != 400 {
			t.Errorf("got %d", w.Code)
		}
	})
}
