package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// report is a table: a row for each number, a column for each round, of which the median and the range are shown.
type report struct {
	rows []*row
}

type row struct {
	name, unit string
	bar        bar
	values     series
}

// bar is what a number has to keep to; the zero value is none.
type bar struct {
	limit float64
	most  bool // the limit is the most, not the least
	off   bool // the limit is how far from 1 it may be
}

func (b bar) format(v float64) string {
	if b.limit == 0 {
		return ""
	}
	word, kept := "at least", v >= b.limit
	if b.most {
		word, kept = "at most", v <= b.limit
	}
	if b.off {
		word, kept = "from 1 at most", math.Abs(v-1) <= b.limit
	}
	verdict := "kept"
	if !kept {
		verdict = "MISSED"
	}
	return fmt.Sprintf("   %s %g: %s", word, b.limit, verdict)
}

// add notes a round's number in the row of that name, which the first one makes.
func (r *report) add(name, unit string, v float64) { r.addAgainst(name, unit, v, bar{}) }

func (r *report) addAgainst(name, unit string, v float64, against bar) {
	i := slices.IndexFunc(r.rows, func(w *row) bool { return w.name == name })
	if i < 0 {
		r.rows = append(r.rows, &row{name: name, unit: unit, bar: against})
		i = len(r.rows) - 1
	}
	r.rows[i].values.add(v)
}

// addLatency notes median and 99th percentile of a round, and gives them in ms.
func (r *report) addLatency(name string, durations []time.Duration) (p50, p99 float64) {
	p50, p99 = percentile(durations, 50), percentile(durations, 99)
	r.add(name+", p50", "ms", p50)
	r.add(name+", p99", "ms", p99)
	return p50, p99
}

func (r *report) print(out io.Writer) {
	fmt.Fprintf(out, "\n%-58s %s\n", "", "median [lowest .. highest]")
	for _, w := range r.rows {
		fmt.Fprintf(out, "%-58s %s%s\n", w.name, w.values.format(w.unit), w.bar.format(w.values.median()))
	}
}
