package local

import (
	"bytes"
	"testing"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

func TestRequestsOfManyPartsAreRefused(t *testing.T) {
	empty := func(n int) []byte { return bytes.Repeat([]byte{0x12, 0}, n) } // writes of a commit, messages of a publish
	value := func(n int) *firestorepb.Value {
		a := new(firestorepb.ArrayValue)
		for range n {
			a.Values = append(a.Values, &firestorepb.Value{ValueType: &firestorepb.Value_IntegerValue{IntegerValue: 1}})
		}
		return &firestorepb.Value{ValueType: &firestorepb.Value_ArrayValue{ArrayValue: a}}
	}
	commit := func(n int) []byte {
		wire, err := proto.Marshal(&firestorepb.CommitRequest{Writes: []*firestorepb.Write{{Operation: &firestorepb.Write_Update{
			Update: &firestorepb.Document{Fields: map[string]*firestorepb.Value{"a": value(n)}},
		}}}})
		if err != nil {
			t.Fatal(err)
		}
		return wire
	}
	tests := []struct {
		name string
		wire []byte
		into proto.Message
		ok   bool
	}{
		{"as many empty writes as there may be", empty(maxParts), new(firestorepb.CommitRequest), true},
		{"an empty write more", empty(maxParts + 1), new(firestorepb.CommitRequest), false},
		{"empty messages of a publish", empty(maxParts + 1), new(pubsubpb.PublishRequest), false},
		{"a document with too long an array", commit(maxParts), new(firestorepb.CommitRequest), false},
		{"bytes that look like messages", append([]byte{0x0A, 0x80, 0x80, 0x80, 0x02}, empty(2<<20)...), new(pubsubpb.PubsubMessage), true},
		{"what is no message", append(empty(largeBytes), 0xFF), new(firestorepb.CommitRequest), false},
		{"a small request", empty(3), new(firestorepb.CommitRequest), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCodec()
			if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(tt.wire)}, tt.into); (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
			if len(c.turns) != 0 {
				t.Error("a turn was not given back")
			}
		})
	}
}
