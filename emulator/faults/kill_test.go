package faults_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/functions/all"
)

// TestKilledEmulator kills the whole of Callout with SIGKILL while 500 events a second come in, and starts it again: what was answered with
// 202 arrives.
func TestKilledEmulator(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: builds and runs programs")
	}
	t.Parallel()
	defer conclude(t)
	rounds := 1
	if *report {
		rounds = 10
	}
	data := filepath.Join(t.TempDir(), "data")
	ports := freePorts(t, 2)
	start := func() *process {
		return launch(t, nil, "Callout is ready", program(t, "emulator"), "-data", data, "-listen", ports[0], "-issuer", ports[1], "-firestore", "", "-pubsub", "")
	}
	running := start()
	a := newAPI(readInfo(t, data), &http.Client{Timeout: 10 * time.Second})
	s := realSite(t, well)
	route(t, a, s)
	random := rand.New(rand.NewPCG(*seed, 0))
	l := &load{api: a, batch: 10, every: 20 * time.Millisecond}
	for round := range rounds {
		l.start(fmt.Sprint("e", round))
		time.Sleep(between(random, time.Second, 2*time.Second))
		running.kill()
		l.stop()
		running = start()
	}
	finish(t, "the whole emulator is killed", fmt.Sprintf("SIGKILL of the whole emulator at 500 events/s, %d times", rounds), rounds, a, l, s)
}

// TestKilledFunctions kills each function, and the emulator below them, while events come in. Each has a process of its own.
func TestKilledFunctions(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: builds and runs programs")
	}
	t.Parallel()
	defer conclude(t)
	rounds := 1
	if *report {
		rounds = 4
	}
	data := filepath.Join(t.TempDir(), "data")
	r := newRouter(t, nil)
	ports := freePorts(t, 4)
	starts := map[string]func() *process{
		"emulator": func() *process {
			return launch(t, nil, "Callout is ready", program(t, "emulator"), "-data", data, "-listen", ports[0], "-firestore", ports[1],
				"-pubsub", ports[2], "-issuer", ports[3], "-functions", r.url)
		},
	}
	running := map[string]*process{"emulator": starts["emulator"]()}
	info := readInfo(t, data)
	for _, f := range all.Functions() {
		starts[f.Name] = func() *process {
			p := launchFunction(t, f.Name, data)
			r.add(f.Paths, served(t, p.said))
			return p
		}
		running[f.Name] = starts[f.Name]()
	}
	info.API = r.url
	a := newAPI(info, &http.Client{Timeout: 10 * time.Second})
	good, shaky := realSite(t, well), realSite(t, failsEach(5))
	route(t, a, good, shaky)
	random := rand.New(rand.NewPCG(*seed, 1))
	l := &load{api: a, batch: 5, every: 50 * time.Millisecond}
	kills := 0
	for round := range rounds {
		for _, name := range []string{"publish", "dispatch", "deliver", "sweep", "emulator"} {
			l.start(fmt.Sprint(name, round))
			time.Sleep(between(random, 300*time.Millisecond, 1500*time.Millisecond))
			running[name].kill()
			kills++
			time.Sleep(between(random, 0, 500*time.Millisecond))
			running[name] = starts[name]()
			time.Sleep(300 * time.Millisecond)
			l.stop()
		}
	}
	finish(t, "functions are killed", fmt.Sprintf("SIGKILL of publish, dispatch, deliver, sweep and the emulator below them, %d times each", rounds), kills, a, l, good, shaky)
}

// finish waits for the end, holds the ledger against what was acknowledged, and records a line.
func finish(t *testing.T, kind, name string, kills int, a *api, l *load, sites ...*site) {
	t.Helper()
	began := time.Now()
	missing := l.await(t, sites...)
	byState := awaitFinal(t, a)
	r := result{
		group: groupKills, kind: kind, scenario: name, faults: kills, sent: l.tried, events: len(l.acked), byState: byState, quiet: time.Since(began),
	}
	for _, n := range byState {
		r.accepted += n
	}
	unfinished := byState["pending"] + byState["retrying"]
	if *report || missing > unfinished {
		r.lost = missing
	}
	if r.lost > 0 {
		t.Errorf("%d deliveries of acknowledged events are lost", r.lost)
	}
	if unfinished > 0 && *report {
		t.Errorf("unfinished: %v", byState)
	}
	// What was not acknowledged may have been taken nevertheless.
	if least, most := len(l.acked)*len(sites), l.tried*len(sites); r.accepted < least || r.accepted > most || byState["delivered"]+unfinished != r.accepted {
		t.Errorf("%v; %d events were acknowledged, and %d sent, for %d targets", byState, len(l.acked), l.tried, len(sites))
	}
	for _, s := range sites {
		_, calls, repeated := s.saw()
		r.calls += calls
		r.repeated += repeated
	}
	record(t, r)
	t.Logf("%d of %d events were acknowledged", len(l.acked), l.tried)
}

// launchFunction serves one function beside the emulator that has its data in a folder.
func launchFunction(t *testing.T, name, data string) *process {
	t.Helper()
	info := readInfo(t, data)
	sealKey, err := os.ReadFile(filepath.Join(data, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, []string{
		"FUNCTION_TARGET=" + name, "PORT=0", "GOOGLE_CLOUD_PROJECT=" + info.Project,
		"FIRESTORE_EMULATOR_HOST=" + info.Firestore, "PUBSUB_EMULATOR_HOST=" + info.PubSub,
		"CALLOUT_ISSUER=" + info.Issuer, "CALLOUT_AUDIENCE=" + info.Audience, "CALLOUT_SEAL_KEYS=" + strings.TrimSpace(string(sealKey)),
		"CALLOUT_PUSH_ISSUER=" + info.Issuer, "CALLOUT_PUSH_AUDIENCE=" + local.PushAudience, "CALLOUT_PUSH_ACCOUNTS=" + local.PushAccount,
		"CALLOUT_EGRESS_ALLOW=" + local.DefaultEgressAllow,
	}, `"message":"serving"`, program(t, "functions"))
}

func route(t *testing.T, a *api, sites ...*site) {
	t.Helper()
	var targets []any
	for n, s := range sites {
		answer := a.must(t, http.MethodPost, "/v2/actions/targets", map[string]any{
			"name": fmt.Sprint("site ", n), "restWebhook": map[string]any{}, "timeout": "5s", "endpoint": s.endpoint,
		})
		targets = append(targets, answer["id"])
	}
	a.must(t, http.MethodPut, "/v2/actions/executions", map[string]any{"condition": map[string]any{"event": map[string]any{"event": "order.created"}}, "targets": targets})
}

func readInfo(t *testing.T, data string) local.Info {
	t.Helper()
	var info local.Info
	text, err := os.ReadFile(filepath.Join(data, "local.json"))
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// served is the address in the line that a function prints when it serves.
func served(t *testing.T, line string) string {
	t.Helper()
	var said struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(said.Address)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port
}
