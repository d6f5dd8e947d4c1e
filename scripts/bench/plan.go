package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The parts of a run, in their order: what leaves most behind comes last.
const (
	partLatency    = "latency"
	partThroughput = "throughput"
	partHooks      = "hooks"
	partCost       = "cost"
	partSpread     = "spread"
	partNeighbour  = "neighbour"
	partBacklog    = "backlog"
	partLedger     = "ledger"
)

var parts = []string{partLatency, partThroughput, partHooks, partCost, partSpread, partNeighbour, partBacklog, partLedger}

// plan says what is measured.
type plan struct {
	parts         []string
	rounds        int
	rate          int
	latencyTime   time.Duration
	events        int
	batch         int
	senders       int
	payload       int
	targets       int
	neighbourTime time.Duration
	flood         int
	backlog       int
	ledger        int
	costRates     []int
	costTime      time.Duration
}

// parseParts reads a list like "latency,spread".
func parseParts(list string) ([]string, error) {
	var chosen []string
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(parts, name) {
			return nil, fmt.Errorf("-only: there is no part %q, but %s", name, strings.Join(parts, ", "))
		}
		chosen = append(chosen, name)
	}
	return chosen, nil
}

// parseRates reads a list like "100,200,400".
func parseRates(list string) (rates []int, err error) {
	for text := range strings.SplitSeq(list, ",") {
		rate, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("-cost-rates: %q is no number of events a second", text)
		}
		rates = append(rates, rate)
	}
	return rates, nil
}

func (p plan) has(part string) bool { return slices.Contains(p.parts, part) }

func (p plan) check() error {
	switch {
	case p.rounds < 1, p.rate < 1, p.latencyTime <= 0, p.events < 1, p.senders < 1:
		return errors.New("-rounds, -rate, -latency, -events and -senders must be at least 1")
	case p.batch < 1 || p.batch > 1000:
		return errors.New("-batch must be 1 to 1000")
	case p.payload < 1 || p.payload > 500<<10:
		return errors.New("-payload must be 1 to 512000")
	case p.targets < 1 || p.targets > 10_000:
		return errors.New("-targets must be 1 to 10000")
	case p.neighbourTime <= 0 || p.neighbourTime > 10*time.Minute:
		return errors.New("-neighbour must be over 0 and at most 10m")
	case p.flood < neighbourRate || p.flood > 1000*neighbourRate || p.flood%neighbourRate != 0:
		return fmt.Errorf("-flood must be a multiple of %d, up to %d", neighbourRate, 1000*neighbourRate)
	case p.backlog < 1 || p.backlog > 1_000_000:
		return errors.New("-backlog must be 1 to 1000000")
	case len(p.costRates) < 2 || slices.Min(p.costRates) < 1 || slices.Min(p.costRates) == slices.Max(p.costRates) || p.costTime <= 0:
		return errors.New("-cost-rates must be two rates at least, of 1 and more, and -cost over 0")
	case p.ledger < 1 || p.ledger > 10_000_000:
		return errors.New("-ledger must be 1 to 10000000")
	}
	return nil
}
