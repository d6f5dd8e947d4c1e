package telemetry

import "time"

// FlushEvery lets tests have metrics that are sent before an answer.
func (m *Metrics) FlushEvery(every time.Duration) {
	m.every = every
	m.flushed.Store(time.Now().UnixNano())
}

// Never is the clock of a reader that sends when it is told to.
const Never = never
