// Package faults is the fault suite of the whole product. It breaks one thing at a time — each RPC that writes or reads on the path of an
// event, what changes of the configuration need, the pushes, the database, the targets, the processes — and asks the same of the ledger and
// of the targets each time:
//
//   - accepted = events × targets = pending + retrying + delivered + dead + skipped
//   - invariant A of every document (package ledger)
//   - every target that lives in the end saw every acknowledged event at least once, and what is dead is among the dead letters
//   - nothing is stuck: nothing unfinished is due for more than an hour, and no lane of a target is without a valve
//   - a delivery is put into its target's lane once for each attempt at most
//
// All scenarios, with their table in REPORT.md as the result; -v prints a line for each when it ends:
//
//	go test ./emulator/faults -timeout 60m -report
//
// Without -report a scenario or two of each kind of fault runs, with few events, shorter troubles and one round of kills, for CI; the report
// alone has pauses, a clock that goes back, and each RPC broken on its own. With -short none runs that starts processes. Every scenario
// has a seed, which decides what is broken; -seed sets another one.
//
// TestKilledReplicas runs several processes of each function behind what a load balancer does, kills one a second, for ten seconds or a
// minute, and counts the hooks that fail meanwhile, for hosts that ask once and for hosts that repeat once.
package faults
