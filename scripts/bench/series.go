package main

import (
	"fmt"
	"slices"
	"time"
)

// series holds one number of each round.
type series []float64

func (s *series) add(v float64) { *s = append(*s, v) }

func (s series) format(unit string) string {
	sorted := slices.Sorted(slices.Values(s))
	digits := 2
	if unit == "/s" {
		digits = 0
	}
	return fmt.Sprintf("%10.*f %-3s [%.*f .. %.*f]", digits, sorted[len(sorted)/2], unit, digits, sorted[0], digits, sorted[len(sorted)-1])
}

// percentile is the smallest of the durations that p per cent do not exceed, in milliseconds.
func percentile(durations []time.Duration, p int) float64 {
	if len(durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	at := (len(sorted)*p+99)/100 - 1
	return float64(sorted[max(at, 0)]) / float64(time.Millisecond)
}
