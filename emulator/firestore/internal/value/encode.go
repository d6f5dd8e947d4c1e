package value

import (
	"encoding/binary"
	"math"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// MaxIndexed is how many bytes of an encoded value an index keeps. What is longer is cut: entries still sort right, but values that
// share the first MaxIndexed bytes are not told apart, so whoever reads an index looks at the documents too.
const MaxIndexed = 1500

// listEnd ends a list of values; it sorts before every class, so a shorter list comes first.
const listEnd = 0

// AppendIndexed appends the encoding of v, cut to MaxIndexed, and says whether it was cut.
func AppendIndexed(dst []byte, v *pb.Value) (_ []byte, cut bool) {
	start := len(dst)
	dst = Append(dst, v)
	if len(dst)-start > MaxIndexed {
		return dst[:start+MaxIndexed], true
	}
	return dst, false
}

// Invert turns an encoding around, so that it sorts the other way. Encodings are prefix-free, so this is all it takes.
func Invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// Append appends the encoding of v. Two encodings compare as bytes exactly as their values do by Compare, and none is a prefix of another.
func Append(dst []byte, v *pb.Value) []byte {
	class := ClassOf(v)
	dst = append(dst, byte(class))
	switch class {
	case Boolean:
		if v.GetBooleanValue() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case Number:
		return appendNumber(dst, v)
	case Timestamp:
		return binary.BigEndian.AppendUint64(dst, uint64(Micros(v.GetTimestampValue()))^1<<63)
	case String:
		return resource.AppendText(dst, v.GetStringValue())
	case Bytes:
		return resource.AppendText(dst, v.GetBytesValue())
	case Reference:
		return resource.AppendName(dst, v.GetReferenceValue())
	case GeoPoint:
		p := v.GetGeoPointValue()
		return appendDouble(appendDouble(dst, p.GetLatitude()), p.GetLongitude())
	case Array:
		for _, e := range v.GetArrayValue().GetValues() {
			dst = Append(dst, e)
		}
		return append(dst, listEnd)
	case Vector:
		numbers, _ := VectorOf(v)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(numbers)))
		for _, n := range numbers {
			dst = appendDouble(dst, n)
		}
		return dst
	case Map:
		fields := v.GetMapValue().GetFields()
		for _, k := range sortedKeys(fields) {
			dst = append(dst, 1)
			dst = resource.AppendText(dst, k)
			dst = Append(dst, fields[k])
		}
		return append(dst, listEnd)
	}
	return dst
}

// appendNumber writes the greatest double that is not above the number, and in two bytes what an integer has beyond that.
func appendNumber(dst []byte, v *pb.Value) []byte {
	i, ok := v.GetValueType().(*pb.Value_IntegerValue)
	if !ok {
		return append(appendDouble(dst, v.GetDoubleValue()), 0, 0)
	}
	n := i.IntegerValue
	d := float64(n)
	if d >= 1<<63 || int64(d) > n { // rounded up
		d = math.Nextafter(d, math.Inf(-1))
	}
	return binary.BigEndian.AppendUint16(appendDouble(dst, d), uint16(n-int64(d)))
}

// appendDouble writes 8 bytes: NaN, whatever its bits, first, and -0 as 0.
func appendDouble(dst []byte, d float64) []byte {
	switch {
	case math.IsNaN(d):
		return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	case d == 0:
		d = 0
	}
	bits := math.Float64bits(d)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}
