package console

import (
	"fmt"
	"time"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// series counts what became of deliveries over time, by when they were made.
type series struct {
	from   time.Time
	bucket time.Duration
	counts []counts
}

// counts are those of one part of the time.
type counts struct {
	all, failing             int
	delivered, waiting, dead int
	attempts, failed         int
	took                     []float64 // of last attempts, in milliseconds
	// weight is how many deliveries each one read stands for.
	weight float64
}

func newSeries(from, to time.Time, parts int) *series {
	s := &series{from: from, bucket: to.Sub(from) / time.Duration(parts), counts: make([]counts, parts)}
	for i := range s.counts {
		s.counts[i].weight = 1
	}
	return s
}

// add counts a delivery by when it was made.
func (s *series) add(d *calloutv1.Delivery) {
	at := int(d.GetCreated().AsTime().Sub(s.from) / s.bucket)
	s.counts[min(max(at, 0), len(s.counts)-1)].add(d)
}

// add counts a delivery by its state, and its last attempt by how it ended.
func (c *counts) add(d *calloutv1.Delivery) {
	c.all++
	switch d.State {
	case "delivered":
		c.delivered++
	case "dead":
		c.dead++
	case "pending", "retrying":
		c.waiting++
	}
	if len(d.Attempts) == 0 {
		return
	}
	last := d.Attempts[len(d.Attempts)-1]
	c.attempts += int(d.AttemptCount)
	if c.failed += int(d.AttemptCount); last.Outcome == "success" {
		c.failed-- // all before it have failed, or it would not have been tried again; but for those that were put back by hand
	} else {
		c.failing++
	}
	c.took = append(c.took, last.DurationMs)
}

// standFor has what was counted, of the newest part of a time, stand for all of it.
func (c *counts) standFor(whole, part time.Duration) {
	c.weight = float64(whole) / float64(max(part, whole/1e6))
}

// sum adds a number of each part up, weighted.
func (s *series) sum(number func(counts) int) (all float64) {
	for _, c := range s.counts {
		all += c.weight * float64(number(c))
	}
	return all
}

// read is how many deliveries were read.
func (s *series) read() (all int) {
	for _, c := range s.counts {
		all += c.all
	}
	return all
}

// figures are the share of failures in percent, and the median and the 95th percentile of the latency; each is "–" without attempts.
func (s *series) figures() (share, median, slow string) {
	var took []weighted
	for _, c := range s.counts {
		for _, ms := range c.took {
			took = append(took, weighted{ms, c.weight})
		}
	}
	attempts := s.sum(func(c counts) int { return c.attempts })
	if len(took) == 0 || attempts == 0 {
		return "–", "–", "–"
	}
	failed := s.sum(func(c counts) int { return c.failed })
	return fmt.Sprintf("%.1f %%", 100*failed/attempts), milliseconds(quantile(took, 0.5)), milliseconds(quantile(took, 0.95))
}

// tiles are the numbers of all of the time.
func (s *series) tiles(estimated bool) []tile {
	number := func(of func(counts) int) string {
		if n := s.sum(of); estimated {
			return "≈ " + rounded(n)
		} else {
			return fmt.Sprintf("%.0f", n)
		}
	}
	all := s.sum(func(c counts) int { return c.all })
	dead := s.sum(func(c counts) int { return c.dead })
	share, median, slow := s.figures()
	const list = root + "deliveries?since=1h"
	return []tile{
		{Title: "Deliveries", Value: number(func(c counts) int { return c.all }), Beside: rate(all, hour) + " on average", Link: list},
		{Title: "Delivered", Value: number(func(c counts) int { return c.delivered }), Beside: "arrived", Link: list + "&state=delivered"},
		{Title: "Under way", Value: number(func(c counts) int { return c.waiting }), Beside: "pending or retrying"},
		{Title: "Dead", Value: number(func(c counts) int { return c.dead }), Beside: "given up", Link: list + "&state=dead", Alarm: dead > 0},
		{Title: "Failed attempts", Value: share, Beside: "of all attempts"},
		{Title: "Latency", Value: median, Beside: "95 % within " + slow},
	}
}
