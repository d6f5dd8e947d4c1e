package telemetry

// The instruments. Their names are a promise: dashboards and alerts rest on them. Durations and ages are in seconds. Prometheus has "_" for
// ".", the unit at the end of a name, and "_total" at the end of a counter's: callout_hook_duration_seconds.
const (
	// HookDuration is how long a hook took, its targets included, by Condition and Outcome (one of the Hook words): a histogram.
	HookDuration = "callout.hook.duration"
	// DispatchDuration is how long it was from the queue's acceptance of an event until the event was recorded with its deliveries, by Outcome
	// (Matched or Unmatched): a histogram. A duplicate is not timed.
	DispatchDuration = "callout.dispatch.duration"
	// DeliveryDuration is how long it was from the recording of an event until its delivery to one target had ended, with all attempts and the
	// waits between them, by TargetType and Outcome (delivered or dead): a histogram. One that is put back by hand ends again, and counts from
	// its beginning. What is skipped, because the target before it was given up, is not timed.
	DeliveryDuration = "callout.delivery.duration"
	// AttemptDuration is how long one call of a target for a delivery took, by TargetType and Outcome (an action.Outcome): a histogram.
	AttemptDuration = "callout.attempt.duration"
	// Attempts counts the calls of targets for deliveries, by Outcome and, where one failed, ErrorType (an action.ErrorKind): a counter.
	Attempts = "callout.attempts"
	// QueueAge is how long the oldest delivery has been due that nobody has taken, by Lane: a gauge, of what the sweeper last saw. Only the
	// process that sweeps has it. In the lanes of targets a delivery is due from its beginning: this is how long it has been held.
	QueueAge = "callout.queue.age"
	// Valves is how many targets there are for which something is held, by ValveState: a gauge, of what the sweeper last saw, as QueueAge.
	// Open is an open breaker.
	Valves = "callout.valves"
	// RoutesAge is how long ago this process last learnt what has changed of targets, executions and valves: a gauge. It stays below two
	// seconds while events and hooks come; it grows where none do, and where the database fails.
	RoutesAge = "callout.routes.age"
	// RoutesStale counts the answers from routes that were older than two seconds, because the database could not be asked: a counter.
	RoutesStale = "callout.routes.stale"
)

// The attributes. Each has a few words for its values, and nothing of what a customer chose.
const (
	Condition  = "callout.condition"   // request, response or function
	Outcome    = "callout.outcome"     // of what it is about: see there
	TargetType = "callout.target.type" // an action.TargetType; Unknown where no target was called
	ErrorType  = "error.type"          // an action.ErrorKind
	Lane       = "callout.lane"        // LaneRetry or LaneTarget
	ValveState = "callout.valve.state" // an action.ValveState
)

// Unknown stands for every word that is not one of an attribute's.
const Unknown = "unknown"

// How a hook may end.
const (
	HookUnmatched = "unmatched" // no execution: no target was called
	HookSuccess   = "success"   // all targets did what they should, or will be called later
	HookDegraded  = "degraded"  // a target failed, and the call went on
	HookRejected  = "rejected"  // a target ended the call with an error for the caller
	HookFailed    = "failed"    // a target failed, and the call was stopped
	HookTimeout   = "timeout"   // as failed, for want of an answer in time
	HookCanceled  = "canceled"  // the caller went away
	HookInvalid   = "invalid"   // the hook was malformed
	HookError     = "error"     // Callout's own failure
)

// How the dispatch of an event may end.
const (
	Matched   = "matched"
	Unmatched = "unmatched"
)

// The kinds of lanes.
const (
	LaneRetry  = "retry"  // what waits for its next attempt
	LaneTarget = "target" // what a target's valve holds
)

// bounds are those of the histograms' buckets, in seconds: from a hook on the same machine to a delivery after an hour of retries. A target
// may be waited for 270 s.
var bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600}
