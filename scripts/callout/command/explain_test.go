package command_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
)

// TestEveryFailureSaysWhatToDo makes each sort of failure and looks for the way on.
func TestEveryFailureSaysWhatToDo(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		w.targets.all = append(w.targets.all, action.Target{ID: "d1", Name: "twice"}, action.Target{ID: "d2", Name: "twice"})
		refuse := func(status int, code, message string) func(http.ResponseWriter, *http.Request) bool {
			return func(rw http.ResponseWriter, _ *http.Request) bool {
				rw.Header().Set("Content-Type", "application/json")
				rw.WriteHeader(status)
				_ = json.NewEncoder(rw).Encode(map[string]string{"code": code, "message": message})
				return true
			}
		}
		old := strings.TrimSpace(w.ok("token"))
		time.Sleep(2 * time.Hour)
		for _, tt := range []struct {
			name   string
			before func(http.ResponseWriter, *http.Request) bool
			args   []string
			says   []string
		}{
			{"nobody there", nil, []string{"target", "list", "--api", "http://127.0.0.1:1"}, []string{"nobody answers at http://127.0.0.1:1", "go run ./emulator"}},
			{"no local.json", nil, []string{"target", "list", "--data", "/nowhere"}, []string{"there is no /nowhere/local.json", "--data", "--api"}},
			{"no issuer", nil, []string{"target", "list", "--data", "/nowhere", "--api", "https://a", "--client-id", "c", "--client-secret", "d"}, []string{"not given: --issuer"}},
			{"nobody calling", nil, []string{"target", "list", "--data", "/nowhere", "--api", "https://a", "--issuer", "https://i"}, []string{"who is calling", "--client-id"}},
			{"a token that is none", nil, []string{"target", "list", "--token", "x"}, []string{"Token is invalid", "--client"}},
			{"a token that has ended", nil, []string{"target", "list", "--token", old}, []string{"Token is invalid", "has ended", "take a new one"}},
			{"no permission", nil, []string{"target", "delete", "alpha", "--client", "viewer"}, []string{"No matching permissions", "lacks the permission"}},
			{"an unknown target", nil, []string{"target", "get", "nobody"}, []string{`"nobody"`, "callout target list"}},
			{"an ambiguous name", nil, []string{"target", "get", "twice"}, []string{"2 targets have the name", "d1 and d2", "give an id"}},
			{"no such delivery", nil, []string{"delivery", "get", "x"}, []string{"no such delivery", `"list"`, "30 days"}},
			{"a name that is taken", refuse(409, "already_exists", "Target already exists (V3-DKcYh)"), []string{"target", "list"}, []string{"choose another one"}},
			{"a conflict", refuse(409, "aborted", "changed"), []string{"target", "list"}, []string{"try again"}},
			{"too often", refuse(429, "resource_exhausted", "too many calls"), []string{"target", "list"}, []string{"CALLOUT_RATE_LIMITS", "wait"}},
			{"too large", refuse(429, "resource_exhausted", "message size 9 is larger than configured max 8"), []string{"target", "list"}, []string{"smaller parts"}},
			{"too large an event", refuse(413, "", "event_payload is larger than 512 KiB"), []string{"event", "publish", "a.b"}, []string{"512 KiB", "smaller parts"}},
			{"the server's fault", refuse(500, "internal", "An internal error occurred"), []string{"target", "list"}, []string{"callout doctor", "log"}},
			{"not Callout", func(rw http.ResponseWriter, r *http.Request) bool { http.NotFound(rw, r); return true }, []string{"target", "list"}, []string{"404", "--api"}},
		} {
			w.before = tt.before
			r := w.run(tt.args...)
			if r.code != command.ExitFailed || r.out != "" || strings.Count(r.err, "\n") < 1 {
				t.Errorf("%s: %+v", tt.name, r)
			}
			for _, s := range tt.says {
				if !strings.Contains(r.err, s) {
					t.Errorf("%s: it says\n%s\nand not %q", tt.name, r.err, s)
				}
			}
		}
		w.before = nil
		w.serve("127.0.0.1:6443", http.NotFoundHandler())
		w.fails(command.ExitFailed, []string{"target", "list", "--token", "t", "--api", "https://127.0.0.1:6443"}, "right one of http:// and https://")
	})
}

// TestProgress: redelivering many and resealing have the bar that the import has, on a terminal alone.
func TestProgress(t *testing.T) {
	inWorld(t, func(w *world) {
		for range 150 {
			w.deliveries.add(action.Delivery{Target: "t1", State: action.Dead}, action.EventID(time.Now().String()), "alpha")
			time.Sleep(time.Millisecond)
		}
		w.deliveries.page = 50
		for _, terminal := range []bool{true, false} {
			p, out, errs := w.process("", "delivery", "redeliver", "--state", "dead", "--yes")
			p.Terminal = terminal
			if code := command.Run(w.t.Context(), p); code != command.ExitFine || !strings.HasPrefix(out.String(), "147 put back") {
				t.Errorf("exit %d, %s", code, out)
			}
			if got := strings.Contains(errs.String(), "redelivering"); got != terminal {
				t.Errorf("terminal: %v, and it prints %q", terminal, errs)
			}
		}
	})
}
