package faults_test

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	report = flag.Bool("report", false, "run all scenarios and write REPORT.md")
	seed   = flag.Uint64("seed", 1, "decides what is broken")
)

// wide leaves a test to the report: of each kind of fault, CI has a scenario or two, with few events.
func wide(t *testing.T) {
	t.Helper()
	if !*report {
		t.Skip("runs with -report")
	}
}

// scale is how many events a scenario publishes, more or less.
func scale() int {
	if *report {
		return 100
	}
	return 10
}

// results are the lines of the report, in the order in which scenarios ended.
var results struct {
	sync.Mutex
	lines []result
}

func record(t *testing.T, r result) {
	t.Helper()
	r.test, r.failed = t.Name(), t.Failed()
	results.Lock()
	defer results.Unlock()
	results.lines = append(results.lines, r)
	t.Logf("%s: %d faults, %d events, %d accepted %v, %d calls, %d repeated, quiet after %v", r.scenario, r.faults, r.events, r.accepted, r.byState, r.calls, r.repeated, r.quiet)
}

// conclude, deferred, brings into the report what failed before, or after, its line was recorded.
func conclude(t *testing.T) {
	if !t.Failed() {
		return
	}
	results.Lock()
	defer results.Unlock()
	known := false
	for n := range results.lines {
		if l := &results.lines[n]; l.test == t.Name() {
			l.failed, known = true, true
		}
	}
	if !known {
		results.lines = append(results.lines, result{group: groupBroken, kind: "no end", scenario: t.Name(), failed: true})
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	began := time.Now()
	code := m.Run()
	if *report {
		how := fmt.Sprintf("%s, %d processors, %v", runtime.Version(), runtime.NumCPU(), time.Since(began).Round(time.Second))
		if err := os.WriteFile("REPORT.md", []byte(text(results.lines, how)), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	_ = os.RemoveAll(built.into) // "" is nothing
	os.Exit(code)
}

// text is the report: a line for each kind of fault, then one for each scenario.
func text(lines []result, how string) string {
	slices.SortFunc(lines, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.kind, b.kind), cmp.Compare(a.scenario, b.scenario))
	})
	failed := 0
	for _, l := range lines {
		if l.failed {
			failed++
		}
	}
	var out strings.Builder
	fmt.Fprintf(&out, `# The fault suite

%d scenarios, %d of them failed (%s). Made by

`+"```sh"+`
go test ./emulator/faults -timeout 60m -report%s
`+"```"+`

After each scenario: accepted = events × targets = pending + retrying + delivered + dead + skipped; every document keeps invariant A; every
target that lives in the end saw every acknowledged event; what is dead is among the dead letters; nothing is stuck ([doc.go](doc.go)).
Faults are calls that were broken, calls that a target did not answer well where nothing else is broken, or kills. Repeated are calls that a
target got for a delivery that it had answered well before. Quiet is the virtual time from the start until everything was final, looked at
each ten minutes; after kills it is the real time from the last start.

| fault | scenarios | faults | events | accepted | pending | retrying | delivered | dead | skipped | repeated | verdict |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|
`, len(lines), failed, how, seedText())
	for kind := range chunks(lines, func(l result) string { return l.group + l.kind }) {
		all := total(kind)
		fmt.Fprintf(&out, "| %s | %d | %d | %d | %s | %d | %s |\n", all.kind, len(kind), all.faults, all.events, all.counts(), all.repeated, all.verdict())
	}
	for group := range chunks(lines, func(l result) string { return l.group }) {
		fmt.Fprintf(&out, "\n## %s\n\n", group[0].group[2:])
		if group[0].group == groupKills {
			writeKills(&out, group)
			continue
		}
		out.WriteString("| scenario | faults | events | accepted | pending | retrying | delivered | dead | skipped | calls | repeated | quiet | verdict |\n" +
			"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
		for _, l := range group {
			fmt.Fprintf(&out, "| %s | %d | %d | %s | %d | %d | %v | %s |\n", l.scenario, l.faults, l.events, l.counts(), l.calls, l.repeated,
				l.quiet.Round(time.Second), l.verdict())
		}
	}
	return out.String()
}

// writeKills has what only real processes have: events that were sent and not acknowledged, and the test of being lost.
func writeKills(out io.Writer, lines []result) {
	fmt.Fprint(out, "| scenario | kills | sent | acknowledged | lost | accepted | pending | retrying | delivered | dead | skipped | calls | repeated | quiet | verdict |\n"+
		"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	for _, l := range lines {
		fmt.Fprintf(out, "| %s | %d | %d | %d | %d | %s | %d | %d | %v | %s |\n", l.scenario, l.faults, l.sent, l.events, l.lost, l.counts(), l.calls, l.repeated,
			l.quiet.Round(time.Second), l.verdict())
	}
}

func (r result) counts() string {
	return fmt.Sprintf("%d | %d | %d | %d | %d | %d", r.accepted, r.byState["pending"], r.byState["retrying"], r.byState[finalDelivered], r.byState[finalDead], r.byState[finalSkipped])
}

func (r result) verdict() string {
	if r.failed {
		return "**FAILS**"
	}
	return "holds"
}

// total adds lines of one kind up.
func total(lines []result) result {
	all := result{kind: lines[0].kind, byState: map[string]int{}}
	for _, l := range lines {
		all.faults += l.faults
		all.events += l.events
		all.accepted += l.accepted
		all.repeated += l.repeated
		all.failed = all.failed || l.failed
		for state, n := range l.byState {
			all.byState[state] += n
		}
	}
	return all
}

// chunks gives what follows each other with the same key.
func chunks(lines []result, key func(result) string) iter.Seq[[]result] {
	return func(yield func([]result) bool) {
		for len(lines) > 0 {
			n := 1
			for n < len(lines) && key(lines[n]) == key(lines[0]) {
				n++
			}
			if !yield(lines[:n]) {
				return
			}
			lines = lines[n:]
		}
	}
}

func seedText() string {
	if *seed == 1 {
		return ""
	}
	return fmt.Sprint(" -seed ", *seed)
}

// The groups of the report, in their order.
const (
	groupLife    = "1 The life of events, each kind of RPC broken in each way"
	groupGround  = "2 Pushes, services, restarts, clocks"
	groupTargets = "3 Targets"
	groupChains  = "4 Chains"
	groupKills   = "5 Processes killed with SIGKILL, in real time"
	groupConfig  = "6 The configuration"
	groupBroken  = "7 Without an end"
)

func TestReport(t *testing.T) {
	got := text([]result{
		{group: groupKills, kind: "kills", scenario: "b", faults: 3, sent: 3, events: 2, lost: 1, accepted: 4, byState: map[string]int{"delivered": 3, "pending": 1}, calls: 8, repeated: 1, quiet: 90 * time.Second, failed: true},
		{group: groupLife, kind: "commits", scenario: "a", faults: 5, events: 2, accepted: 2, byState: map[string]int{"delivered": 2}},
		{group: groupLife, kind: "commits", scenario: "c", faults: 6, events: 1, accepted: 1, byState: map[string]int{"dead": 1}},
	}, "two processors")
	for _, want := range []string{
		"3 scenarios, 1 of them failed (two processors)", "| commits | 2 | 11 | 3 | 3 | 0 | 0 | 2 | 1 | 0 | 0 | holds |", "| kills | 1 | 3 | 2 | 4 | 1 | 0 | 3 | 0 | 0 | 1 | **FAILS** |",
		"| a | 5 | 2 | 2 | 0 | 0 | 2 | 0 | 0 | 0 | 0 | 0s | holds |", "| b | 3 | 3 | 2 | 1 | 4 | 1 | 0 | 3 | 0 | 0 | 8 | 1 | 1m30s | **FAILS** |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
