package routing

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	documents "cloud.google.com/go/firestore/apiv1"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	emulator "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/infra"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/seal"
	"github.com/callout-dev/callout/shared/store"
)

const here action.InstanceID = "here"

// database is the embedded Firestore, which refuses queries without an index, and the valves, which are the ledger's and so stand here
// beside it. Processes share it.
type database struct {
	conn   *grpc.ClientConn
	mu     sync.Mutex
	valves map[action.TargetID]action.Valve
}

func openDatabase(t testing.TB) *database {
	t.Helper()
	kept, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := emulator.ParseIndexes(infra.FirestoreIndexes())
	if err != nil {
		t.Fatal(err)
	}
	server, err := emulator.New(emulator.Options{Store: kept, Indexes: indexes, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	server.Register(g)
	l := memnet.Listen("firestore")
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///firestore", grpc.WithContextDialer(l.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		g.Stop()
		<-served
		server.Close()
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	return &database{conn: conn, valves: map[action.TargetID]action.Valve{}}
}

// process is one of those that share a database: a store and a router, and what lies between them.
type process struct {
	*Router
	store   *store.Store
	between *between
	client  *firestore.Client
	lines   *lines
	db      *database
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.text.Bytes(), []byte(s))
}

const sealKey = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

func (db *database) process(t testing.TB) *process { return db.processWith(t, sealKey) }

func (db *database) processWith(t testing.TB, keys string) *process {
	t.Helper()
	high, err := firestore.NewClient(t.Context(), "p", option.WithGRPCConn(db.conn), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	low, err := documents.NewClient(t.Context(), option.WithGRPCConn(db.conn), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(keys)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{store: store.New(high, low, sealer), client: high, lines: &lines{}, db: db}
	p.between = &between{Config: p.store, counts: map[string]int{}}
	p.Router = New(p.between, db, slog.New(slog.NewTextHandler(p.lines, nil)))
	p.store.OnChange = p.Forget
	return p
}

// Valves reads the valves.
func (db *database) Valves(_ context.Context, _ action.InstanceID, ids []action.TargetID) (found []action.Valve, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, id := range ids {
		if v, ok := db.valves[id]; ok {
			found = append(found, v)
		}
	}
	return found, nil
}

// setValve does what the ledger does: it moves a valve and says so in the feed.
func (p *process) setValve(t testing.TB, v action.Valve) {
	t.Helper()
	p.db.mu.Lock()
	p.db.valves[v.Target] = v
	p.db.mu.Unlock()
	_, err := p.client.Collection("instances/"+string(v.Instance)+"/changes").NewDoc().Create(t.Context(), map[string]any{
		"kind": string(action.ChangeValve), "id": string(v.Target), "at": firestore.ServerTimestamp, "expireAt": time.Now().Add(action.ChangeKept),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// between lets a test count reads, make them fail, and hold them up.
type between struct {
	Config
	mu     sync.Mutex
	counts map[string]int
	err    error
	delay  time.Duration     // of looks
	read   func(what string) // after a read, before it is used
}

func (b *between) begin(what string) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[what]++
	return b.delay, b.err
}

func (b *between) end(what string) {
	b.mu.Lock()
	f := b.read
	b.mu.Unlock()
	if f != nil {
		f(what)
	}
}

func (b *between) set(change func(*between)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

func (b *between) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[what]
}

func (b *between) Executions(ctx context.Context, instance action.InstanceID, ids []action.ExecutionID) ([]action.Execution, map[action.ExecutionID]error, error) {
	if _, err := b.begin("executions"); err != nil {
		return nil, nil, err
	}
	defer b.end("executions")
	return b.Config.Executions(ctx, instance, ids)
}

func (b *between) Targets(ctx context.Context, instance action.InstanceID, ids []action.TargetID) ([]action.Target, map[action.TargetID]error, error) {
	if _, err := b.begin("targets"); err != nil {
		return nil, nil, err
	}
	defer b.end("targets")
	return b.Config.Targets(ctx, instance, ids)
}

func (b *between) Changes(ctx context.Context, since time.Time) ([]action.Change, time.Time, error) {
	delay, err := b.begin("changes")
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, time.Time{}, ctx.Err()
		}
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	defer b.end("changes")
	return b.Config.Changes(ctx, since)
}

// What tests do with a process.

func (p *process) target(t testing.TB, instance action.InstanceID, id action.TargetID) {
	t.Helper()
	_, err := p.store.CreateTarget(t.Context(), instance, action.Target{
		ID: id, Name: string(id), Type: action.Webhook, Timeout: time.Second, Endpoint: "https://192.0.2.1/" + string(id),
		SigningKeys: []action.SigningKey{{Value: "secret"}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (p *process) remove(t testing.TB, instance action.InstanceID, id action.TargetID) {
	t.Helper()
	if _, err := p.store.DeleteTarget(t.Context(), instance, id); err != nil {
		t.Fatal(err)
	}
}

func (p *process) execution(t testing.TB, instance action.InstanceID, id action.ExecutionID, targets ...action.TargetID) {
	t.Helper()
	condition, err := action.ParseExecutionID(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.SetExecution(t.Context(), instance, condition, targets); err != nil {
		t.Fatal(err)
	}
}

// event is what an event type calls, in words: "event/a.b: t1 t2".
func (p *process) event(t testing.TB, instance action.InstanceID, eventType string) string {
	t.Helper()
	route, err := p.Event(t.Context(), instance, eventType)
	if err != nil {
		t.Fatal(err)
	}
	return words(route)
}

func words(r Route) string {
	if r.Execution == "" && len(r.Destinations) == 0 {
		return "nothing"
	}
	text := string(r.Execution) + ":"
	for _, d := range r.Destinations {
		text += " " + string(d.Target.ID)
		if d.Valve.Shut() {
			text += "(" + string(d.Valve.State) + ")"
		}
		if d.Err != nil {
			text += "(unreadable)"
		}
	}
	return text
}

func want(t testing.TB, got, wanted string) {
	t.Helper()
	if got != wanted {
		t.Errorf("got %q, want %q", got, wanted)
	}
}

// plain is a configuration in memory, for measuring: execution event/e.<n> of target t<n>, whatever n is below size.
type plain struct {
	size  int
	known map[action.ExecutionID]bool
}

func (c plain) Executions(_ context.Context, _ action.InstanceID, ids []action.ExecutionID) (found []action.Execution, _ map[action.ExecutionID]error, _ error) {
	for _, id := range ids {
		if c.known[id] {
			condition, err := action.ParseExecutionID(id)
			if err != nil {
				return nil, nil, err
			}
			found = append(found, action.Execution{Condition: condition, Targets: []action.TargetID{action.TargetID("t-" + strings.ReplaceAll(condition.Name, ".", "-"))}})
		}
	}
	return found, nil, nil
}

func (c plain) Targets(_ context.Context, _ action.InstanceID, ids []action.TargetID) (found []action.Target, _ map[action.TargetID]error, _ error) {
	for _, id := range ids {
		found = append(found, action.Target{ID: id, Name: "name of " + string(id), Type: action.Webhook, Timeout: time.Second,
			Endpoint: "https://hooks.example.com/callout/" + string(id), SigningKeys: []action.SigningKey{{Value: action.Secret(slices.Repeat([]byte("k"), 32))}}})
	}
	return found, nil, nil
}

func (plain) Changes(context.Context, time.Time) ([]action.Change, time.Time, error) {
	return nil, time.Now(), nil
}

func (plain) Valves(context.Context, action.InstanceID, []action.TargetID) ([]action.Valve, error) {
	return nil, nil
}
