package command_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExport(t *testing.T) {
	inWorld(t, func(w *world) {
		w.ok("apply", "--yes", "-f", w.write("actions.yaml", []byte(actionsFile+"  - {condition: 'request/acme.v1.Orders/Create', targets: [new]}\n")))
		const want = `targets:
    - name: alpha
      endpoint: http://alpha.example.org/
      type: webhook
      timeout: 10s
      interrupt: true
      payload: json
    - name: new
      endpoint: https://example.org/new
      type: call
      timeout: 2s
      interrupt: false
      payload: json
executions:
    - condition: event/order.created
      targets:
        - new
        - alpha
    - condition: request/acme.v1.Orders/Create
      targets:
        - new
`
		exported := w.ok("export")
		if diff := cmp.Diff(want, exported); diff != "" {
			t.Errorf("exported (-want +got):\n%s", diff)
		}
		if out := w.ok("apply", "--prune", "-f", w.write("again.yaml", []byte(exported))); out != "nothing to do\n" {
			t.Errorf("applied where it comes from: %s", out)
		}
		w.executions.all[0].Targets = append(w.executions.all[0].Targets, "gone")
		w.fails(1, []string{"export"}, "event/order.created", `"gone"`)
	})
}
