// Command capacity computes what Callout needs in the cloud at a rate of events: what stops it first, what to set, and what that costs a month.
// Nothing is measured here and nothing asked: the numbers are those of costs.go, which a file may replace, of prices.go, and the limits that
// Google publishes, each with the page it is from. What one machine does is predicted with the line of scripts/bench -only cost.
//
//	go run ./scripts/capacity
//	go run ./scripts/capacity -costs costs.json
//	go run ./scripts/capacity -processors 4
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	err := run(os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("capacity", flag.ContinueOnError)
	file := flags.String("costs", "", "`file` of JSON with other costs: "+
		`{"deliver":{"processorMillis":0.5,"millis":140,"concurrency":500,"instances":40},…}`)
	processors := flags.Float64("processors", 0, "predicts what one machine with so many processors does, everything on it, instead of the table")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c := measuredCosts()
	if *file != "" {
		text, err := os.ReadFile(*file)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &c); err != nil {
			return fmt.Errorf("%s: %w", *file, err)
		}
	}
	if err := c.check(); err != nil {
		return err
	}
	switch {
	case *processors < 0:
		return errors.New("-processors must be over 0")
	case *processors > 0:
		fmt.Fprintf(out, "one machine, %g processors: %s events/s at most, with the sender on it; scripts/bench -only cost tells how far off that is\n",
			*processors, grouped(c.Machine.line().Most(*processors)))
		return nil
	}
	printTable(out, c, []float64{1e3, 1e4, 1e5, 1e6})
	return nil
}
