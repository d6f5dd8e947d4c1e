package command_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
)

var withoutTimes = cmpopts.IgnoreFields(action.Target{}, "Created", "Changed", "SigningKeys")

func TestTargetCreate(t *testing.T) {
	const endpoint = "http://127.0.0.1:9000/"
	tests := map[string]struct {
		args []string
		want action.Target
	}{
		"the defaults": {nil, action.Target{Type: action.Webhook, Timeout: 10 * time.Second, PayloadType: action.PayloadJSON}},
		"everything said": {[]string{"--type", "call", "--interrupt", "--timeout", "2s", "--payload", "jwe"},
			action.Target{Type: action.Call, InterruptOnError: true, Timeout: 2 * time.Second, PayloadType: action.PayloadJWE}},
		"an interrupting webhook": {[]string{"--interrupt", "--payload=jwt"},
			action.Target{Type: action.Webhook, InterruptOnError: true, Timeout: 10 * time.Second, PayloadType: action.PayloadJWT}},
		"async": {[]string{"--type", "async"}, action.Target{Type: action.Async, Timeout: 10 * time.Second, PayloadType: action.PayloadJSON}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				out := w.ok(append([]string{"target", "create", "--name", "demo", "--endpoint", endpoint}, test.args...)...)
				if want := "id           t1\nsigning key  key-of-demo\n"; out != want {
					t.Errorf("printed %q, want %q", out, want)
				}
				test.want.ID, test.want.Name, test.want.Endpoint = "t1", "demo", endpoint
				if diff := cmp.Diff(test.want, w.targets.get("demo"), withoutTimes); diff != "" {
					t.Errorf("created (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTargetCreateRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		create := func(args ...string) []string { return append([]string{"target", "create"}, args...) }
		w.fails(2, create("--name", "demo"), `"endpoint"`, "callout target create --help")
		w.fails(2, create("--name", "demo", "--endpoint", "http://x", "--type", "hook"), "webhook, call, async")
		w.fails(2, create("--name", "demo", "--endpoint", "http://x", "--timeout", "soon"), "--timeout")
		w.fails(2, create("--name", "demo", "--endpoint", "http://x", "--type", "async", "--interrupt"), "--interrupt")
		w.fails(1, create("--name", "demo", "--endpoint", "http://x", "--timeout", "0s"), "callout: Target has no timeout (COMMAND-39f35d8uri)\n")
		w.fails(1, create("--name", "demo", "--endpoint", "ftp://x"), "callout: Target has an invalid URL (COMMAND-1r2k6qo6wg)\n")
		w.fails(1, create("--name", "demo", "--endpoint", "http://x", "--client", "viewer"), "No matching permissions found (AUTH-AWfge)\n", "--client admin")
		w.fails(1, create("--name", "demo", "--endpoint", "http://x", "--client", "nobody"), "membership not found (AUTHZ-cdgFk)\n", "--client admin")
		w.fails(1, create("--name", "demo", "--endpoint", "http://x", "--token", "stale"), "Token is invalid (AUTH-7fs1e)\n", "--issuer")
		if len(w.targets.all) != 0 {
			t.Errorf("there are targets: %v", w.targets.all)
		}
	})
}

// withTargets makes three: alpha, beta, and one whose name is alpha's id.
func withTargets(w *world) {
	for _, name := range []string{"alpha", "beta", "t1"} {
		w.ok("target", "create", "--name", name, "--endpoint", "http://"+name+".example.org/", "--interrupt")
		time.Sleep(time.Second) // the bubble's
	}
}

func TestTargetList(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		var lines []string
		for line := range strings.Lines(w.ok("target", "list")) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		want := []string{
			"ID NAME TYPE ENDPOINT TIMEOUT INTERRUPT PAYLOAD CHANGED",
			"t1 alpha webhook http://alpha.example.org/ 10s yes json 2000-01-01T00:00:00Z",
			"t2 beta webhook http://beta.example.org/ 10s yes json 2000-01-01T00:00:01Z",
			"t3 t1 webhook http://t1.example.org/ 10s yes json 2000-01-01T00:00:02Z",
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("table (-want +got):\n%s", diff)
		}
		if out := w.ok("target", "list", "--name", "ALP"); !strings.Contains(out, "alpha") || strings.Contains(out, "beta") {
			t.Errorf("--name ALP prints %s", out)
		}
	})
}

func TestSecretsAreShownWhereAskedForAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		tests := []struct {
			args  []string
			shown bool
		}{
			{[]string{"target", "list"}, false},
			{[]string{"target", "list", "-o", "json"}, false},
			{[]string{"target", "get", "alpha"}, false},
			{[]string{"target", "get", "alpha", "-o", "json"}, false},
			{[]string{"target", "update", "alpha", "--timeout", "1s", "-o", "json"}, false},
			{[]string{"target", "list", "--show-keys"}, true},
			{[]string{"target", "list", "--show-keys", "-o", "json"}, true},
			{[]string{"target", "get", "alpha", "--show-key"}, true},
			{[]string{"target", "get", "alpha", "--show-key", "-o", "json"}, true},
		}
		for _, test := range tests {
			if out := w.ok(test.args...); strings.Contains(out, "key-of-alpha") != test.shown {
				t.Errorf("callout %s: want the key shown: %v; it prints\n%s", strings.Join(test.args, " "), test.shown, out)
			}
		}
	})
}

func TestTargetJSONIsTheAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		var got map[string]any
		if err := json.Unmarshal([]byte(w.ok("target", "list", "--name", "beta", "-o", "json")), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"pagination": map[string]any{"totalResult": "1", "appliedLimit": "1000"},
			"targets": []any{map[string]any{"id": "t2", "name": "beta", "endpoint": "http://beta.example.org/", "timeout": "10s",
				"restWebhook": map[string]any{"interruptOnError": true}, "payloadType": "PAYLOAD_TYPE_JSON",
				"creationDate": "2000-01-01T00:00:01Z", "changeDate": "2000-01-01T00:00:01Z"}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("JSON (-want +got):\n%s", diff)
		}
	})
}

func TestTargetIsFoundByIDOrName(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		for reference, want := range map[string]string{"beta": "t2", "t2": "t2", "t1": "t1", "t3": "t3"} {
			if out := w.ok("target", "get", reference); !strings.HasPrefix(out, "id         "+want+"\n") {
				t.Errorf("%s is %s, want %s", reference, out, want)
			}
		}
		w.fails(1, []string{"target", "get", "alph"}, `no target has the id or the name "alph"`, "callout target list")
		w.fails(1, []string{"target", "delete", "Alpha"}, `"Alpha"`)
		w.fails(2, []string{"target", "get", ""}, "1 to 200 characters")
		w.fails(2, []string{"target", "get", strings.Repeat("x", 201)}, "give the id")
		w.fails(2, []string{"target", "get"}, "--help")

		w.targets.all = append(w.targets.all, action.Target{ID: "t9", Name: "beta"}) // the API would not allow it
		w.fails(1, []string{"target", "delete", "beta"}, `2 targets have the name "beta"`, "t2", "t9", "give an id")
		if w.targets.get("alpha").ID == "" || w.targets.get("beta").ID == "" {
			t.Error("something was deleted")
		}
	})
}

func TestTargetUpdateChangesWhatIsSaid(t *testing.T) {
	const endpoint = "http://alpha.example.org/"
	tests := map[string]struct {
		args []string
		want action.Target
	}{
		"the name":     {[]string{"--name", "new"}, action.Target{Name: "new", Endpoint: endpoint, Type: action.Webhook, InterruptOnError: true, Timeout: 10 * time.Second}},
		"the endpoint": {[]string{"--endpoint", "https://new/"}, action.Target{Name: "alpha", Endpoint: "https://new/", Type: action.Webhook, InterruptOnError: true, Timeout: 10 * time.Second}},
		"the timeout":  {[]string{"--timeout", "1m"}, action.Target{Name: "alpha", Endpoint: endpoint, Type: action.Webhook, InterruptOnError: true, Timeout: time.Minute}},
		"the type, not whether it interrupts": {[]string{"--type", "call"},
			action.Target{Name: "alpha", Endpoint: endpoint, Type: action.Call, InterruptOnError: true, Timeout: 10 * time.Second}},
		"whether it interrupts, not the type": {[]string{"--interrupt=false"}, action.Target{Name: "alpha", Endpoint: endpoint, Type: action.Webhook, Timeout: 10 * time.Second}},
		"async, which cannot interrupt":       {[]string{"--type", "async"}, action.Target{Name: "alpha", Endpoint: endpoint, Type: action.Async, Timeout: 10 * time.Second}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				withTargets(w)
				w.ok(append([]string{"target", "update", "alpha"}, test.args...)...)
				test.want.ID, test.want.PayloadType = "t1", action.PayloadJSON
				if diff := cmp.Diff(test.want, w.targets.get(test.want.Name), withoutTimes); diff != "" {
					t.Errorf("updated (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTargetUpdateRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		before := w.targets.get("alpha")
		w.fails(2, []string{"target", "update", "alpha"}, "what to change")
		w.fails(2, []string{"target", "update", "alpha", "--type", "async", "--interrupt"}, "--interrupt")
		w.fails(1, []string{"target", "update", "alpha", "--name", ""}, "Target is invalid")
		w.fails(1, []string{"target", "update", "alpha", "--timeout", "5m"}, "UpdateTargetRequest.Timeout")
		if diff := cmp.Diff(before, w.targets.get("alpha")); diff != "" {
			t.Errorf("changed (-before +after):\n%s", diff)
		}
	})
}

func TestTargetDelete(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		if out := w.ok("target", "delete", "beta"); out != "id       t2\ndeleted  2000-01-01T00:00:03Z\n" {
			t.Errorf("printed %q", out)
		}
		if got := w.targets.get("beta"); got.ID != "" || len(w.targets.all) != 2 {
			t.Errorf("left are %v", w.targets.all)
		}
	})
}

func TestWhatIsNoCommand(t *testing.T) {
	inWorld(t, func(w *world) {
		w.fails(2, nil, "Usage:", "callout needs to be told what to do")
		w.fails(2, []string{"target"}, "create", "callout target needs to be told what to do")
		w.fails(2, []string{"traget"}, "did you mean target?")
		w.fails(2, []string{"target", "lst"}, "did you mean")
		w.fails(2, []string{"target", "list", "--nam", "x"}, "unknown flag: --nam")
		if out := w.ok("target", "create", "--help"); !strings.Contains(out, "callout target create --name demo") {
			t.Errorf("help prints %s", out)
		}
	})
}

func TestServersThatAreNoCallout(t *testing.T) {
	inWorld(t, func(w *world) {
		list := []string{"target", "list", "--token", "x", "--api"}
		w.fails(1, append(list, "http://127.0.0.1:1"), "nobody answers at http://127.0.0.1:1: connection refused\n", "go run ./emulator")
		w.fails(1, append(list, "http://"+issuerAddress), "Is --api the address of a Callout API?")
		w.fails(2, append(list, "127.0.0.1:8080"), "--api", "http://HOST")
		w.before = func(rw http.ResponseWriter, _ *http.Request) bool {
			rw.WriteHeader(http.StatusBadGateway)
			_, _ = rw.Write([]byte("<html>\x1b[31m</html>"))
			return true
		}
		r := w.run(append(list, "http://"+apiAddress)...)
		if r.code != command.ExitFailed || strings.ContainsAny(r.err, "\x1b<") {
			t.Errorf("exit %d, %q", r.code, r.err)
		}
	})
}

func TestSilentServerIsNotWaitedForWithoutEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.before = func(_ http.ResponseWriter, r *http.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body) // only then the server sees its client go
			<-r.Context().Done()
			return true
		}
		began := time.Now()
		w.fails(1, []string{"target", "list"}, "callout: http://127.0.0.1:8080 does not answer in time\n")
		if waited := time.Since(began); waited < 10*time.Second || waited > time.Minute {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestPages(t *testing.T) {
	inWorld(t, func(w *world) {
		for i := range 2500 {
			w.targets.all = append(w.targets.all, action.Target{ID: action.TargetID("id" + string(rune(0x4e00+i))), Name: "n", Created: time.Now().Add(time.Duration(i))})
		}
		if got := strings.Count(w.ok("target", "list"), "\n"); got != 2501 {
			t.Errorf("printed %d lines, want 2501", got)
		}
	})
}
