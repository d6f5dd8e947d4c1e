package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// printTable prints a row for each rate; below it what is reached on the way there, the first one first; and where the limits are from.
func printTable(out io.Writer, c costs, rates []float64) {
	l := published()
	fmt.Fprintf(out, "Events with one target that answers well. A million cost %.2f USD at the list prices of %s, without the functions' time.\n\n",
		billFor(1e6).together(), priceDate)
	fmt.Fprintf(out, "%10s %8s %8s %9s %8s %8s %12s  %s\n",
		"events/s", "shards", "publish", "dispatch", "deliver", "ramp", "USD a month", "first bottleneck as delivered")
	var plans []plan
	for _, rate := range rates {
		p := makePlan(c, l, rate)
		plans = append(plans, p)
		first := "none"
		if len(p.reached) > 0 {
			first = fmt.Sprintf("%s, at %s/s", p.reached[0].name, grouped(p.reached[0].rate))
		}
		fmt.Fprintf(out, "%10s %8s %8s %9s %8s %4.0f min %12s  %s\n", grouped(p.rate), grouped(p.shards),
			grouped(p.instances[0]), grouped(p.instances[1]), grouped(p.instances[2]), p.ramp, grouped(p.month), first)
	}
	fmt.Fprintf(out, "\npublish, dispatch and deliver: instances of one vCPU, %.0f %% busy, with %.0f, %.0f and %.0f requests at once.\n"+
		"ramp: how long traffic has to take from nothing to that rate. A month has 30 days.\n", busy*100, c.Publish.Concurrency, c.Dispatch.Concurrency, c.Deliver.Concurrency)
	for _, p := range plans {
		fmt.Fprintf(out, "\nReached before %s/s by an installation as delivered, and what to set for that rate:\n", grouped(p.rate))
		for _, b := range p.reached {
			fmt.Fprintf(out, "%10s/s  %-38s %s\n", grouped(b.rate), b.name, b.set(p))
		}
		if len(p.reached) == 0 {
			fmt.Fprintln(out, "  nothing")
		}
	}
	fmt.Fprintf(out, "\nLimits, as read on %s:\n", readDate)
	for _, x := range l.all() {
		fmt.Fprintf(out, "%12s %s\n%12s %s\n", grouped(x.value), x.what, "", x.page)
		if x.doubt != "" {
			fmt.Fprintf(out, "%12s not confirmed: %s\n", "", x.doubt)
		}
	}
	fmt.Fprint(out, "\nPrices: \"Pub/Sub pricing\", cloud.google.com/pubsub/pricing; \"Firestore pricing\", cloud.google.com/firestore/pricing,\n"+
		"not confirmed: read in copies of former versions, the present one's numbers for multi-regions were not to be seen.\n")
}

// grouped writes a whole number with commas.
func grouped(v float64) string {
	text := strconv.FormatFloat(v, 'f', 0, 64)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, parts...), ",")
}
