package action

import "time"

// ChangeKind says what changed.
type ChangeKind string

// The kinds of change.
const (
	ChangeTarget    ChangeKind = "target"
	ChangeExecution ChangeKind = "execution"
	ChangeValve     ChangeKind = "valve"
)

// Change says that a document which processes keep in memory is different now: each commit that changes one tells so.
type Change struct {
	Instance InstanceID
	Kind     ChangeKind
	// ID is that of the target, of the execution, or of the target whose valve it is.
	ID string
	// At is when it changed, by the database's clock.
	At time.Time
}
