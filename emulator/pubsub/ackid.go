package pubsub

import "encoding/base64"

// ackID says which handing out of which message an acknowledgement speaks of.
type ackID struct {
	sub  id
	seq  seq
	turn uint64
}

func (a ackID) String() string {
	b := make([]byte, 0, 24)
	b = appendUint64(appendUint64(appendUint64(b, uint64(a.sub)), uint64(a.seq)), a.turn)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseAckID(s string) (a ackID, ok bool) {
	if len(s) != 32 {
		return a, false
	}
	var b [24]byte
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s)); err != nil || n != len(b) { // it skips line ends
		return a, false
	}
	sub, rest, _ := cutUint64(b[:])
	n, rest, _ := cutUint64(rest)
	turn, _, _ := cutUint64(rest)
	return ackID{sub: id(sub), seq: seq(n), turn: turn}, true
}

// maxAckIDs is how many bytes of ids one request may name (https://cloud.google.com/pubsub/quotas#resource_limits).
const maxAckIDs = 512 << 10

// parseAckIDs reads all or names the first that is none.
func parseAckIDs(field string, sub id, in []string) ([]ackID, error) {
	size := 0
	for _, s := range in {
		if size += len(s); size > maxAckIDs {
			return nil, invalid(field, "are more than %d bytes", maxAckIDs)
		}
	}
	ids := make([]ackID, len(in))
	for i, s := range in {
		a, ok := parseAckID(s)
		if !ok || a.sub != sub {
			return nil, invalid(field, "has at index %d an id that is not of this subscription: %q", i, clip(s))
		}
		ids[i] = a
	}
	return ids, nil
}
