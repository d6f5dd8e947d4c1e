package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/emulator/local/localtest"
)

const farAddress = "127.0.0.1:9000"

// far is a bench by URL of an installation in memory, which serves its receiver.
func far(t *testing.T, i *localtest.Installation, p plan, out io.Writer) (*bench, error) {
	t.Helper()
	return farThrough(t, i, i.Client.Transport, p, out)
}

func farThrough(t *testing.T, i *localtest.Installation, network http.RoundTripper, p plan, out io.Writer) (*bench, error) {
	t.Helper()
	c, err := connect(t.Context(), farPlace(i), secretOf(i), network)
	if err != nil {
		t.Fatal(err)
	}
	r := newReceiver("http://" + farAddress)
	i.Serve(t, farAddress, r)
	return newBench(t.Context(), p, c, r, out, io.Discard)
}

func farPlace(i *localtest.Installation) place {
	return place{api: i.Info.API, issuer: i.Info.Issuer, clientID: i.Info.Clients["admin"].ID, receiver: "http://" + farAddress, listen: farAddress}
}

func secretOf(i *localtest.Installation) func(string) string {
	return func(key string) string {
		return map[string]string{"CALLOUT_CLIENT_SECRET": i.Info.Clients["admin"].Secret}[key]
	}
}

// left is what of the installation's configuration is there.
func left(t *testing.T, b *bench) (targets, executions int) {
	t.Helper()
	var list struct {
		Targets    []json.RawMessage `json:"targets"`
		Executions []json.RawMessage `json:"executions"`
	}
	for _, path := range []string{"/v2/actions/targets/search", "/v2/actions/executions/search"} {
		if err := b.client.send(context.Background(), http.MethodPost, path, "{}", &list); err != nil {
			t.Fatal(err)
		}
	}
	return len(list.Targets), len(list.Executions)
}

// TestFar: by its URL alone an installation is measured, told what is skipped, and left as it was.
func TestFar(t *testing.T) {
	localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
		var out bytes.Buffer
		b, err := far(t, i, small(place{api: "-"}.usual()...), &out)
		if err != nil {
			t.Fatal(err)
		}
		if targets, executions := left(t, b); targets != 1 || executions != 1 {
			t.Errorf("%d targets and %d executions to be removed", targets, executions)
		}
		if err := b.measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"bare loops: skipped", "publish to delivery, p99", "events a second, publish to delivery", "hook, longest", "hooks that failed, of 10"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the report lacks %q:\n%s", want, out.String())
			}
		}
		for _, name := range []string{"bare signed", "/ bare"} {
			if strings.Contains(out.String(), name) {
				t.Errorf("the report has a row %q of what was skipped:\n%s", name, out.String())
			}
		}
		if err := b.close(t.Context()); err != nil {
			t.Error(err)
		}
		if targets, executions := left(t, b); targets != 0 || executions != 0 {
			t.Errorf("%d targets and %d executions are left", targets, executions)
		}
	})
}

// signalled is a network that interrupts the program while a request is under way.
type signalled struct {
	http.RoundTripper
	path      string
	after     atomic.Int64 // how many requests to the path
	interrupt func()
}

func (s *signalled) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == s.path && r.Method == http.MethodPost && s.after.Add(-1) == 0 {
		s.interrupt()
	}
	return s.RoundTripper.RoundTrip(r)
}

// TestInterrupted: what was made is removed whenever the signal comes, also what was being made.
func TestInterrupted(t *testing.T) {
	tests := []struct {
		name, part, path string
		after            int64
	}{
		{"while events are sent", partLatency, "/v1/events", 5},
		{"while targets are made", partSpread, "/v2/actions/targets", 3},
		{"while the hook's target is made", partHooks, "/v2/actions/targets", 2},
		{"while hooks are asked for", partHooks, "/v1/hooks:invoke", 5},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				network := &signalled{RoundTripper: i.Client.Transport, path: tt.path, interrupt: interrupt}
				network.after.Store(tt.after)
				b, err := farThrough(t, i, network, small(tt.part), io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				if err := advise(b.measure(ctx)); !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "interrupted") {
					t.Errorf("measured: %v", err)
				}
				if err := b.close(ctx); err != nil {
					t.Error(err)
				}
				if targets, executions := left(t, b); targets != 0 || executions != 0 {
					t.Errorf("%d targets and %d executions are left", targets, executions)
				}
			})
		})
	}
}

// stalled answers nobody until a time, and then all at once.
type stalled struct{ until time.Time }

func (s stalled) ServeHTTP(http.ResponseWriter, *http.Request) { time.Sleep(time.Until(s.until)) }

// TestStallIsCounted: each hook that was to be asked while the target stood still has waited since then, as if nobody had held it back.
func TestStallIsCounted(t *testing.T) {
	localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
		p := small(partHooks)
		p.rate, p.latencyTime = 10, time.Second
		b, err := far(t, i, p, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		defer b.close(t.Context())
		if err := b.makeHook(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := time.Now().Add(10 * time.Millisecond) // when the first is planned
		b.receiver.serve(hookPath, stalled{start.Add(5 * time.Second)})
		took, failures, err := b.hooks(t.Context())
		if err != nil || len(failures) > 0 {
			t.Fatal(err, failures)
		}
		for n, d := range took {
			if want := 5*time.Second - time.Duration(n)*100*time.Millisecond; d != want {
				t.Errorf("hook %d took %s, want %s", n, d, want)
			}
		}
	})
}

// TestFailuresAreCounted: a hook that fails takes its time too, and the rest goes on.
func TestFailuresAreCounted(t *testing.T) {
	localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
		p := small(partHooks)
		p.rate, p.latencyTime = 10, 2*time.Second
		b, err := far(t, i, p, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		defer b.close(t.Context())
		if err := b.makeHook(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.receiver.serve(hookPath, newSite(fails))
		took, failures, err := b.hooks(t.Context())
		if err != nil || len(took) != 20 || len(failures) != 20 || !strings.Contains(failures[0].Error(), "status 500") {
			t.Errorf("%d hooks, %d failures: %v %v", len(took), len(failures), failures, err)
		}
	})
}

// TestSenderFallsBehind: times count from the plan where more is under way than may be, so that sends wait for their turn.
func TestSenderFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total, rate = 2 * mostAtOnce, 1000
		done := make([]time.Time, total)
		var gate sync.WaitGroup
		gate.Go(func() { time.Sleep(time.Minute) }) // the receiver stands still
		planned, err := paced(t.Context(), total, rate, func(_ context.Context, n int) error {
			gate.Wait()
			done[n] = time.Now()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		took := latencies(planned, done)
		for n, d := range took {
			if want := time.Minute - 10*time.Millisecond - time.Duration(n)*time.Second/rate; d != want {
				t.Fatalf("send %d took %s, want %s", n, d, want)
			}
		}
		if !slices.IsSortedFunc(took, func(a, b time.Duration) int { return int(b - a) }) {
			t.Error("a later one waited longer")
		}
	})
}

func TestPlaceIsChecked(t *testing.T) {
	const api, id = "https://api.example.org", "https://id.example.org"
	there := place{api: api, issuer: id, clientID: "c", receiver: "https://bench.example.org", listen: ":9000"}
	for _, good := range []place{{listen: "127.0.0.1:0"}, {data: "d", listen: "127.0.0.1:0"}, there, {api: "http://127.0.0.1:8080", listen: "127.0.0.1:0"},
		{api: api, listen: ":9000", receiver: "http://10.0.0.1:9000/"}} {
		if err := good.check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for says, change := range map[string]func(*place){
		"-data and -api":      func(p *place) { p.data = "d" },
		"-issuer":             func(p *place) { p.api = "" },
		"with -receiver":      func(p *place) { p.receiver = "" },
		"HOST:PORT":           func(p *place) { p.listen = "9000" },
		"-listen :9000":       func(p *place) { p.listen = "127.0.0.1:0" },
		"must be http://HOST": func(p *place) { p.receiver = "bench.example.org:9000" },
		"https://HOST[:PORT]": func(p *place) { p.receiver = "https://bench.example.org/path" },
		"every address":       func(p *place) { *p = place{listen: ":9000"} },
	} {
		p := there
		change(&p)
		if err := p.check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", p, err, says)
		}
	}
}

func TestFlags(t *testing.T) {
	tests := map[string]struct {
		args, says string
	}{
		"nothing":                 {"", ""},
		"an installation":         {"-api http://127.0.0.1:8080 -issuer http://127.0.0.1:8082 -client-id c -only hooks", ""},
		"cost of a far machine":   {"-only cost -data d", "of its own"},
		"rates that are none":     {"-cost-rates 100,fast", "no number"},
		"a word too many":         {"latency", "flags only"},
		"an unknown part":         {"-only loop", "no part"},
		"no way to this program":  {"-api https://api.example.org", "-receiver"},
		"two wrongs told at once": {"-batch 0 -data d -api http://127.0.0.1:8080", "two installations"},
	}
	for name, tt := range tests {
		_, _, err := parse(strings.Fields(tt.args))
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

// TestWhoCalls: the environment's names are those of the command line, and what is missing is named.
func TestWhoCalls(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(key string) string {
			if i := slices.Index(pairs, key); i >= 0 {
				return pairs[i+1]
			}
			return ""
		}
	}
	there := place{api: "https://api.example.org", issuer: "https://id.example.org", clientID: "c"}
	tests := map[string]struct {
		at   place
		env  func(string) string
		who  string
		says string
	}{
		"a secret":      {there, env("CALLOUT_CLIENT_SECRET", "s"), "client c", ""},
		"another id":    {place{api: there.api, issuer: there.issuer}, env("CALLOUT_CLIENT_ID", "e", "CALLOUT_CLIENT_SECRET", "s"), "client e", ""},
		"a token alone": {place{api: there.api}, env("CALLOUT_TOKEN", "t"), "the given token", ""},
		"no secret":     {there, env(), "", "CALLOUT_CLIENT_SECRET"},
		"no issuer":     {place{api: there.api, clientID: "c"}, env("CALLOUT_CLIENT_SECRET", "s"), "", "-issuer"},
	}
	for name, tt := range tests {
		s, err := tt.at.settings(tt.env)
		if s.Who != tt.who && err == nil || (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %q, %v", name, s.Who, err)
		}
	}
}

// TestAdvice: what goes wrong on the way says what to do.
func TestAdvice(t *testing.T) {
	tests := map[string]struct {
		change func(i *localtest.Installation, at *place, env map[string]string)
		says   string
	}{
		"a wrong secret": {func(_ *localtest.Installation, _ *place, env map[string]string) { env["CALLOUT_CLIENT_SECRET"] = "x" }, "that -issuer knows"},
		"a token that is none": {func(_ *localtest.Installation, at *place, env map[string]string) {
			at.clientID, env["CALLOUT_TOKEN"] = "", "x"
		}, "CALLOUT_ISSUER"},
		"a client without permissions": {func(i *localtest.Installation, at *place, env map[string]string) {
			at.clientID, env["CALLOUT_CLIENT_SECRET"] = i.Info.Clients["viewer"].ID, i.Info.Clients["viewer"].Secret
		}, "lacks a permission"},
		"a denied receiver": {func(_ *localtest.Installation, at *place, _ map[string]string) { at.receiver = "http://10.1.2.3:9000" }, "CALLOUT_EGRESS_ALLOW"},
		"a receiver that is another's": {func(i *localtest.Installation, at *place, _ map[string]string) {
			at.receiver = "http://127.0.0.1:9999"
		}, "does it lead to this program?"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			localtest.Run(t, func(t *testing.T, i *localtest.Installation) {
				at, env := farPlace(i), map[string]string{"CALLOUT_CLIENT_SECRET": i.Info.Clients["admin"].Secret}
				tt.change(i, &at, env)
				c, err := connect(t.Context(), at, func(key string) string { return env[key] }, i.Client.Transport)
				if err == nil {
					_, err = newBench(t.Context(), small(partLatency), c, newReceiver(at.receiver), io.Discard, io.Discard)
				}
				if err := advise(err); err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v, want %q", err, tt.says)
				}
			})
		})
	}
	nobody := httptest.NewServer(nil)
	nobody.Close()
	t.Setenv("CALLOUT_TOKEN", "t")
	c, err := connect(t.Context(), place{api: nobody.URL}, func(string) string { return "t" }, nil)
	if err == nil {
		_, err = newBench(t.Context(), small(partLatency), c, newReceiver("http://127.0.0.1:1"), io.Discard, io.Discard)
	}
	if err := advise(err); err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("nobody there: %v", err)
	}
}
