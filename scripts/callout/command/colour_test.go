package command_test

import (
	"strings"
	"testing"

	"github.com/callout-dev/callout/scripts/callout/command"
	"github.com/callout-dev/callout/shared/action"
)

func TestColoursAreForTerminalsAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		withDeliveries(w)
		run := func(screen bool, env map[string]string, args ...string) (string, string) {
			w.env = env
			p, out, errs := w.process("", args...)
			p.Screen, p.Terminal = screen, screen
			command.Run(w.t.Context(), p)
			return out.String(), errs.String()
		}
		plain := w.ok("delivery", "list")
		coloured, _ := run(true, map[string]string{}, "delivery", "list")
		wantSaid(t, coloured, "\x1b[32mdelivered\x1b[39m", "\x1b[31mdead\x1b[39m", "\x1b[33mretrying\x1b[39m", "\x1b[39mpending\x1b[39m")
		stripped := coloured
		for _, sequence := range []string{"\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[39m"} {
			stripped = strings.ReplaceAll(stripped, sequence, "")
		}
		if stripped != plain {
			t.Errorf("without its colours the table is\n%s\nand not\n%s", stripped, plain)
		}
		_, said := run(true, map[string]string{}, "target", "get", "nobody")
		wantSaid(t, said, "\x1b[31mcallout:\x1b[39m no target has")
		if out, _ := run(true, map[string]string{}, "delivery", "list", "-o", "json"); strings.Contains(out, "\x1b") {
			t.Errorf("JSON is coloured: %q", out)
		}
		for name, env := range map[string]map[string]string{"NO_COLOR": {"NO_COLOR": "1"}, "a dumb terminal": {"TERM": "dumb"}} {
			out, _ := run(true, env, "delivery", "list")
			_, said := run(true, env, "target", "get", "nobody")
			if out != plain || strings.Contains(said, "\x1b") {
				t.Errorf("%s: %q, %q", name, out, said)
			}
		}
		w.env = map[string]string{}
	})
}

// TestNothingFromOutsideIsASequence: what others have written reaches the terminal as text, with colours beside it or not.
func TestNothingFromOutsideIsASequence(t *testing.T) {
	inWorld(t, func(w *world) {
		const hostile = "\x1b]0;x\a\x1b[2J\u202e"
		id := w.deliveries.add(action.Delivery{Target: "t1", State: action.State("dead" + hostile), EventType: "a" + hostile, Reason: hostile,
			Attempts: []action.Attempt{{Number: 1, Answer: hostile, Outcome: action.Failed}}}, "e"+hostile, "n"+hostile)
		w.targets.all = append(w.targets.all, action.Target{ID: "t1", Name: "n" + hostile, Endpoint: "http://a/" + hostile})
		for _, args := range [][]string{{"delivery", "list"}, {"delivery", "get", string(id)}, {"target", "list"}, {"target", "get", "t1"},
			{"__complete", "target", "get", ""}, {"__complete", "delivery", "get", ""}} {
			p, out, errs := w.process("", args...)
			p.Screen, p.Terminal = true, true
			command.Run(w.t.Context(), p)
			text := out.String() + errs.String()
			for _, own := range []string{"\x1b[31m", "\x1b[39m"} {
				text = strings.ReplaceAll(text, own, "")
			}
			if strings.ContainsAny(text, "\x1b\a\u202e") || !strings.Contains(text, `\u001b`) {
				t.Errorf("%q: %q", args, text)
			}
		}
	})
}
