package action

import "time"

// State is where a delivery stands (callout.md section 7).
type State string

// The states. Pending and Retrying are unfinished; the others are final.
const (
	Pending   State = "pending"
	Retrying  State = "retrying"
	Delivered State = "delivered"
	Dead      State = "dead"
	Skipped   State = "skipped"
)

// Final says whether nothing more will be tried.
func (s State) Final() bool { return s == Delivered || s == Dead || s == Skipped }

// Known says whether this is one of the states above: a document of a later version may hold another one.
func (s State) Known() bool { return s == Pending || s == Retrying || s.Final() }

// Outcome says how one call of a target ended.
type Outcome string

// The outcomes.
const (
	Success Outcome = "success"
	Failed  Outcome = "failed"
	Timeout Outcome = "timeout"
)

// ErrorKind says what went wrong with a call, in a word that can be searched for; "" where nothing did.
type ErrorKind string

// The kinds of error of a call.
const (
	ErrorStatus     ErrorKind = "status"     // an answer that is not 2xx
	ErrorRedirect   ErrorKind = "redirect"   // 3xx: never followed
	ErrorTimeout    ErrorKind = "timeout"    // no answer in the target's time
	ErrorConnection ErrorKind = "connection" // no connection, or it broke
	ErrorName       ErrorKind = "name"       // the host name did not resolve
	ErrorTLS        ErrorKind = "tls"        // certificate or handshake
	ErrorDenied     ErrorKind = "denied"     // an address that may not be called
	ErrorPayload    ErrorKind = "payload"    // the body could not be made
)

// Attempt is one call of a target for a delivery.
type Attempt struct {
	// Number counts from 1.
	Number int
	Start  time.Time
	Took   time.Duration
	// Status is the HTTP status of the answer, 0 where there was none.
	Status  int
	Outcome Outcome
	Error   ErrorKind
	// Answer is the beginning of the answer's body, at most MaxAnswer bytes.
	Answer string
}

// MaxAnswer is how many bytes of an answer an attempt keeps.
const MaxAnswer = 4 << 10

// MaxAttempts is how many attempts a delivery remembers.
const MaxAttempts = 25

// Delivery is one event on its way to one target.
type Delivery struct {
	ID       DeliveryID
	Instance InstanceID
	Event    EventKey
	Target   TargetID
	// EventType is the type of the event, for people who search.
	EventType string
	State     State
	// Reason says why a delivery is dead, where its attempts do not.
	Reason string
	// Attempts holds what was tried, the oldest first; the last one's Number is how many there were.
	Attempts []Attempt
	// Before is how many attempts the schedule does not count: those before it was last put back by hand, and those that came early.
	Before int
	// Follows is the delivery of the interrupting target before this one, "" for none; Waits says that its success has not come yet.
	Follows DeliveryID
	Waits   bool
	// Unblocks are the deliveries that follow this one.
	Unblocks []DeliveryID
	// Held says why the delivery waits in its target's lane; "" where it does not.
	Held Hold
	// Shard spreads deliveries over the ranges of an index.
	Shard int
	// Lane and Due are set exactly while the delivery is unfinished: Due is when it is next looked at, Lane by whom.
	Lane             string
	Due              time.Time
	Created, Changed time.Time
	// Expires is when the record of a finished delivery is removed.
	Expires time.Time
}

// Tried is how many attempts there were.
func (d Delivery) Tried() int {
	if len(d.Attempts) == 0 {
		return 0
	}
	return d.Attempts[len(d.Attempts)-1].Number
}
