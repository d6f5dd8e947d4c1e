package local

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	protobuf "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What a request may be made of. An empty message is two bytes on the wire, next to none of them compressed, and a hundred in memory.
const (
	maxParts   = 1 << 20   // messages within one request: a commit of 10 MiB that is all vectors has fewer
	largeBytes = 256 << 10 // requests above this
	maxLarge   = 4         // are decoded so many at once
	maxNested  = 10_000    // what the decoder refuses too
)

// codec is gRPC's codec for servers, but it looks at what a large request is made of before it takes the memory for it.
type codec struct {
	encoding.CodecV2
	turns chan struct{}
}

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name), make(chan struct{}, maxLarge)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(protobuf.Message)
	if !ok || data.Len() <= largeBytes {
		return c.CodecV2.Unmarshal(data, v)
	}
	c.turns <- struct{}{}
	defer func() { <-c.turns }()
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer whole.Free()
	if countParts(whole.ReadOnlyData(), m.ProtoReflect().Descriptor(), 0, maxParts) < 0 {
		return fmt.Errorf("the request is made of more than %d messages", maxParts)
	}
	return c.CodecV2.Unmarshal(mem.BufferSlice{whole}, v)
}

// countParts takes the messages within an encoded one from left, and gives what remains, less than 0 if they are more. What cannot be read
// is for the decoder to refuse.
func countParts(b []byte, d protoreflect.MessageDescriptor, depth, left int) int {
	for len(b) > 0 && left >= 0 && depth < maxNested {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return left
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
			return left
		}
		if f := d.Fields().ByNumber(number); kind == protowire.BytesType && f != nil && f.Message() != nil {
			part, _ := protowire.ConsumeBytes(b[:n])
			left = countParts(part, f.Message(), depth+1, left-1)
		}
		b = b[n:]
	}
	return left
}
