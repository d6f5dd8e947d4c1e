// Package ledger records events and what becomes of them. Every event has one document and every (event, target) pair one, so the law
//
//	accepted = delivery documents = pending + retrying + delivered + dead + skipped
//
// is a count by state: there are no counters to drift.
//
// # Invariants
//
//	A  unfinished (pending, retrying) <=> lane and due are set; final (delivered, dead, skipped) <=> both are absent and expireAt is set.
//	B  whoever works on a delivery has moved its due into the future: due is schedule, lease and safety net in one field.
//
// # Documents, under instances/{instance}
//
//	events/{eventKey}       id source type payload message execution targets[] created expireAt erased
//	deliveries/{deliveryID} event target type state reason attempts[<=25] before follows waits unblocks[] held lane due shard created changed expireAt
//	valves/{target}         state reason since rate waitMillis next judged idle lastGood lastBad: only for targets in trouble
//	changes/{random}        kind id at expireAt: tells every process which valve is different now (package routing reads them)
//
// A lane is "s<shard>" normally and "t<instance>/<target>" while the target's valve holds the delivery. In a shard's lane due is when the next
// attempt is due. In a target's lane it is when the delivery was made, so that the oldest goes first, and in the future while a released one is
// under way. The index (lane, due) over the collection group deliveries is all that delivering needs.
//
// # Valves
//
// A breaker, slowness, 410, a pause, a rate and a removed target are one mechanism: a valve document exists while the target is in trouble.
// Functions that see it put deliveries into the target's lane, at the cost of one write at most, however long they lie there; the sweeper
// decides (Turned) and releases. Notes of how attempts end (StampValve) are all that others write on it. An order rules out that anything is
// forgotten: the valve is written before what it holds, and a lane that nobody looks at is found by the sweeper's survey each minute.
//
// # What a crash does
//
//	dispatch: commit | publish       the same message comes again, finds itself in the event document and publishes what is pending
//	deliver:  POST | update          the message comes again: one duplicate
//	deliver:  update | free | ack    the commit that ends a delivery frees or skips what follows it; the message comes again and publishes that
//	deliver:  valve | hold           the message comes again and finds the valve
//	sweep:    claim | publish        due again in ClaimTime
//	sweep:    valve | release        the valve is looked at again within seconds
//	a message is gone for good       due FirstDue after the event: sweep finds it
//
// # What it costs
//
//	an event with N targets       1 commit of 1 + N documents
//	an attempt                    1 read and 1 conditional update
//	a retry                       1 claim more, 200 claims in one call
//	a hold                        nothing where dispatch sees the valve, else 1 update; 1 claim when it is released
//	a chain                       the update that ends an interrupting delivery carries those of its followers; 1 read for them
package ledger
