package main

// priceDate is of when the prices are: the table of infra/README.md has the same, and a test holds it against them.
const priceDate = "November 2026"

// List prices in USD, for 100,000 operations of a Firestore in a multi-region, and for a TiB into or out of Pub/Sub.
const (
	writePrice    = 0.18
	readPrice     = 0.06
	deletionPrice = 0.02
	bytePrice     = 40.0
	operations    = 1e5
	tebibyte      = 1 << 40
	// monthSeconds is a month of 30 days.
	monthSeconds = 30 * 24 * 3600
)

// bill is what events cost in USD, without the functions' time, storage and what leaves the cloud.
type bill struct{ writes, reads, deletions, messages float64 }

func billFor(events float64) bill {
	return bill{
		writes:    events * writesPerEvent / operations * writePrice,
		reads:     events * readsPerEvent / operations * readPrice,
		deletions: events * deletionsPerEvent / operations * deletionPrice,
		messages:  events * trafficPerEvent / tebibyte * bytePrice,
	}
}

// trafficPerEvent is how many bytes of messages are paid for: when they come and when they go.
const trafficPerEvent = 2 * messagesPerEvent * messageBytes

func (b bill) together() float64 { return b.writes + b.reads + b.deletions + b.messages }
