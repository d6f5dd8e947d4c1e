package faults_test

import (
	"cmp"
	"flag"
	"fmt"
	"os"
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

// some says whether the n-th row of a table runs: each for the report, one of so many in CI.
func some(n, of int) bool { return *report || n%of == 0 }

// wide leaves a test to the report: hours of virtual time with a race detector are too much for CI.
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
	return 40
}

// results are the lines of the report, in the order in which scenarios ended.
var results struct {
	sync.Mutex
	lines []result
}

func record(t *testing.T, r result) {
	t.Helper()
	r.failed = t.Failed()
	results.Lock()
	defer results.Unlock()
	results.lines = append(results.lines, r)
	t.Logf("%s: %s faults, %d events, %d accepted %v, %d calls, %d repeated, quiet after %v", r.scenario, r.faults, r.events, r.accepted, r.byState, r.calls, r.repeated, r.quiet)
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if *report {
		if err := os.WriteFile("REPORT.md", []byte(text(results.lines)), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// text is the report.
func text(lines []result) string {
	slices.SortFunc(lines, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.scenario, b.scenario))
	})
	var out strings.Builder
	failed := 0
	for _, l := range lines {
		if l.failed {
			failed++
		}
	}
	fmt.Fprintf(&out, `# The fault suite

%d scenarios, %d of them failed. Made by

`+"```"+`
go test ./emulator/faults -timeout 60m -report%s
`+"```"+`

After each scenario: accepted = events × targets = pending + retrying + delivered + dead + skipped; every document keeps invariant A; every
target that lives in the end saw every acknowledged event; what is dead is among the dead letters; nothing is stuck ([doc.go](doc.go)).
Repeated are calls that a target got for a delivery that it had answered well before. Quiet is the virtual time from the start until
everything was final, looked at each ten minutes; for the last group it is real time, after the last start.
`, len(lines), failed, seedText())
	group := ""
	for _, l := range lines {
		if l.group != group {
			group = l.group
			fmt.Fprintf(&out, "\n## %s\n\n| scenario | faults | events | accepted | delivered | dead | skipped | unfinished | repeated | quiet | verdict |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n", group[2:])
		}
		verdict := "holds"
		if l.failed {
			verdict = "**FAILS**"
		}
		fmt.Fprintf(&out, "| %s | %s | %d | %d | %d | %d | %d | %d | %.2f %% | %s | %s |\n", l.scenario, l.faults, l.events, l.accepted, l.byState[finalDelivered],
			l.byState[finalDead], l.byState[finalSkipped], l.byState["pending"]+l.byState["retrying"], 100*float64(l.repeated)/float64(max(l.calls, 1)),
			l.quiet.Round(time.Second), verdict)
	}
	return out.String()
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
)

func TestReport(t *testing.T) {
	got := text([]result{
		{group: groupKills, scenario: "b", faults: "3", events: 2, accepted: 4, byState: map[string]int{"delivered": 3, "pending": 1}, calls: 8, repeated: 1, quiet: 90 * time.Second, failed: true},
		{group: groupLife, scenario: "a"},
	})
	for _, want := range []string{"2 scenarios, 1 of them failed", "| b | 3 | 2 | 4 | 3 | 0 | 0 | 1 | 12.50 % | 1m30s | **FAILS** |", "| a |  | 0 | 0 | 0 | 0 | 0 | 0 | 0.00 % | 0s | holds |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
