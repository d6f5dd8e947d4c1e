package engine_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/egress"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/routing"
	"github.com/callout-dev/callout/shared/signature/envelope"
)

const here action.InstanceID = "here"

// table are the routes of a test: every hook has the same one.
type table struct {
	route routing.Route
	err   error
}

func (r *table) Method(context.Context, action.InstanceID, action.Kind, string) (routing.Route, error) {
	return r.route, r.err
}

func (r *table) Function(context.Context, action.InstanceID, string) (routing.Route, error) {
	return r.route, r.err
}

// site is where all targets are: each has a path, and a handler.
type site struct {
	routes   *table
	engine   engine.Engine
	handlers map[string]http.HandlerFunc
	mu       sync.Mutex
	got      []string // the bodies, in the order in which they came
	queued   []action.Occurrence
	queueErr error
	log      strings.Builder
	signs    error // why no web key signs; nil where one does
}

// forms are the keys behind a JWT and a JWE: of who sends, and of who receives.
type forms struct {
	sender, receiver *ecdsa.PrivateKey
	public           []byte // the receiver's, PEM
}

const senderID, receiverID = "w1", "p1"

func newForms(t *testing.T) forms {
	t.Helper()
	var f forms
	var err error
	for _, key := range []**ecdsa.PrivateKey{&f.sender, &f.receiver} {
		if *key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.MarshalPKIXPublicKey(f.receiver.Public())
	if err != nil {
		t.Fatal(err)
	}
	f.public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return f
}

// use makes bodies with these keys.
func (s *site) use(f forms) {
	caller := s.engine.Caller.(call.Caller)
	caller.Payload.Keys = signing(func() (action.WebKey, error) {
		return action.WebKey{ID: senderID, Algorithm: "ES256", Private: action.Hide(f.sender)}, s.signs
	})
	s.engine.Caller = caller
}

type signing func() (action.WebKey, error)

func (f signing) Signing(context.Context, action.InstanceID) (action.WebKey, error) { return f() }

// open is the JSON in a body of a form, opened as its receiver does.
func (f forms) open(ctx context.Context, form action.PayloadType, body string) ([]byte, error) {
	keys := envelope.KeySet{senderID: {Algorithm: "ES256", Public: f.sender.Public()}}
	switch form {
	case action.PayloadJWT:
		return envelope.VerifyJWT(ctx, []byte(body), keys)
	case action.PayloadJWE:
		return envelope.OpenJWE(ctx, []byte(body), map[string]crypto.PrivateKey{receiverID: f.receiver}, keys)
	default:
		return []byte(body), nil
	}
}

// inBubble serves targets in memory, in a bubble of virtual time.
func inBubble(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{routes: &table{}, handlers: map[string]http.HandlerFunc{}}
		listener := memnet.Listen("target.test")
		server := &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
		served := make(chan struct{})
		go func() { defer close(served); _ = server.Serve(listener) }()
		client := egress.NewClient(new(egress.Policy))
		client.Transport.(*http.Transport).DialContext = listener.DialContext
		s.engine = engine.Engine{
			Routes: s.routes, Caller: call.Caller{Client: client, UserAgent: "Callout/test"}, Headers: engine.DefaultHeaders(),
			Queue: func(_ context.Context, to action.TargetID, event action.Occurrence) error {
				s.queued = append(s.queued, event)
				return s.queueErr
			},
			Log: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		test(t, s)
		client.CloseIdleConnections()
		_ = server.Close()
		<-served
	})
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.got = append(s.got, string(body))
	s.mu.Unlock()
	s.handlers[strings.TrimPrefix(r.URL.Path, "/")](w, r)
}

// sent are the bodies that came.
func (s *site) sent() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// target adds one to the route, with a second's time.
func (s *site) target(kind action.TargetType, interrupts bool, answer http.HandlerFunc) *action.Target {
	id := fmt.Sprint("t", len(s.routes.route.Destinations))
	s.handlers[id] = answer
	to := &routing.Destination{Target: action.Target{
		ID: action.TargetID(id), Type: kind, InterruptOnError: interrupts, Timeout: time.Second, Endpoint: "http://target.test/" + id + "?token=s3cret",
		SigningKeys: []action.SigningKey{{Value: "newnewnewnewnewnewnewnewnewnewnewnew"}},
	}}
	s.routes.route.Execution = "request/a.A/M"
	s.routes.route.Destinations = append(s.routes.route.Destinations, to)
	return &to.Target
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func request(message string) engine.Hook {
	return engine.Hook{Kind: action.Request, Instance: here, FullMethod: "/a.A/M", OrgID: "o", UserID: "u", Request: json.RawMessage(message)}
}

func response(message string) engine.Hook {
	h := request(`{"asked":1}`)
	h.Kind, h.Response = action.Response, json.RawMessage(message)
	return h
}

func function(payload string) engine.Hook {
	return engine.Hook{Kind: action.Function, Instance: here, Function: "preaccesstoken", Payload: json.RawMessage(payload)}
}

// told is what a caller is told: kind, id and message.
func told(err error) string {
	if err == nil {
		return ""
	}
	e, ok := errs.As(err)
	if !ok {
		return "no error of ours: " + err.Error()
	}
	return fmt.Sprintf("%s %s: %s", e.Kind, e.ID, e.Message)
}

var errBroken = errors.New("broken")
