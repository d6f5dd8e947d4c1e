package pubsub

import (
	"context"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Acknowledge ends deliveries. Without exactly-once delivery, ids that no longer count are ignored; with it the answer comes when the
// acknowledgements are durable, and names those that did not count.
func (r subscriber) Acknowledge(ctx context.Context, req *pubsubpb.AcknowledgeRequest) (*emptypb.Empty, error) {
	sub, err := r.named(req.Subscription)
	if err != nil {
		return nil, err
	}
	if len(req.AckIds) == 0 {
		return nil, invalid("ack_ids", "is empty; the least is 1")
	}
	ids, err := parseAckIDs("ack_ids", sub.id, req.AckIds)
	if err != nil {
		return nil, err
	}
	late, exactly := sub.acknowledgeAll(ids)
	if exactly {
		if err := sub.saveSynced(); err != nil {
			return nil, err
		}
		if len(late) > 0 {
			return nil, staleAckIDs(late)
		}
	}
	return &emptypb.Empty{}, nil
}

// acknowledgeAll gives the ids that no longer counted, and whether that matters.
func (s *subscription) acknowledgeAll(ids []ackID) (late []string, exactly bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = time.Now()
	for _, a := range ids {
		if s.acknowledge(a) == stale {
			late = append(late, a.String())
		}
	}
	s.pump()
	return late, s.conf.EnableExactlyOnceDelivery
}

// ModifyAckDeadline gives more time from now, or with zero refuses the messages.
func (r subscriber) ModifyAckDeadline(ctx context.Context, req *pubsubpb.ModifyAckDeadlineRequest) (*emptypb.Empty, error) {
	sub, err := r.named(req.Subscription)
	if err != nil {
		return nil, err
	}
	if len(req.AckIds) == 0 {
		return nil, invalid("ack_ids", "is empty; the least is 1")
	}
	if err := checkExtension("ack_deadline_seconds", req.AckDeadlineSeconds); err != nil {
		return nil, err
	}
	ids, err := parseAckIDs("ack_ids", sub.id, req.AckIds)
	if err != nil {
		return nil, err
	}
	late, exactly := sub.extendAll(ids, func(int) time.Duration { return time.Duration(req.AckDeadlineSeconds) * time.Second })
	if exactly && len(late) > 0 {
		return nil, staleAckIDs(late)
	}
	return &emptypb.Empty{}, nil
}

func checkExtension(field string, seconds int32) error {
	if seconds < 0 || seconds > mostDeadline {
		return invalid(field, "is %d; it must be from 0 to %d", seconds, mostDeadline)
	}
	return nil
}

// extendAll sets new deadlines; by gives the time for the id at an index.
func (s *subscription) extendAll(ids []ackID, by func(i int) time.Duration) (late []string, exactly bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = time.Now()
	for i, a := range ids {
		if s.extend(a, by(i)) == stale {
			late = append(late, a.String())
		}
	}
	s.pump()
	return late, s.conf.EnableExactlyOnceDelivery
}
