package command_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEventPublish(t *testing.T) {
	const payload = `{"id":12345678901234567890,"price":1.10,"text":"<é>"}`
	file := writeFile(t, payload)
	tests := map[string]struct {
		args  []string
		input string
		want  action.Occurrence
	}{
		"nothing but the type":        {nil, "", action.Occurrence{}},
		"a payload":                   {[]string{"--data", payload}, "", action.Occurrence{Payload: []byte(payload)}},
		"a payload in a file":         {[]string{"--data", "@" + file}, "", action.Occurrence{Payload: []byte(payload)}},
		"a payload piped in":          {[]string{"--data", "-"}, payload + "\n", action.Occurrence{Payload: []byte(payload)}},
		"a payload that is no object": {[]string{"--data", `"text"`}, "", action.Occurrence{Payload: []byte(`"text"`)}},
		"every field": {[]string{"--id", "e1", "--aggregate-id", "7", "--aggregate-type", "shop", "--resource-owner", "o", "--user-id", "u",
			"--version", "v2", "--sequence", "18446744073709551615", "--created-at", "2026-01-02T03:04:05.678901234+02:00"}, "",
			action.Occurrence{ID: "e1", AggregateID: "7", AggregateType: "shop", ResourceOwner: "o", UserID: "u", Version: "v2",
				Sequence: 18446744073709551615, CreatedAt: time.Date(2026, 1, 2, 1, 4, 5, 678901234, time.UTC)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				r := w.runWith(test.input, append([]string{"event", "publish", "order.created"}, test.args...)...)
				if r.code != 0 || r.err != "" || !strings.HasPrefix(r.out, "id  ") || test.want.ID != "" && r.out != "id  e1\n" {
					t.Fatalf("got %+v", r)
				}
				test.want.Type = "order.created"
				if diff := cmp.Diff([]action.Occurrence{test.want}, w.events.all); diff != "" {
					t.Errorf("published (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestEventPublishBesideADataFolder(t *testing.T) {
	inWorld(t, func(w *world) {
		w.env["CALLOUT_DATA"] = "/nowhere"
		w.ok("--data", w.data, "event", "publish", "order.created", "--data", `{"id":1}`)
		if got := string(w.events.all[0].Payload); got != `{"id":1}` {
			t.Errorf("the payload is %s", got)
		}
	})
}

func TestEventPublishRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		publish := func(args ...string) []string { return append([]string{"event", "publish", "a.b"}, args...) }
		w.fails(2, publish("--data", "{id:1}"), "--data is not JSON", "quotes around it")
		w.fails(2, publish("--data", "-"), "standard input is not JSON")
		w.fails(2, publish("--data", "@/nowhere"), "/nowhere")
		w.fails(2, publish("--data", "@"+writeFile(t, strings.Repeat(" ", 9<<20))), "larger than 8 MiB")
		w.fails(2, publish("--sequence", "-1"), "--sequence")
		w.fails(2, publish("--created-at", "yesterday"), "RFC 3339")
		w.fails(2, []string{"event", "publish"}, "--help")
		w.fails(1, []string{"event", "publish", "a b"}, "callout: event_type must be")
		w.fails(1, publish("--data", `"`+strings.Repeat("x", 600<<10)+`"`), "callout: event_payload is larger than 512 KiB\n")
		w.fails(1, publish("--client", "viewer"), "callout: No matching permissions found (AUTH-AWfge)\n", "--client admin")
		w.fails(1, publish("--token", "stale"), "callout: Token is invalid (AUTH-7fs1e)\n", "--issuer")
		if len(w.events.all) != 0 {
			t.Errorf("published were %v", w.events.all)
		}
	})
}

func TestEventPublishTriesAgainWithTheSameKey(t *testing.T) {
	inWorld(t, func(w *world) {
		var keys []string
		w.before = func(rw http.ResponseWriter, r *http.Request) bool {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			if len(keys) < 3 {
				rw.WriteHeader(http.StatusServiceUnavailable)
				_, _ = rw.Write([]byte(`{"code":14,"message":"try again"}`))
			}
			return len(keys) < 3
		}
		r := w.run("event", "publish", "a.b")
		if r.code != command.ExitFine || len(w.events.all) != 1 {
			t.Fatalf("%+v; published were %v", r, w.events.all)
		}
		wantSaid(t, r.err, "callout: try again (503 Service Unavailable); again in ")
		if len(keys) != 3 || keys[0] == "" || keys[0] != keys[1] || keys[1] != keys[2] {
			t.Errorf("the keys were %q", keys)
		}
	})
}

const threeLines = `{"type":"order.created","subject":"1","data":{"n":1}}

{"type":"order.created","subject":"1","data":{"n":1}}
{"event_type":"order.paid","event_payload":{"n":3}}
`

func TestImportAgainAddsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		file := writeFile(t, threeLines)
		for range 2 {
			if out := w.ok("event", "import", file); out != "3 accepted, 0 refused\n" {
				t.Errorf("printed %q", out)
			}
		}
		if len(w.events.all) != 3 { // the two lines that are alike are two events
			t.Errorf("published were %v", w.events.all)
		}
		r := w.runWith(threeLines+`{"type":"order.shipped"}`, "event", "import", "-")
		if r.code != 0 || r.out != "4 accepted, 0 refused\n" || len(w.events.all) != 4 {
			t.Errorf("%+v; published were %v", r, w.events.all)
		}
	})
}

func TestImportWithRefusedLines(t *testing.T) {
	file := writeFile(t, strings.Join([]string{`{"type":"a.1"}`, `not JSON`, `{"type":"a.3"}`, `{"type":"a b"}`, `{"type":"a.5"}`, ``, `{"data":7}`}, "\n"))
	inWorld(t, func(w *world) {
		r := w.run("event", "import", file)
		if r.code != 1 || r.out != "1 accepted, 1 refused\n" || len(w.events.all) != 1 {
			t.Errorf("%+v; published were %v", r, w.events.all)
		}
		wantSaid(t, r.err, "callout: line 2: the line is not a JSON object\n", "mend it")
	})
	inWorld(t, func(w *world) {
		r := w.run("event", "import", "--keep-going", file)
		if r.code != 1 || r.out != "3 accepted, 3 refused\n" {
			t.Errorf("got %+v", r)
		}
		wantSaid(t, r.err, "callout: line 2: the line is not", "callout: line 4: event_type must be", `callout: line 7: the line has no "type"`, "3 lines were refused")
		var types []string
		for _, e := range w.events.all {
			types = append(types, e.Type)
		}
		if diff := cmp.Diff([]string{"a.1", "a.3", "a.5"}, types); diff != "" {
			t.Errorf("published (-want +got):\n%s", diff)
		}
		wantSaid(t, w.run("event", "import", "--keep-going", "-o", "json", file).out, `"accepted": 3`, `"line": 4`)
	})
}

func TestImportFailsAsAWhole(t *testing.T) {
	inWorld(t, func(w *world) {
		file := writeFile(t, threeLines)
		w.fails(2, []string{"event", "import"}, "--help")
		w.fails(2, []string{"event", "import", "/nowhere"}, "/nowhere")
		w.fails(2, []string{"event", "import", t.TempDir()}, "is a folder")
		w.fails(2, []string{"event", "import", file, "--source", ""}, "--source")
		r := w.run("event", "import", file, "--client", "nobody", "--keep-going")
		if r.code != 1 || r.out != "" {
			t.Errorf("got %+v", r)
		}
		wantSaid(t, r.err, "callout: membership not found (AUTHZ-cdgFk)\n", "--client admin")
	})
}

func TestProgressIsForTerminalsAlone(t *testing.T) {
	file := writeFile(t, threeLines+"{}\n")
	for _, terminal := range []bool{true, false} {
		inWorld(t, func(w *world) {
			p, out, err := w.process("", "event", "import", "--keep-going", file)
			p.Terminal = terminal
			if code := command.Run(w.t.Context(), p); code != 1 || out.String() != "3 accepted, 1 refused\n" {
				t.Errorf("exit %d, %q", code, out)
			}
			if got := strings.Contains(err.String(), "importing"); got != terminal {
				t.Errorf("terminal: %v; it prints %q", terminal, err)
			}
			wantSaid(t, err.String(), "line 5: ")
		})
	}
}
