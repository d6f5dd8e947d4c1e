package pubsub

import (
	"fmt"
	"strconv"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// message is one published message in memory. Nothing in it is changed once it is published; subscriptions share it.
type message struct {
	seq  seq
	time time.Time
	size int
	pb   *pubsubpb.PubsubMessage // with id and time
}

func newMessage(n seq, at time.Time, pb *pubsubpb.PubsubMessage) *message {
	pb.MessageId = strconv.FormatUint(uint64(n), 10)
	pb.PublishTime = timestamppb.New(at)
	return &message{seq: n, time: at, size: sizeOf(pb), pb: pb}
}

// sizeOf is what a message counts against limits of bytes: data, attributes and key, and something for the rest.
func sizeOf(pb *pubsubpb.PubsubMessage) int {
	n := 64 + len(pb.Data) + len(pb.OrderingKey)
	for k, v := range pb.Attributes {
		n += len(k) + len(v)
	}
	return n
}

// encodeMessage makes the stored form but for the publish time, which the journal puts in front.
func encodeMessage(pb *pubsubpb.PubsubMessage) ([]byte, error) {
	b := make([]byte, 8, 8+sizeOf(pb)+8*len(pb.Attributes)) // proto.Size is a third of the work, and MarshalAppend does it again
	return proto.MarshalOptions{}.MarshalAppend(b, pb)
}

func decodeMessage(n seq, value []byte) (*message, error) {
	at, body, ok := cutUint64(value)
	if !ok {
		return nil, fmt.Errorf("read message %d: %d bytes are no record", n, len(value))
	}
	pb := new(pubsubpb.PubsubMessage)
	if err := proto.Unmarshal(body, pb); err != nil {
		return nil, fmt.Errorf("read message %d: %w", n, err)
	}
	return newMessage(n, time.Unix(0, int64(at)), pb), nil
}
