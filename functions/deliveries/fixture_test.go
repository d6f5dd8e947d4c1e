package deliveries

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"
	documents "cloud.google.com/go/firestore/apiv1"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	server "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/infra"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/store"
)

// bench is the function over an embedded Firestore with production's indexes; what changes deliveries only notes that it was asked.
type bench struct {
	t        *testing.T
	client   *firestore.Client
	store    *store.Store
	changer  *fakeChanger
	queue    *fakeQueue
	settings map[action.TargetID]action.DeliverySettings
	handler  http.Handler
	rules    Rules
}

// inBubble runs a test in a bubble, whose clock begins in the year 2000.
func inBubble(t *testing.T, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newBench(t)) })
}

func newBench(t *testing.T) *bench {
	t.Helper()
	disk, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := server.ParseIndexes(infra.FirestoreIndexes())
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Store: disk, Indexes: indexes, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(11 << 20))
	s.Register(g)
	l := memnet.Listen("firestore")
	go func() { _ = g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///firestore", grpc.WithContextDialer(l.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	high, err := firestore.NewClient(context.Background(), "p", option.WithGRPCConn(conn), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	low, err := documents.NewClient(context.Background(), option.WithGRPCConn(conn), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = high.Close()
		_ = low.Close() // the same connection
		g.Stop()
		s.Close()
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, client: high, store: store.New(high, low, openSealer{}), changer: &fakeChanger{}, queue: &fakeQueue{},
		settings: map[action.TargetID]action.DeliverySettings{},
		rules:    Rules{Schedule: ledger.DefaultSchedule(), Retention: 720 * time.Hour, KeepUnmatched: 24 * time.Hour, Shards: 3}}
	b.serve(ledger.New(low, "projects/p/databases/(default)", ledger.Rules{Schedule: b.rules.Schedule, Retention: b.rules.Retention, Shards: b.rules.Shards}, logging.Discard()))
	return b
}

func (b *bench) serve(l *ledger.Ledger) {
	b.t.Helper()
	o := &Operations{Log: l, Changer: b.changer, Valves: b.changer, Configuration: b, Queue: b.queue, Rules: b.rules, Logger: logging.Discard()}
	handler, err := (api.Border{Guard: ownerGuard(b.t), Log: logging.Discard()}).ServeDeliveries(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.handler = handler
}

// The configuration is the store's, but for the settings, which it does not keep here.

func (b *bench) DescribeTarget(ctx context.Context, instance action.InstanceID, id action.TargetID) (action.Target, error) {
	t, err := b.store.DescribeTarget(ctx, instance, id)
	t.Delivery = b.settings[id]
	return t, err
}

func (b *bench) DescribeTargets(ctx context.Context, instance action.InstanceID, ids []action.TargetID) (map[action.TargetID]action.Target, error) {
	return b.store.DescribeTargets(ctx, instance, ids)
}

func (b *bench) Candidates(ctx context.Context, instance action.InstanceID, ids []action.ExecutionID) ([]action.Candidate, error) {
	return b.store.Candidates(ctx, instance, ids)
}

func (b *bench) SetDelivery(_ context.Context, _ action.InstanceID, id action.TargetID, s action.DeliverySettings) error {
	b.settings[id] = s
	return nil
}

type openSealer struct{}

func (openSealer) Seal(_, value string) (string, error) { return value, nil }
func (openSealer) Open(string, string) (string, error) {
	return "", errs.Newf(errs.Internal, "this function opened a secret")
}

func (openSealer) Reseal(_, sealed string) (string, error) { return sealed, nil }

// fakeChanger notes what it is asked, and answers with err.
type fakeChanger struct {
	err   error
	asked []string
	give  action.Delivery // what Redeliver answers, but for its id
	valve *action.Valve
	moves int // how many RedeliverAll leaves out
}

func (f *fakeChanger) note(words ...string) error {
	f.asked = append(f.asked, strings.Join(words, " "))
	return f.err
}

func (f *fakeChanger) Redeliver(_ context.Context, instance action.InstanceID, id action.DeliveryID, _ time.Time) (action.Delivery, error) {
	d := f.give
	d.ID, d.Instance, d.Event, d.Target = id, instance, "e", "t"
	return d, f.note("redeliver", string(id))
}

func (f *fakeChanger) RedeliverAll(_ context.Context, dead []ledger.Version, _ time.Time) (int, error) {
	err := f.note("redeliver all")
	for _, v := range dead {
		f.asked = append(f.asked, string(v.ID))
	}
	return len(dead) - f.moves, err
}

func (f *fakeChanger) DeleteEvent(_ context.Context, instance action.InstanceID, key action.EventKey, _ time.Time) error {
	return f.note("delete", string(instance), string(key))
}

func (f *fakeChanger) Valves(_ context.Context, _ action.InstanceID, ids []action.TargetID) ([]action.Valve, error) {
	if f.valve == nil || !slices.Contains(ids, f.valve.Target) {
		return nil, nil
	}
	return []action.Valve{*f.valve}, nil
}

func (f *fakeChanger) Pause(_ context.Context, _ action.InstanceID, id action.TargetID, reason action.Hold, now time.Time) error {
	f.valve = &action.Valve{Target: id, State: action.ValvePaused, Reason: reason, Since: now}
	return f.note("pause", string(id))
}

func (f *fakeChanger) Resume(_ context.Context, _ action.InstanceID, id action.TargetID, _ time.Time) error {
	f.valve = nil
	return f.note("resume", string(id))
}

// fakeQueue keeps what is published.
type fakeQueue struct {
	err       error
	published []published
}

type published struct {
	Topic queue.Topic
	queue.Message
}

func (q *fakeQueue) Publish(_ context.Context, topic queue.Topic, messages ...queue.Message) error {
	for _, m := range messages {
		q.published = append(q.published, published{topic, m})
	}
	return q.err
}

func (q *fakeQueue) Wake(ctx context.Context) error {
	return q.Publish(ctx, queue.Ticks, queue.Message{Data: []byte("{}")})
}

func (q *fakeQueue) take() []published {
	taken := q.published
	q.published = nil
	return taken
}

// ownerGuard lets everybody in as an owner: auth's own guard, with an issuer whose only token it sends itself.
func ownerGuard(t *testing.T) api.Guard {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "http://127.0.0.1"
	token, err := jwt.Signed(signer).Claims(map[string]any{"iss": issuer, "aud": "callout", "sub": "owner", "exp": time.Now().Add(1e6 * time.Hour).Unix(),
		"urn:zitadel:iam:org:project:roles": []string{"IAM_OWNER"}}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: answers{
		"/.well-known/openid-configuration": map[string]string{"issuer": issuer, "jwks_uri": issuer + "/keys"},
		"/keys":                             jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k"}}},
	}}
	return fixedToken{&auth.Guard{Verifier: auth.NewVerifier(issuer, "callout", client), Roles: auth.DefaultRoles()}, "Bearer " + token}
}

// answers is a server that says the same at each path.
type answers map[string]any

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := json.Marshal(a[r.URL.Path])
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, err
}

type fixedToken struct {
	guard *auth.Guard
	token string
}

func (f fixedToken) Authenticate(ctx context.Context, _, host string) (auth.Caller, error) {
	return f.guard.Authenticate(ctx, f.token, host)
}

// call sends a request and reads the answer.
func (b *bench) call(method, path, body string) (int, map[string]any) {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		b.t.Fatalf("%s %s: %d %q", method, path, w.Code, w.Body)
	}
	return w.Code, answer
}

// target stores one and gives its id.
func (b *bench) target(name string) action.TargetID {
	b.t.Helper()
	t, err := b.store.CreateTarget(b.t.Context(), action.DefaultInstance, action.Target{ID: action.NewTargetID(), Name: name, Type: action.Webhook,
		Timeout: time.Second, Endpoint: "https://example.org/", SigningKeys: []action.SigningKey{{Value: "secret"}}})
	if err != nil {
		b.t.Fatal(err)
	}
	return t.ID
}

// event stores one as dispatch would, without deliveries.
func (b *bench) event(source, id, kind string, more map[string]any, targets ...action.TargetID) action.EventKey {
	b.t.Helper()
	key := action.KeyOfEvent(action.DefaultInstance, source, action.EventID(id))
	doc := map[string]any{"id": id, "type": kind, "created": time.Now(), "expireAt": time.Now().Add(time.Hour), "payload": []byte("{}")}
	if source != "" {
		doc["source"] = source
	}
	if len(targets) > 0 {
		doc["targets"] = targets
	}
	maps.Copy(doc, more)
	b.put("events", string(key), doc)
	return key
}

// delivery stores one and gives its id.
func (b *bench) delivery(key action.EventKey, target action.TargetID, state action.State, more map[string]any) action.DeliveryID {
	b.t.Helper()
	id := action.DeliveryOf(key, target)
	doc := map[string]any{"event": string(key), "target": string(target), "type": "order.created", "state": string(state), "shard": int(id[0]) % 3,
		"created": time.Now(), "changed": time.Now()}
	if state.Final() {
		doc["expireAt"] = time.Now().Add(time.Hour)
	} else {
		doc["lane"], doc["due"] = "s0", time.Now().Add(time.Minute)
	}
	maps.Copy(doc, more)
	b.put("deliveries", string(id), doc)
	return id
}

func (b *bench) put(collection, id string, doc map[string]any) {
	b.t.Helper()
	if _, err := b.client.Collection("instances").Doc("default").Collection(collection).Doc(id).Set(b.t.Context(), doc); err != nil {
		b.t.Fatal(err)
	}
}

func attempt(n, status int, answer string) map[string]any {
	return map[string]any{"n": n, "start": time.Now(), "tookMicros": 1500, "status": status, "outcome": "failed", "error": "status", "answer": answer}
}
