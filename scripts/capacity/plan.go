package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// bottleneck is a limit of an installation as infra sets it up, and the rate of events at which it is reached.
type bottleneck struct {
	name string
	rate float64             // events a second
	set  func(p plan) string // what to do about it at a rate
}

// bottlenecks lists what stops an installation with one target for each event, the first one first. Retries and further targets bring each one
// nearer.
func bottlenecks(c costs, l limits) []bottleneck {
	bytes := messagesPerEvent * messageBytes
	list := []bottleneck{
		{"Firestore: rising index of a shard", l.indexWrites.value / risingWrites, plan.shardSetting},
		{"Firestore: writes of a database", l.databaseWrites.value / writesPerEvent, always("ask Google, or spread instances over databases")},
		{"Pub/Sub: bytes published in a region", l.publishBytes.value / bytes, always("raise the quota: publisher throughput")},
		{"Pub/Sub: bytes pushed in a region", l.pushBytes.value / bytes, always("raise the quota: push subscriber throughput")},
	}
	for n, f := range c.functions() {
		if f.name != "publish" {
			list = append(list, bottleneck{"Pub/Sub: push window of " + f.name, l.pushWindow.value / f.Millis * 1000, always("publish in more regions")})
		}
		list = append(list, bottleneck{"Cloud Run: instances of " + f.name, f.Instances * f.perInstance(), func(p plan) string {
			text := fmt.Sprintf("max = %.0f for %s in infra/gcp/locals.tf", p.instances[n], f.name)
			if p.instances[n] > l.instances.value {
				text += ", and the region's quota"
			}
			return text
		}})
	}
	slices.SortStableFunc(list, func(a, b bottleneck) int { return cmp.Compare(a.rate, b.rate) })
	return list
}

func always(text string) func(plan) string { return func(plan) string { return text } }

// perInstance is how many events a second an instance of one vCPU takes: as many as its processor or its places are good for.
func (f function) perInstance() float64 {
	return math.Min(busy*1000/f.ProcessorMillis, f.Concurrency*1000/f.Millis)
}

// plan says what a rate needs.
type plan struct {
	rate      float64
	shards    float64      // CALLOUT_SHARDS; it may be more than can be set
	ramp      float64      // minutes
	instances []float64    // of publish, dispatch and deliver
	reached   []bottleneck // before this rate, the first one first
	month     float64      // USD, without the functions' time
}

func makePlan(c costs, l limits, rate float64) plan {
	p := plan{rate: rate, month: billFor(rate * monthSeconds).together()}
	p.shards = math.Max(math.Ceil(rate*risingWrites/l.indexWrites.value), 1)
	if steps := math.Log(rate*deliveryOperations/l.rampStart.value) / math.Log(rampGrowth); steps > 0 {
		p.ramp = math.Ceil(steps) * rampMinutes
	}
	for _, f := range c.functions() {
		p.instances = append(p.instances, math.Ceil(rate/f.perInstance()))
	}
	for _, b := range bottlenecks(c, l) {
		if b.rate < rate*(1-1e-9) { // instances times their rate are rounded
			p.reached = append(p.reached, b)
		}
	}
	return p
}

func (p plan) shardSetting() string {
	if p.shards <= maxShards {
		return fmt.Sprintf("CALLOUT_SHARDS=%.0f", p.shards)
	}
	databases := math.Ceil(p.shards / maxShards)
	return fmt.Sprintf("CALLOUT_SHARDS=%.0f in each of %.0f databases", math.Ceil(p.shards/databases), databases)
}
