package command_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
)

// complete asks as a shell does, for the last of the arguments.
func complete(w *world, args ...string) []string {
	w.t.Helper()
	r := w.run(append([]string{"__complete"}, args...)...)
	if r.code != command.ExitFine {
		w.t.Errorf("complete %q: exit %d", args, r.code)
	}
	if strings.Contains(r.err, "callout:") {
		w.t.Errorf("complete %q is not silent: %s", args, r.err)
	}
	found := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(found) == 0 || !strings.HasPrefix(found[len(found)-1], ":") {
		w.t.Fatalf("complete %q: %q", args, r.out)
	}
	return found[:len(found)-1]
}

func TestCompletion(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		w.targets.all = append(w.targets.all, action.Target{ID: "t9", Name: "evil\x1b[2J", Endpoint: "http://127.0.0.1:9000/"})
		first := w.deliveries.add(action.Delivery{Target: "t1", State: action.Dead, EventType: "order.created"}, "e1", "al\x1bpha")
		w.catalog.hosts["orders"] = action.HostPart{Names: action.Names{
			Services: []string{"acme.v1.Orders"}, Methods: []string{"/acme.v1.Orders/Create"}, Events: []string{"order.item.added", "order.created"}, Functions: []string{"price"}}}
		const alpha, beta = "alpha\thttp://alpha.example.org/", "beta\thttp://beta.example.org/"
		for _, tt := range []struct {
			args []string
			want []string
		}{
			{[]string{"target", "get", "al"}, []string{alpha}},
			{[]string{"target", "get", ""}, []string{alpha, beta, "t1\thttp://t1.example.org/", "t9\tevil\\u001b[2J"}},
			{[]string{"target", "get", "alpha", ""}, nil},
			{[]string{"delivery", "list", "--target", "b"}, []string{beta}},
			{[]string{"key", "activate", "be"}, []string{beta}},
			{[]string{"execution", "set", "ev"}, []string{"event\tall events", "event/"}},
			{[]string{"execution", "set", "event/order."}, []string{"event/order.*\ta group", "event/order.created\tan event", "event/order.item.*\ta group", "event/order.item.added\tan event"}},
			{[]string{"execution", "set", "request/acme"}, []string{"request/acme.v1.Orders\ta service", "request/acme.v1.Orders/Create\ta method"}},
			{[]string{"execution", "set", "response/acme.v1.Orders/"}, []string{"response/acme.v1.Orders/Create\ta method"}},
			{[]string{"execution", "set", "function/pri"}, []string{"function/price\ta function"}},
			{[]string{"execution", "set", "event/order.created", "alpha", "be"}, []string{beta}},
			{[]string{"event", "publish", "order.c"}, []string{"order.created"}},
			{[]string{"catalog", "remove", ""}, []string{"orders"}},
			{[]string{"catalog", "list", "--host", "o"}, []string{"orders"}},
			{[]string{"delivery", "get", ""}, []string{string(first) + "\tdead order.created to al\\u001bpha (t1)"}},
			{[]string{"delivery", "list", "--state", ""}, []string{"dead", "delivered", "pending", "retrying", "skipped"}},
			{[]string{"target", "list", "-o", ""}, []string{"json", "table", "yaml"}},
			{[]string{"target", "create", "--type", ""}, []string{"async", "call", "webhook"}},
			{[]string{"--client", ""}, []string{"admin", "nobody", "viewer"}},
			{[]string{"completion", "z"}, []string{"zsh"}},
			{[]string{"target", "list", ""}, nil},
		} {
			got := complete(w, tt.args...)
			slices.Sort(got)
			slices.Sort(tt.want)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.args, diff)
			}
		}
	})
}

func TestCompletionIsQuickAndSilent(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		for name, args := range map[string][]string{
			"nobody there":       {"--api", "http://127.0.0.1:1", "--token", "t", "target", "get", ""},
			"no local.json":      {"--data", "/nowhere", "target", "get", ""},
			"no such client":     {"--client", "root", "target", "get", ""},
			"a refused token":    {"--token", "t", "target", "get", ""},
			"no client either":   {"--data", "/nowhere", "--client", ""},
			"a target that isnt": {"key", "remove", "nobody", ""},
		} {
			if found := complete(w, args...); len(found) > 0 {
				t.Errorf("%s: %q", name, found)
			}
		}
		w.before = func(_ http.ResponseWriter, r *http.Request) bool { // it hangs
			_, _ = io.Copy(io.Discard, r.Body) // without that the server does not look whether somebody is still there
			<-r.Context().Done()
			return true
		}
		began := time.Now()
		if found := complete(w, "target", "get", ""); len(found) > 0 || time.Since(began) > time.Second {
			t.Errorf("it gave %q after %s", found, time.Since(began))
		}
	})
}

func TestCompletionScripts(t *testing.T) {
	inWorld(t, func(w *world) {
		for shell, says := range map[string]string{
			"bash": "complete -o default", "zsh": "#compdef callout", "fish": "complete -c callout", "powershell": "Register-ArgumentCompleter",
		} {
			if out := w.ok("completion", shell); !strings.Contains(out, says) || strings.Contains(out, "\x1b") {
				t.Errorf("%s: no %q in %d bytes", shell, says, len(out))
			}
		}
		w.fails(command.ExitUsage, []string{"completion", "tcsh"}, "tcsh")
		wantSaid(t, w.ok("completion", "--help"), "source <(callout completion bash)", "bash-completion")
		wantSaid(t, w.ok("--help"), "completion", "NO_COLOR")
	})
}
