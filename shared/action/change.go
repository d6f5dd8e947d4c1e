package action

import "time"

// ChangeKind says what sort of thing a change was of.
type ChangeKind string

// The kinds, as stored.
const (
	ChangeTarget    ChangeKind = "target"    // a target was created, changed or removed; ID is a TargetID
	ChangeExecution ChangeKind = "execution" // an execution was set; ID is an ExecutionID
	ChangeValve     ChangeKind = "valve"     // the valve of a target was opened, moved or closed; ID is a TargetID
	ChangeCatalogue ChangeKind = "catalogue" // a host's part of the catalogue was set or removed; ID is a HostName
	ChangeWebKeys   ChangeKind = "webKeys"   // the web keys were rotated; ID is WebKeysID
)

// Change says that something is not as it was. Whoever keeps copies drops the one that is named here; what it became is not said.
type Change struct {
	Instance InstanceID
	Kind     ChangeKind
	// ID names what changed. "" stands for whatever there is: the reader should trust no copy.
	ID string
	// At is the server's time of the commit, and Key the name of the document in the feed, unique in its instance. Both are empty in what
	// a process is told of its own changes.
	At  time.Time
	Key string
}

// MaxChanges is how many changes a look at the feed gives at most: at that many, there may be more.
const MaxChanges = 1000

// ChangeKept is how long the feed keeps a change. Who has not looked for a good part of that must trust no copy.
const ChangeKept = time.Hour
