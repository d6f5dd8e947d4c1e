package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/callout-dev/callout/functions/all"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/hook"
)

const (
	hooksASecond = 50 // of each way to ask
	hookedMethod = "/acme.v1.Orders/Create"
	// hookTakes is how long the target of hooks takes: there is always one under way in each replica, or nearly.
	hookTakes = 50 * time.Millisecond
	// nowhere refuses connections: no process of ours listens there.
	nowhere = "127.0.0.1:1"
)

// TestKilledReplicas kills one of several replicas of all functions each second, at random, and starts it again, under events and hooks.
// What was answered with 202 arrives, and at most one hook of a thousand fails for a host that repeats it once. It measures times, and so
// has the machine for itself.
func TestKilledReplicas(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: builds and runs programs")
	}
	defer conclude(t)
	each, kills := 2, 8
	if *report {
		each, kills = 3, 60
	}
	data := filepath.Join(t.TempDir(), "data")
	replicas := newReplicas(t)
	r := newRouter(t, replicas)
	ports := freePorts(t, 4)
	launch(t, nil, "Callout is ready", program(t, "emulator"), "-data", data, "-listen", ports[0], "-firestore", ports[1], "-pubsub", ports[2],
		"-issuer", ports[3], "-functions", r.url)
	var names []string
	for _, f := range all.Functions() {
		r.add(f.Paths, f.Name)
		for range each {
			replicas.start(t, f.Name, data)
		}
		names = append(names, f.Name)
	}
	info := readInfo(t, data)
	info.API = r.url
	a := newAPI(info, &http.Client{Timeout: 10 * time.Second})
	good, hooked := realSite(t, well), realSite(t, takes(hookTakes, well))
	route(t, a, good)
	routeHook(t, a, hooked)

	events := &load{api: a, batch: 5, every: 25 * time.Millisecond} // 200 a second
	once, twice := newHookLoad(t, a), newHookLoad(t, a, hook.RepeatOnce())
	events.start("e")
	once.start()
	twice.start()
	random, second := rand.New(rand.NewPCG(*seed, 2)), time.NewTicker(time.Second)
	defer second.Stop()
	for range kills {
		<-second.C
		replicas.replace(t, names[random.IntN(len(names))], random.IntN(each), data)
	}
	events.stop()
	once.stop()
	twice.stop()

	t.Logf("hooks asked once: %v", once)
	t.Logf("hooks repeated once: %v", twice)
	// One of the few hundred of the short run says nothing of the share.
	if failed := len(twice.failures); failed > max(twice.asked/1000, 1) {
		t.Errorf("of %d hooks that are repeated once, %d failed; the first: %v", twice.asked, failed, twice.failures[0])
	}
	finish(t, "replicas are killed", fmt.Sprintf("SIGKILL of one of %d replicas of each function, %d times, one a second, at 200 events/s and %d hooks/s; "+
		"hooks failed: %d of %d asked once, %d of %d repeated once", each, kills, 2*hooksASecond, len(once.failures), once.asked, len(twice.failures), twice.asked),
		kills, a, events, good)
}

// routeHook lets a site stop calls of the hooked method, if it fails.
func routeHook(t *testing.T, a *api, s *site) {
	t.Helper()
	answer := a.must(t, http.MethodPost, "/v2/actions/targets", map[string]any{
		"name": "hooked", "restWebhook": map[string]any{"interruptOnError": true}, "timeout": "5s", "endpoint": s.endpoint,
	})
	a.must(t, http.MethodPut, "/v2/actions/executions", map[string]any{
		"condition": map[string]any{"request": map[string]any{"method": hookedMethod}}, "targets": []any{answer["id"]},
	})
}

// replicas reaches functions by their names. It does what a load balancer of the cloud does and no more: each request goes to the next
// replica, whether that is well or not, and to the one after it where the connection was refused, for then nothing has been sent. What
// breaks later is the caller's.
type replicas struct {
	to http.RoundTripper

	mu        sync.Mutex
	addresses map[string][]string
	running   map[string][]*process
	turn      map[string]int
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	to := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(to.CloseIdleConnections)
	return &replicas{to: to, addresses: map[string][]string{}, running: map[string][]*process{}, turn: map[string]int{}}
}

// start adds a replica of a function.
func (r *replicas) start(t *testing.T, name, data string) {
	t.Helper()
	p := launchFunction(t, name, data)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running[name] = append(r.running[name], p)
	r.addresses[name] = append(r.addresses[name], served(t, p.said))
}

// replace kills a replica and starts it again. Meanwhile its address refuses connections, and nobody else gets it.
func (r *replicas) replace(t *testing.T, name string, n int, data string) {
	t.Helper()
	r.running[name][n].kill()
	r.move(name, n, nowhere)
	p := launchFunction(t, name, data)
	r.running[name][n] = p
	r.move(name, n, served(t, p.said))
}

func (r *replicas) move(name string, n int, address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addresses[name][n] = address
}

// next is the address of the replica whose turn it is, and how many there are.
func (r *replicas) next(name string) (address string, of int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn[name]++
	of = len(r.addresses[name])
	if of == 0 {
		return nowhere, 0
	}
	return r.addresses[name][r.turn[name]%of], of
}

func (r *replicas) RoundTrip(request *http.Request) (*http.Response, error) {
	for tried := 1; ; tried++ {
		address, of := r.next(request.URL.Host)
		out := request.Clone(request.Context())
		out.URL.Host = address
		if request.Body != nil {
			out.Body = io.NopCloser(request.Body) // it is unread after a refusal; the server closes it
		}
		answer, err := r.to.RoundTrip(out)
		if dial, ok := errors.AsType[*net.OpError](err); err == nil || !ok || dial.Op != "dial" || tried >= of {
			return answer, err
		}
	}
}

// hookLoad asks hooks at a rate, whatever becomes of those before.
type hookLoad struct {
	engine hook.Engine
	done   chan struct{}
	all    sync.WaitGroup

	mu       sync.Mutex
	asked    int
	took     []time.Duration // of those that were answered, from when they were to be asked
	failures []error
}

func newHookLoad(t *testing.T, a *api, options ...hook.Option) *hookLoad {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	tokens, ok := a.http.Transport.(*oauth2.Transport)
	if !ok {
		t.Fatal("the API is called without tokens")
	}
	return &hookLoad{
		engine: hook.Remote(a.base, tokens.Source, &http.Client{Transport: transport, Timeout: 10 * time.Second}, options...),
		done:   make(chan struct{}),
	}
}

func (l *hookLoad) start() {
	l.all.Go(func() {
		for planned := time.Now(); ; planned = planned.Add(time.Second / hooksASecond) {
			timer := time.NewTimer(time.Until(planned))
			select {
			case <-l.done:
				timer.Stop()
				return
			case <-timer.C:
			}
			l.all.Go(func() { l.ask(planned) })
		}
	})
}

func (l *hookLoad) ask(planned time.Time) {
	_, err := l.engine.Invoke(context.Background(), &calloutv1.InvokeRequest{Hook: &calloutv1.InvokeRequest_Request{Request: &calloutv1.RequestHook{
		FullMethod: hookedMethod, RequestJson: `{"item":"x"}`,
	}}})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	if err != nil {
		l.failures = append(l.failures, err)
		return
	}
	l.took = append(l.took, time.Since(planned))
}

func (l *hookLoad) stop() {
	close(l.done)
	l.all.Wait()
}

func (l *hookLoad) String() string {
	slices.Sort(l.took)
	at := func(percent int) time.Duration {
		if len(l.took) == 0 {
			return 0
		}
		return l.took[len(l.took)*percent/100].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%d of %d failed, p50 %v, p99 %v; of them the target took %v", len(l.failures), l.asked, at(50), at(99), hookTakes)
}
