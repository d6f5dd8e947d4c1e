package pubsub

import (
	"context"
	"errors"
	"io"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
)

// receive reads the client's requests until the stream ends.
func (s *stream) receive(srv pubsubpb.Subscriber_StreamingPullServer) {
	for {
		req, err := srv.Recv()
		if errors.Is(err, io.EOF) {
			s.end(nil)
			return
		}
		if err == nil {
			err = s.handle(req, false)
		}
		if err != nil {
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			s.end(err)
			return
		}
	}
}

// handle deals with one request of the client.
func (s *stream) handle(req *pubsubpb.StreamingPullRequest, first bool) error {
	if !first && (req.Subscription != "" || req.ClientId != "") {
		return invalid("subscription", "and client_id may be set in the first request only")
	}
	if !first && (req.MaxOutstandingMessages != 0 || req.MaxOutstandingBytes != 0) {
		return invalid("max_outstanding_messages", "and max_outstanding_bytes may be set in the first request only")
	}
	if d := req.StreamAckDeadlineSeconds; d != 0 && (d < leastDeadline || d > mostDeadline) {
		return invalid("stream_ack_deadline_seconds", "is %d; it must be from %d to %d", d, leastDeadline, mostDeadline)
	}
	if len(req.ModifyDeadlineAckIds) != len(req.ModifyDeadlineSeconds) {
		return invalid("modify_deadline_seconds", "has %d entries, and modify_deadline_ack_ids %d", len(req.ModifyDeadlineSeconds), len(req.ModifyDeadlineAckIds))
	}
	for _, d := range req.ModifyDeadlineSeconds {
		if err := checkExtension("modify_deadline_seconds", d); err != nil {
			return err
		}
	}
	acks, err := parseAckIDs("ack_ids", s.sub.id, req.AckIds)
	if err != nil {
		return err
	}
	extensions, err := parseAckIDs("modify_deadline_ack_ids", s.sub.id, req.ModifyDeadlineAckIds)
	if err != nil {
		return err
	}
	if d := req.StreamAckDeadlineSeconds; d != 0 {
		s.sub.mu.Lock()
		s.c.deadline = time.Duration(d) * time.Second
		s.sub.mu.Unlock()
	}
	return s.apply(req, acks, extensions, first)
}

func (s *stream) apply(req *pubsubpb.StreamingPullRequest, acks, extensions []ackID, first bool) error {
	if len(acks) > 0 {
		late, exactly := s.sub.acknowledgeAll(acks)
		if exactly {
			if err := s.sub.saveSynced(); err != nil {
				return err
			}
			s.answer(&pubsubpb.StreamingPullResponse{AcknowledgeConfirmation: &pubsubpb.StreamingPullResponse_AcknowledgeConfirmation{
				AckIds: without(req.AckIds, late), InvalidAckIds: late,
			}})
		}
	}
	if len(extensions) > 0 {
		late, exactly := s.sub.extendAll(extensions, func(i int) time.Duration { return time.Duration(req.ModifyDeadlineSeconds[i]) * time.Second })
		if exactly {
			s.answer(&pubsubpb.StreamingPullResponse{ModifyAckDeadlineConfirmation: &pubsubpb.StreamingPullResponse_ModifyAckDeadlineConfirmation{
				AckIds: without(req.ModifyDeadlineAckIds, late), InvalidAckIds: late,
			}})
		}
	}
	if !first && len(acks)+len(extensions) == 0 {
		s.answer(&pubsubpb.StreamingPullResponse{}) // a ping wants an answer
	}
	return nil
}

// answer waits while the client has many answers to read: one that asks and does not read is asked to wait by its connection.
func (s *stream) answer(res *pubsubpb.StreamingPullResponse) {
	select {
	case s.answers <- res:
		s.poke()
	case <-s.gone:
	}
}

// without is all but those in drop.
func without(all, drop []string) []string {
	dropped := make(map[string]bool, len(drop))
	for _, s := range drop {
		dropped[s] = true
	}
	var kept []string
	for _, s := range all {
		if !dropped[s] {
			kept = append(kept, s)
		}
	}
	return kept
}
