package main

import (
	"errors"

	"github.com/callout-dev/callout/scripts/capacity/machine"
)

// function is what one event costs a function, and how it is set up.
type function struct {
	// ProcessorMillis is the processor time of an event, and Millis how long it occupies a request, both in ms.
	ProcessorMillis float64 `json:"processorMillis"`
	Millis          float64 `json:"millis"`
	// Concurrency is how many requests an instance has under way, and Instances how many of them there are at most.
	Concurrency float64 `json:"concurrency"`
	Instances   float64 `json:"instances"`
}

// oneMachine is the line of processor time where everything runs on one: Fixed in processors, EventMillis in ms for a further event.
type oneMachine struct {
	Fixed       float64 `json:"fixed"`
	EventMillis float64 `json:"eventMillis"`
}

func (m oneMachine) line() machine.Line {
	return machine.Line{Fixed: m.Fixed, Event: m.EventMillis / 1000}
}

// costs are those of the functions on the way of an event with one target that answers well.
type costs struct {
	Publish  function   `json:"publish"`
	Dispatch function   `json:"dispatch"`
	Deliver  function   `json:"deliver"`
	Machine  oneMachine `json:"machine"`
}

// measuredCosts has processor times out of /proc, each function in a process of its own beside the emulator, on two shared processors, at
// 100 events a second in batches of 10 for 20 s, on 2026-11-23: at such a rate little is worked off together, so they are rather too high.
// Millis are assumed, for services that are a network away: 20 ms for a publish or a commit, a target that answers within 100 ms, and 10
// events in a request. Concurrency and instances are those of infra/functions.json and infra/gcp/locals.tf. The machine's line is the median of
// five runs of scripts/bench -only cost on two processors on 2026-11-24; the sender is part of it.
func measuredCosts() costs {
	return costs{
		Publish:  function{ProcessorMillis: 0.16, Millis: 2, Concurrency: 80, Instances: 20},
		Dispatch: function{ProcessorMillis: 0.58, Millis: 40, Concurrency: 32, Instances: 20},
		Deliver:  function{ProcessorMillis: 0.78, Millis: 140, Concurrency: 500, Instances: 40},
		Machine:  oneMachine{Fixed: 0.01, EventMillis: 1.39},
	}
}

// named is a function with its name.
type named struct {
	name string
	function
}

// functions lists them in the order in which an event meets them.
func (c costs) functions() []named {
	return []named{{"publish", c.Publish}, {"dispatch", c.Dispatch}, {"deliver", c.Deliver}}
}

func (c costs) check() error {
	for _, f := range c.functions() {
		if f.ProcessorMillis <= 0 || f.Millis <= 0 || f.Concurrency <= 0 || f.Instances <= 0 {
			return errors.New("processorMillis, millis, concurrency and instances of " + f.name + " must be over 0")
		}
	}
	if c.Machine.EventMillis <= 0 {
		return errors.New("eventMillis of machine must be over 0")
	}
	return nil
}

// What an event with one target does to the services (package ledger, and infra/README.md).
const (
	writesPerEvent    = 3.0 // the event, its delivery, the attempt
	readsPerEvent     = 1.0
	deletionsPerEvent = 2.0 // of the event and its delivery, when they expire
	messagesPerEvent  = 2.0
	messageBytes      = 1250.0 // with what Pub/Sub adds to it
	// risingWrites are those of an event that change an index which rises with time: its delivery is made, and finished with the attempt. All
	// such indexes begin with the lane or the shard (infra/firestore.indexes.json).
	risingWrites = 2.0
	// deliveryOperations are those of an event in the busiest collection: the delivery is made, read and finished.
	deliveryOperations = 3.0
)
