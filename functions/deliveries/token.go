package deliveries

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/ledger"
)

// A token says where a page ended: a version, when the last delivery of it was made (microseconds), the delivery's id, and a sum over these,
// the instance and the filter. The sum is no secret and need not be one: whoever makes a token by hand gets a page of their own instance
// that a search would have given them too. It tells apart what is damaged, of another filter or of another instance.
const (
	tokenVersion = 1
	idLength     = 26
	sumLength    = 16
	tokenLength  = 1 + 8 + idLength + sumLength
)

var errToken = errs.Newf(errs.InvalidArgument, "pageToken is not one that a search with this filter has given")

// encodeToken makes the token of a position.
func encodeToken(instance action.InstanceID, f action.DeliveryFilter, p ledger.Position) string {
	raw := make([]byte, 0, tokenLength)
	raw = append(raw, tokenVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.Created.UnixMicro()))
	raw = append(raw, p.ID...)
	return base64.RawURLEncoding.EncodeToString(append(raw, tokenSum(instance, f, raw)...))
}

// decodeToken is its inverse; "" is the beginning.
func decodeToken(instance action.InstanceID, f action.DeliveryFilter, token string) (ledger.Position, error) {
	if token == "" {
		return ledger.Position{}, nil
	}
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenLength) {
		return ledger.Position{}, errToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenLength || raw[0] != tokenVersion {
		return ledger.Position{}, errToken
	}
	body, sum := raw[:tokenLength-sumLength], raw[tokenLength-sumLength:]
	id := action.DeliveryID(body[9:])
	if subtle.ConstantTimeCompare(sum, tokenSum(instance, f, body)) == 0 || !id.Valid() {
		return ledger.Position{}, errToken
	}
	return ledger.Position{Created: time.UnixMicro(int64(binary.BigEndian.Uint64(body[1:]))).UTC(), ID: id}, nil
}

// tokenSum binds a token to its filter: the order of the states and what zone a time is in do not matter.
func tokenSum(instance action.InstanceID, f action.DeliveryFilter, body []byte) []byte {
	states := slices.Clone(f.States)
	slices.Sort(states)
	held := "any"
	if f.Held != nil {
		held = fmt.Sprint(*f.Held)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d %d %s %q %x", instance, slices.Compact(states), f.Target, f.EventType,
		micros(f.From), micros(f.To), held, f.Text, body))
	return sum[:sumLength]
}

// micros tells no time from all times, the zero time among them.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return -1 << 63
	}
	return t.UnixMicro()
}
