package main

import (
	"fmt"
	"slices"
	"time"
)

// series holds one number of each round.
type series []float64

func (s *series) add(v float64) { *s = append(*s, v) }

// median is the upper one of an even number, and 0 of none.
func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(s))[len(s)/2]
}

func (s series) format(unit string) string {
	if len(s) == 0 {
		return "-"
	}
	digits := 2
	if unit == "/s" || unit == "" {
		digits = 0
	}
	return fmt.Sprintf("%10.*f %-3s [%.*f .. %.*f]", digits, s.median(), unit, digits, slices.Min(s), digits, slices.Max(s))
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

// tenths is the median of the 99th percentiles, in ms, of ten parts that follow each other: a stall of the whole machine is in one of them or
// two, and what a neighbour does all the time is in each.
func tenths(durations []time.Duration) float64 {
	var all series
	size := max(len(durations)/10, 1)
	for part := range slices.Chunk(durations, size) {
		if len(part) == size {
			all.add(percentile(part, 99))
		}
	}
	return all.median()
}
