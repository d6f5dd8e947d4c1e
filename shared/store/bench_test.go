package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

const few, many = 1_000, 100_000

// BenchmarkPage reads the first page of 100, by date, among many and among few: what it costs should not depend on how many there are. The
// first list after a change counts besides; what that takes is reported by itself.
func BenchmarkPage(b *testing.B) {
	q := action.Page{Limit: 100}
	lists := map[string]func(*testing.B, *Store, int){
		"targets": func(b *testing.B, s *Store, n int) {
			page, total, err := s.ListTargets(b.Context(), here, action.TargetQuery{Page: q, Sort: action.SortCreated})
			if err != nil || len(page) != 100 || total != n {
				b.Fatal(len(page), total, err)
			}
		},
		"executions": func(b *testing.B, s *Store, n int) {
			page, total, err := s.ListExecutions(b.Context(), here, action.ExecutionQuery{Page: q, Sort: action.SortCreated})
			if err != nil || len(page) != 100 || total != n {
				b.Fatal(len(page), total, err)
			}
		},
	}
	small, large := filled(b, few), filled(b, many)
	for name, list := range lists {
		b.Run(name, func(b *testing.B) {
			times := beside(b, func() { list(b, small, few) }, func() { list(b, large, many) })
			began := time.Now()
			if _, err := count(b.Context(), large.collection(here, name).Query); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(milliseconds(time.Since(began)), "ms-to-count-many")
			report(b, times)
		})
	}
}

// BenchmarkCreate makes a target, and sets an execution, among many and among few.
func BenchmarkCreate(b *testing.B) {
	n := 0
	create := func(s *Store) func() {
		return func() {
			n++
			if _, err := s.CreateTarget(b.Context(), here, newTarget(action.TargetID(fmt.Sprint("new", n)))); err != nil {
				b.Fatal(err)
			}
		}
	}
	set := func(s *Store) func() {
		return func() {
			n++
			c, err := action.ParseExecutionID(action.ExecutionID(fmt.Sprint("event/new.", n)))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.SetExecution(b.Context(), here, c, []action.TargetID{"t0"}); err != nil {
				b.Fatal(err)
			}
		}
	}
	small, large := filled(b, few), filled(b, many)
	b.Run("target", func(b *testing.B) { report(b, beside(b, create(small), create(large))) })
	b.Run("execution", func(b *testing.B) { report(b, beside(b, set(small), set(large))) })
}

// filled is a store with so many targets and executions.
func filled(b *testing.B, n int) *Store {
	s := open(b, nil)
	doc, err := s.encodeTarget(here, newTarget("t"))
	if err != nil {
		b.Fatal(err)
	}
	writer := s.client.BulkWriter(context.Background())
	start := now().Add(-time.Hour)
	for i := range n {
		id := action.TargetID(fmt.Sprint("t", i))
		if i >= n-100 { // those on the page, whose secrets are opened
			if doc, err = s.encodeTarget(here, newTarget(id)); err != nil {
				b.Fatal(err)
			}
		}
		doc.Created = start.Add(time.Duration(i) * time.Millisecond)
		if _, err := writer.Create(s.target(here, id), doc); err != nil {
			b.Fatal(err)
		}
		e := executionDoc{ID: fmt.Sprint("event/a.", i), Targets: []string{string(id)}, datesDoc: datesDoc{Created: doc.Created, Changed: doc.Created}}
		if _, err := writer.Create(s.execution(here, action.ExecutionID(e.ID)), e); err != nil {
			b.Fatal(err)
		}
	}
	writer.End()
	return s
}

// beside runs two things in turn and gives what each run took.
func beside(b *testing.B, first, second func()) (times [2][]time.Duration) {
	run := []func(){first, second}
	for b.Loop() {
		for i := range run {
			began := time.Now()
			run[i]()
			times[i] = append(times[i], time.Since(began))
		}
	}
	return times
}

// report tells the medians, and how many times the one among few that among many is.
func report(b *testing.B, times [2][]time.Duration) {
	small, large := median(times[0]), median(times[1])
	b.ReportMetric(milliseconds(small), fmt.Sprintf("ms-of-%d", few))
	b.ReportMetric(milliseconds(large), fmt.Sprintf("ms-of-%d", many))
	b.ReportMetric(float64(large)/float64(small), "x")
}

func median(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
