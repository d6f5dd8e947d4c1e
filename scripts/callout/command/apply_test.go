package command_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/action"
)

const actionsFile = `targets:
  - {name: alpha, endpoint: "http://alpha.example.org/", interrupt: true}
  - name: new
    endpoint: https://example.org/new
    type: call
    timeout: 2s
executions:
  - condition: event/order.created
    targets: [new, alpha]
`

func TestApply(t *testing.T) {
	inWorld(t, func(w *world) {
		withTargets(w)
		w.ok("execution", "set", "event/old", "beta")
		file := w.write("actions.yaml", []byte(actionsFile))
		plan := "create target new\nset execution event/order.created: new, alpha\n"

		if r := w.runWith("n\n", "apply", "-f", file); r.code != 1 || r.out != plan || len(w.targets.all) != 3 {
			t.Errorf("after a no: %v, %v", r, w.targets.all)
		}
		w.fails(1, []string{"apply", "-f", file}, "Apply these 2 changes?", "nothing was changed")
		if r := w.runWith("y\n", "apply", "-f", file); r.code != 0 || r.out != plan+"2 done\n" {
			t.Errorf("after a yes: %v", r)
		}
		want := action.Target{ID: "t4", Name: "new", Endpoint: "https://example.org/new", Type: action.Call, Timeout: 2 * time.Second, PayloadType: action.PayloadJSON}
		if diff := cmp.Diff(want, w.targets.get("new"), withoutTimes); diff != "" {
			t.Errorf("created (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]action.TargetID{"t4", "t1"}, w.executions.all[1].Targets); diff != "" {
			t.Errorf("targets (-want +got):\n%s", diff)
		}
		if out := w.ok("apply", "-f", file); out != "nothing to do\n" {
			t.Errorf("applied again: %s", out)
		}

		w.ok("target", "update", "new", "--timeout", "9s", "--type", "webhook", "--interrupt")
		if got, want := w.ok("apply", "-f", file, "--yes"), "update target new: timeout 9s -> 2s, type webhook -> call, interrupt yes -> no\n1 done\n"; got != want {
			t.Errorf("printed %s", got)
		}
		if diff := cmp.Diff(want, w.targets.get("new"), withoutTimes); diff != "" {
			t.Errorf("updated (-want +got):\n%s", diff)
		}
		if got, want := w.ok("apply", "-f", file, "--yes", "--prune"), "remove execution event/old\ndelete target beta\ndelete target t1\n3 done\n"; got != want {
			t.Errorf("printed %s", got)
		}
		if len(w.targets.all) != 2 || len(w.executions.all) != 1 {
			t.Errorf("left are %v %v", w.targets.all, w.executions.all)
		}
		if out := w.ok("apply", "-f", file, "--prune"); out != "nothing to do\n" {
			t.Errorf("pruned again: %s", out)
		}
		if r := w.runWith(actionsFile, "apply", "-f", "-", "--yes"); r.out != "nothing to do\n" {
			t.Errorf("from the standard input: %v", r)
		}
	})
}

func TestApplyRefused(t *testing.T) {
	const target = `targets: [{name: new, endpoint: "http://x"}]` + "\n"
	tests := map[string]struct{ file, says string }{
		"an unknown field":         {"target: []", "line 1: field target not found"},
		"no YAML":                  {"{", "yaml:"},
		"two documents":            {target + "---\n" + target, "one document"},
		"a target without name":    {"targets: [{endpoint: x}]", "targets[0]: a target needs"},
		"a name twice":             {"targets: [{name: n, endpoint: x}, {name: n, endpoint: x}]", `targets[1]: "n" is there twice`},
		"a type that is none":      {"targets: [{name: n, endpoint: x, type: hook}]", "targets[0].type must be"},
		"a payload that is none":   {"targets: [{name: n, endpoint: x, payload: xml}]", "targets[0].payload"},
		"a timeout that is none":   {"targets: [{name: n, endpoint: x, timeout: soon}]", "targets[0].timeout"},
		"async and interrupting":   {"targets: [{name: n, endpoint: x, type: async, interrupt: true}]", "targets[0].interrupt"},
		"a condition that is none": {target + "executions: [{condition: evnt/a, targets: [new]}]", "executions[0].condition"},
		"a condition twice":        {target + "executions: [{condition: event, targets: [new]}, {condition: event, targets: [new]}]", "executions[1]: event is there twice"},
		"no targets":               {"executions: [{condition: event}]", "executions[0].targets"},
		"a target named twice":     {target + "executions: [{condition: event, targets: [new, new]}]", `"new" is named twice`},
		"an unknown target":        {target + "executions: [{condition: event, targets: [gamma]}]", `"gamma", which neither`},
		"what the API refuses":     {`targets: [{name: n, endpoint: "ftp://x"}]`, `stopped at "create target n", 0 of 1 done`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.fails(1, []string{"apply", "--yes", "-f", w.write("actions.yaml", []byte(tt.file))}, tt.says)
				if len(w.targets.all)+len(w.executions.all) != 0 {
					t.Error("something was changed")
				}
			})
		})
	}
	inWorld(t, func(w *world) {
		withTargets(w)
		w.fails(1, []string{"apply", "--yes", "--prune", "-f", w.write("f", []byte("executions: [{condition: event, targets: [alpha]}]"))}, "--prune would delete")
		w.fails(2, []string{"apply", "-f", "-"}, "--yes")
		w.fails(2, []string{"apply"}, `"file"`)
	})
}
