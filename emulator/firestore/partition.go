package firestore

import (
	"context"
	"encoding/binary"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const maxPartitions = 1000

// PartitionQuery serves google.firestore.v1.Firestore/PartitionQuery: positions that cut a collection group into parts of about the same
// size. It looks at every name, twice.
func (s *Server) PartitionQuery(ctx context.Context, r *pb.PartitionQueryRequest) (*pb.PartitionQueryResponse, error) {
	q, err := parseQuery(r.GetParent(), r.GetStructuredQuery())
	if err != nil {
		return nil, err
	}
	if !q.all || q.where != nil || len(q.orders) != 1 || q.orders[0].descending || q.limit >= 0 || q.offset > 0 || q.start != nil || q.end != nil {
		return nil, invalid("only a collection group, ordered by name, without conditions, limit, offset or cursors can be cut")
	}
	if n := r.GetPartitionCount(); n < 1 || n > maxPartitions {
		return nil, invalid("partition_count must be 1 to %d", maxPartitions)
	}
	size, err := pageSize(r.GetPageSize())
	if err != nil {
		return nil, err
	}
	skip, err := partitionToken(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	v, err := s.view(q.db, selector{readTime: r.GetReadTime()})
	if err != nil {
		return nil, err
	}
	defer v.close()
	n := 0
	if err := v.walk(ctx, q, func(*document) { n++ }); err != nil {
		return nil, err
	}
	parts := min(int(r.GetPartitionCount())+1, n)
	out := new(pb.PartitionQueryResponse)
	i, part := 0, 1
	err = v.walk(ctx, q, func(d *document) {
		if part < parts && i == part*n/parts {
			if part > skip && len(out.Partitions) < size {
				out.Partitions = append(out.Partitions, &pb.Cursor{Values: []*pb.Value{reference(d.name())}, Before: true})
			}
			part++
		}
		i++
	})
	if last := skip + len(out.Partitions); last < parts-1 {
		out.NextPageToken = encodeToken(binary.BigEndian.AppendUint32(nil, uint32(last)))
	}
	return out, err
}

func partitionToken(text string) (int, error) {
	b, err := decodeToken(text)
	if err != nil || len(b) == 0 {
		return 0, err
	}
	if len(b) != 4 {
		return 0, invalid("page_token is malformed")
	}
	return int(binary.BigEndian.Uint32(b)), nil
}

// walk gives each document of a query's result to fn.
func (v *view) walk(ctx context.Context, q *query, fn func(*document)) error {
	out, err := v.execute(ctx, q)
	if err != nil {
		return err
	}
	defer out.close()
	for {
		d, err := out.next()
		if d == nil || err != nil {
			return err
		}
		fn(d)
	}
}

// ExecutePipeline answers that pipelines are not served.
func (s *Server) ExecutePipeline(*pb.ExecutePipelineRequest, pb.Firestore_ExecutePipelineServer) error {
	return status.Error(codes.Unimplemented, "pipelines (ExecutePipeline) are not supported")
}
