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
//	events/{eventKey}       id source type payload message execution targets[] created expireAt
//	deliveries/{deliveryID} event target type state reason attempts[<=25] lane due created changed expireAt
//
// The index (lane, due) over the collection group deliveries is all that delivering needs; the other fields are exempt from indexing.
//
// # What a crash does
//
//	dispatch: commit | publish    the same message comes again, finds itself in the event document and publishes what is pending
//	deliver:  POST | update       the message comes again: one duplicate
//	sweep:    claim | publish     due again in ClaimTime
//	a message is gone for good    due FirstDue after the event: sweep finds it
//
// # What it costs
//
//	an event with N targets       1 commit of 1 + N documents
//	an attempt                    1 read and 1 conditional update
//	a retry                       1 claim more
package ledger
