// Package faults is the fault suite of the whole product. It breaks one thing at a time — each RPC that writes or reads on the path of an
// event, the pushes, the database, the targets, the processes — and asks the same of the ledger and of the targets each time:
//
//   - accepted = events × targets = pending + retrying + delivered + dead + skipped
//   - invariant A of every document (package ledger)
//   - every target that lives in the end saw every acknowledged event at least once, and what is dead is among the dead letters
//   - nothing is stuck: nothing unfinished is due for more than an hour, and no lane of a target is without a valve
//   - a delivery is put into its target's lane once for each attempt at most
//
// All scenarios, with the table of REPORT.md as the result; it takes a quarter of an hour or two:
//
//	go test ./emulator/faults -timeout 60m -report
//
// Without -report a part of them runs, for CI; with -short none that starts processes. Every scenario has a seed, which decides what is
// broken; -seed sets another one.
package faults
