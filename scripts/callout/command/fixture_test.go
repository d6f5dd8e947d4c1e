package command_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/callout-dev/callout/emulator/issuer"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/functions/publish"
	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/auth"
)

const (
	apiAddress    = "127.0.0.1:8080"
	issuerAddress = "127.0.0.1:8082"
	pubsubAddress = "127.0.0.1:8085"
	listenAddress = "127.0.0.1:9000"
)

// signingKeys are made once: they cost more than all else here.
var signingKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	var keys []*rsa.PrivateKey
	for range 2 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
})

// world is an installation in memory: the real issuer, and the API's real faces before targets, executions, events and deliveries that are only lists.
type world struct {
	t    *testing.T
	data string // folder with local.json
	env  map[string]string

	targets    *targetList
	executions *executionList
	events     *eventList
	deliveries *deliveryLog
	catalog    *catalogList
	webKeys    *webKeyRing
	// before may answer a request to the API in its place.
	before func(w http.ResponseWriter, r *http.Request) bool

	mu        sync.Mutex
	listeners map[string]*memnet.Listener
}

// inWorld runs a test in a bubble, where nothing but the test makes time pass.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	keys := signingKeys()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		w := &world{t: t, data: t.TempDir(), env: map[string]string{}, listeners: map[string]*memnet.Listener{},
			targets: &targetList{}, executions: &executionList{}, events: &eventList{ids: map[string]bool{}}, deliveries: &deliveryLog{},
			catalog: &catalogList{hosts: map[action.HostName]action.HostPart{}}, webKeys: &webKeyRing{}}
		i, err := issuer.Open(issuer.Config{URL: "http://" + issuerAddress, Audience: "callout", Dir: filepath.Join(w.data, "issuer"),
			NewKey: func() (*rsa.PrivateKey, error) { n++; return keys[n%2], nil }})
		if err != nil {
			t.Fatal(err)
		}
		w.serve(issuerAddress, i)
		w.serve(apiAddress, w.api())
		w.writeLocal(map[string]any{"api": "http://" + apiAddress, "issuer": "http://" + issuerAddress, "audience": "callout", "clients": i.Clients(),
			"serviceAccount": w.keyFile()})
		test(w)
	})
}

func (w *world) keyFile() string { return filepath.Join(w.data, "issuer", "service-account.json") }

func (w *world) writeLocal(content any) {
	w.t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.data, "local.json"), text, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) api() http.Handler {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: w.dial, DisableKeepAlives: true}}
	border := api.Border{Log: slog.New(slog.DiscardHandler), Guard: &auth.Guard{Roles: auth.DefaultRoles(),
		Verifier: auth.NewVerifier("http://"+issuerAddress, "callout", client)}}
	targets, err := border.ServeTargets(w.targets)
	if err != nil {
		w.t.Fatal(err)
	}
	executions, err := border.ServeExecutions(w.executions)
	if err != nil {
		w.t.Fatal(err)
	}
	deliveries, err := border.ServeDeliveries(w.deliveries)
	if err != nil {
		w.t.Fatal(err)
	}
	catalog, err := border.ServeCatalog(w.catalog)
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := border.ServeKeys(w.webKeys)
	if err != nil {
		w.t.Fatal(err)
	}
	events := border.ServeEvents(w.events, publish.Read)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case w.before != nil && w.before(rw, r):
		case r.URL.Path == "/v1/events":
			events.ServeHTTP(rw, r)
		case strings.HasPrefix(r.URL.Path, "/callout.v1.DeliveryService/"):
			deliveries.ServeHTTP(rw, r)
		case strings.HasPrefix(r.URL.Path, "/callout.v1.CatalogService/"):
			catalog.ServeHTTP(rw, r)
		case strings.HasPrefix(r.URL.Path, "/callout.v1.KeyService/"), r.URL.Path == api.PathKeySet:
			keys.ServeHTTP(rw, r)
		case strings.Contains(r.URL.Path, "Execution"):
			executions.ServeHTTP(rw, r)
		default:
			targets.ServeHTTP(rw, r)
		}
	})
}

func (w *world) serve(address string, handler http.Handler) {
	l, err := w.listen(context.Background(), "tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // always http.ErrServerClosed
	}()
	w.t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

func (w *world) listen(_ context.Context, network, address string) (net.Listener, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.listeners[address] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRINUSE}
	}
	l := memnet.Listen(address)
	w.listeners[address] = l
	return l, nil
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	l := w.listeners[address]
	w.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return l.Dial(ctx)
}

// result is what a command left behind.
type result struct {
	code     int
	out, err string
}

// process is one that reads input, with the world's network and data folder.
func (w *world) process(input string, args ...string) (command.Process, *bytes.Buffer, *bytes.Buffer) {
	var out, err bytes.Buffer
	getenv := func(name string) string {
		if value, ok := w.env[name]; ok {
			return value
		}
		if name == "CALLOUT_DATA" {
			return w.data
		}
		return ""
	}
	return command.Process{Args: args, In: strings.NewReader(input), Out: &out, Err: &err, Getenv: getenv, Dial: w.dial, Listen: w.listen}, &out, &err
}

func (w *world) run(args ...string) result { return w.runWith("", args...) }

func (w *world) runWith(input string, args ...string) result {
	p, out, err := w.process(input, args...)
	code := command.Run(w.t.Context(), p)
	return result{code, out.String(), err.String()}
}

// ok runs a command that must succeed in silence, and gives what it printed.
func (w *world) ok(args ...string) string {
	w.t.Helper()
	r := w.run(args...)
	if r.code != command.ExitFine || r.err != "" {
		w.t.Fatalf("callout %s: exit %d, %s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// fails runs a command that must fail with this code and say all of these.
func (w *world) fails(code int, args []string, says ...string) {
	w.t.Helper()
	r := w.run(args...)
	if r.code != code {
		w.t.Errorf("callout %s: exit %d, want %d; %s", strings.Join(args, " "), r.code, code, r.err)
	}
	wantSaid(w.t, r.err, says...)
}

func wantSaid(t *testing.T, text string, says ...string) {
	t.Helper()
	for _, s := range says {
		if !strings.Contains(text, s) {
			t.Errorf("it says\n%s\nand not %q", text, s)
		}
	}
}
