package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/callout-dev/callout/shared/action"
)

// BenchmarkListTargets reads a page of 100 without filter or offset: what it costs should not depend on how many targets there are, but for
// the count.
func BenchmarkListTargets(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b, nil)
			doc, err := s.encodeTarget(here, newTarget("t"))
			if err != nil {
				b.Fatal(err)
			}
			writer := s.client.BulkWriter(b.Context())
			start := now()
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
			}
			writer.End()
			q := action.TargetQuery{Page: action.Page{Limit: 100}, Sort: action.SortCreated}
			var counting time.Duration
			for b.Loop() {
				if page, total, err := s.ListTargets(b.Context(), here, q); err != nil || len(page) != 100 || total != n {
					b.Fatal(len(page), total, err)
				}
				b.StopTimer()
				began := time.Now()
				if _, err := count(b.Context(), s.collection(here, targets).Query); err != nil {
					b.Fatal(err)
				}
				counting += time.Since(began)
				b.StartTimer()
			}
			b.ReportMetric(float64(counting.Microseconds())/float64(b.N)/1000, "ms-of-which-count/op")
		})
	}
}
