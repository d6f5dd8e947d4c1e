package firestore

import (
	"encoding/binary"
	"errors"
	"io"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/emulator/firestore/internal/resource"
)

// Write serves google.firestore.v1.Firestore/Write: commits in the order in which they are sent. The first request names the database and
// gets a stream's identifier; each answer has a token that the next request must bring. A stream ends with its connection: it cannot be
// taken up again, and a client that tries is told so.
func (s *Server) Write(stream pb.Firestore_WriteServer) error {
	first, err := stream.Recv()
	if err != nil {
		return endOfStream(err)
	}
	db, err := resource.ParseDatabase(first.GetDatabase())
	if err != nil {
		return invalid("%v", err)
	}
	if first.GetStreamId() != "" {
		return status.Error(codes.NotFound, "the stream to resume is not known")
	}
	if len(first.GetWrites()) > 0 {
		return invalid("the first request must not have writes")
	}
	n := uint64(0)
	token := func() []byte { return binary.BigEndian.AppendUint64(nil, n) }
	if err := stream.Send(&pb.WriteResponse{StreamId: newID(), StreamToken: token()}); err != nil {
		return err
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return endOfStream(err)
		}
		if string(r.GetStreamToken()) != string(token()) {
			return invalid("stream_token is not the one of the last answer")
		}
		writes, err := parseWrites(db, r.GetWrites())
		if err != nil {
			return err
		}
		if err := s.awaitLocks(stream.Context(), nil, writes); err != nil {
			return err
		}
		done, err := s.commit(nil, writes)
		if err != nil {
			return err
		}
		n++
		if err := stream.Send(&pb.WriteResponse{StreamToken: token(), WriteResults: done.results, CommitTime: timestamp(done.time)}); err != nil {
			return err
		}
	}
}

func endOfStream(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
