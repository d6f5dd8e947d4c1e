package pubsub

import (
	"encoding/binary"
	"time"
)

// The keys of this service in the shared store. All start with 'p'; the second byte says what the record is. Sequence numbers and ids are
// eight bytes, big-endian, so that the order of keys is the order of publishing.
//
//	pt<name>                 topic: id, then google.pubsub.v1.Topic
//	ps<name>                 subscription: id, topic id, then google.pubsub.v1.Subscription
//	pk<name>                 snapshot: id, topic id, cursor, read, then google.pubsub.v1.Snapshot
//	pm<topic><sequence>      message: publish time, then google.pubsub.v1.PubsubMessage without id and time
//	pc<subscription>         progress: cursor (all up to it is done with), time of last activity
//	pd<subscription><seq>    mark on one message above the cursor: acknowledged, or failed so often and due then
//	pe<snapshot><seq>        above the cursor: not acknowledged when the snapshot was taken (empty), or acknowledged (zero)
//	ph                       the highest sequence number ever given
const (
	kindTopic        = 't'
	kindSubscription = 's'
	kindSnapshot     = 'k'
	kindMessage      = 'm'
	kindProgress     = 'c'
	kindMark         = 'd'
	kindSnapshotMark = 'e'
	kindHighest      = 'h'
)

// seq numbers a message. It is the microsecond of its publishing or the number after the one before, whichever is more: numbers rise with
// the publish time, never come twice even if the clock is set back, and read like production's message ids.
type seq uint64

// id numbers a topic, subscription or snapshot; one that is deleted and made again is another. They come from the same source as seq.
type id = seq

func nameKey(kind byte, name string) []byte { return append([]byte{'p', kind}, name...) }

func idKey(kind byte, i id) []byte {
	return binary.BigEndian.AppendUint64([]byte{'p', kind}, uint64(i))
}

func seqKey(kind byte, i id, n seq) []byte {
	k := make([]byte, 0, 18)
	k = append(k, 'p', kind)
	k = binary.BigEndian.AppendUint64(k, uint64(i))
	return binary.BigEndian.AppendUint64(k, uint64(n))
}

// seqOf reads the number at the end of a key that seqKey made.
func seqOf(key []byte) seq { return seq(binary.BigEndian.Uint64(key[len(key)-8:])) }

// kindRange is the bounds of all keys of a kind.
func kindRange(kind byte) (lower, upper []byte) { return []byte{'p', kind}, []byte{'p', kind + 1} }

// seqRange is the bounds of the keys from up to and including to.
func seqRange(kind byte, i id, from, to seq) (lower, upper []byte) {
	if to == ^seq(0) {
		return seqKey(kind, i, from), idKey(kind, i+1)
	}
	return seqKey(kind, i, from), seqKey(kind, i, to+1)
}

// seqAt is the least number that a message published at t can have.
func seqAt(t time.Time) seq {
	if us := t.UnixMicro(); us > 0 {
		return seq(us)
	}
	return 0
}

func appendUint64(b []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(b, v) }

func putUint64(b []byte, v uint64) { binary.BigEndian.PutUint64(b, v) }

// cutUint64 takes eight bytes off the front of b.
func cutUint64(b []byte) (v uint64, rest []byte, ok bool) {
	if len(b) < 8 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint64(b), b[8:], true
}
