package firestore

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/storage"
)

// The benchmarks print ratios of two things measured by turns in one run; absolute times say little about another machine.

// serve gives a connection to a gRPC server with one service.
func serve(b testing.TB, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	b.Helper()
	g := grpc.NewServer()
	register(g)
	l := memnet.Listen("bench")
	go func() { _ = g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///bench", grpc.WithContextDialer(l.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(); g.Stop() })
	return conn
}

// bare answers with what it was given: gRPC and nothing else. Its commits are one synced batch of so many keys and bytes.
type bare struct {
	pb.UnimplementedFirestoreServer
	document *pb.Document
	commit   *pb.CommitResponse
	store    *storage.Store
	keys     int
	bytes    int
	n        atomic.Int64
}

func (s *bare) GetDocument(context.Context, *pb.GetDocumentRequest) (*pb.Document, error) {
	return s.document, nil
}

func (s *bare) Commit(context.Context, *pb.CommitRequest) (*pb.CommitResponse, error) {
	b := s.store.NewBatch()
	n := s.n.Add(1)
	for i := range s.keys {
		k := fmt.Appendf(nil, "x%08x%08d%d", uint32(n*2654435761), n, i)
		b.Set(k, make([]byte, max(0, s.bytes/s.keys-len(k))))
	}
	return s.commit, s.store.Commit(b)
}

func typical() map[string]*pb.Value {
	return map[string]*pb.Value{
		"event": str("evt_0123456789abcdef"), "target": str("target-1"), "type": str("order.created"), "state": str("pending"),
		"n": integer(3), "lane": str("s0"), "due": {ValueType: &pb.Value_TimestampValue{TimestampValue: timestamp(1_700_000_000_000_000)}},
		"payload": str(strings.Repeat("payload ", 40)),
	}
}

// turns runs two things by turns and gives how long each turn took.
func turns(n, each int, a, b func()) (ta, tb []time.Duration) {
	for done := 0; done < n; done += each {
		start := time.Now()
		for range each {
			a()
		}
		middle := time.Now()
		for range each {
			b()
		}
		ta, tb = append(ta, middle.Sub(start)), append(tb, time.Since(middle))
	}
	return ta, tb
}

// report gives the median of the turns' ratios, and the middle half of them: what disturbs a machine for a moment is in few of them.
func report(b *testing.B, name string, over, under []time.Duration) {
	b.Helper()
	ratios := make([]float64, len(over))
	for i := range over {
		ratios[i] = float64(over[i]) / float64(under[i])
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], name)
	b.ReportMetric(ratios[len(ratios)/4], name+"-q1")
	b.ReportMetric(ratios[len(ratios)*3/4], name+"-q3")
}

func sum(d []time.Duration) (all time.Duration) {
	for _, t := range d {
		all += t
	}
	return all
}

// BenchmarkGetDocument: the RPC against a bare one with the same messages over the same transport. At most 1.6.
func BenchmarkGetDocument(b *testing.B) {
	s := newServer(b, Options{})
	s.mustCommit(b, put("c/x", typical()))
	ours := serve(b, func(r grpc.ServiceRegistrar) { s.Register(r) })
	name := &pb.GetDocumentRequest{Name: testRoot + "/c/x"}
	document, err := pb.NewFirestoreClient(ours).GetDocument(b.Context(), name)
	if err != nil {
		b.Fatal(err)
	}
	theirs := serve(b, func(r grpc.ServiceRegistrar) { pb.RegisterFirestoreServer(r, &bare{document: document}) })
	client, err := firestore.NewClient(b.Context(), "p", option.WithGRPCConn(ours))
	if err != nil {
		b.Fatal(err)
	}
	get := func(c pb.FirestoreClient) func() {
		return func() {
			if _, err := c.GetDocument(context.Background(), name); err != nil {
				b.Fatal(err)
			}
		}
	}
	ref := client.Doc("c/x")
	viaClient := func() {
		if _, err := ref.Get(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	turns(200, 50, get(pb.NewFirestoreClient(ours)), get(pb.NewFirestoreClient(theirs)))
	b.ResetTimer()
	mine, base := turns(b.N, 50, get(pb.NewFirestoreClient(ours)), get(pb.NewFirestoreClient(theirs)))
	whole, base2 := turns(b.N, 50, viaClient, get(pb.NewFirestoreClient(theirs)))
	report(b, "get/bare", mine, base)
	report(b, "client-get/bare", whole, base2)
}

// BenchmarkCommit: durable commits of 64 writers, new documents of 8 fields, against a bare RPC whose handler does one synced batch of the
// same number of keys and bytes. At least 0.6.
func BenchmarkCommit(b *testing.B) {
	open := func() *storage.Store {
		store, err := storage.Open(storage.Options{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { store.Close() })
		return store
	}
	exempt := &Indexes{Overrides: []Override{{Collection: "lean", Path: "*"}}}
	for _, in := range []string{"indexed", "lean"} {
		b.Run(in, func(b *testing.B) {
			store := open()
			s := newServer(b, Options{Store: store, Indexes: exempt, History: time.Minute})
			ours := serve(b, func(r grpc.ServiceRegistrar) { s.Register(r) })
			var n atomic.Int64
			request := func() *pb.CommitRequest {
				i := n.Add(1)
				return &pb.CommitRequest{Database: testDatabase, Writes: []*pb.Write{put(fmt.Sprintf("%s/%08x%d", in, uint32(i*2654435761), i), typical())}}
			}
			sample := &document{collection: &collection{number: 1, path: []string{in}}, id: "0123456789ab"}
			sample.raw, _ = wireFields(typical())
			entries, err := s.schema.entries(sample)
			if err != nil {
				b.Fatal(err)
			}
			x := &bare{store: open(), keys: 1 + len(entries), bytes: len(sample.key()) + len(sample.encode())}
			for _, e := range entries {
				x.bytes += len(e.key) + len(e.value)
			}
			if x.commit, err = s.Commit(b.Context(), request()); err != nil {
				b.Fatal(err)
			}
			theirs := serve(b, func(r grpc.ServiceRegistrar) { pb.RegisterFirestoreServer(r, x) })
			burst := func(c pb.FirestoreClient) func() {
				return func() {
					var wg sync.WaitGroup
					for range 64 {
						wg.Go(func() {
							for range 20 {
								if _, err := c.Commit(context.Background(), request()); err != nil {
									b.Error(err)
								}
							}
						})
					}
					wg.Wait()
				}
			}
			rounds := max(20, b.N/(64*20))
			turns(1, 1, burst(pb.NewFirestoreClient(ours)), burst(pb.NewFirestoreClient(theirs)))
			b.ResetTimer()
			mine, base := turns(rounds, 1, burst(pb.NewFirestoreClient(ours)), burst(pb.NewFirestoreClient(theirs)))
			commits := float64(rounds * 64 * 20)
			b.ReportMetric(commits/sum(mine).Seconds(), "commits/s")
			b.ReportMetric(commits/sum(base).Seconds(), "bare/s")
			report(b, "commits/bare", base, mine)
			b.ReportMetric(float64(x.keys), "keys")
		})
	}
}

// fill writes n small documents.
func fill(b testing.TB, s *Server, collection string, n int) {
	b.Helper()
	const batch = 500
	for i := 0; i < n; i += batch {
		var writes []*pb.Write
		for j := i; j < min(n, i+batch); j++ {
			writes = append(writes, put(fmt.Sprintf("%s/%08d", collection, j), map[string]*pb.Value{
				"n": integer(int64(j)), "group": integer(int64(j / 20)), "name": str(fmt.Sprintf("document %d", j)),
			}))
		}
		s.mustCommit(b, writes...)
	}
}

// BenchmarkQuery: queries with 20 results in 100,000 documents against the same in 1,000. At most 1.5.
func BenchmarkQuery(b *testing.B) {
	s := newServer(b, Options{})
	fill(b, s, "small", 1000)
	fill(b, s, "large", 100_000)
	compare := func(field string, o pb.StructuredQuery_FieldFilter_Operator, n int64) *pb.StructuredQuery_Filter {
		return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
			Field: &pb.StructuredQuery_FieldReference{FieldPath: field}, Op: o, Value: integer(n),
		}}}
	}
	tests := map[string]*pb.StructuredQuery{
		"equality": {Where: compare("group", pb.StructuredQuery_FieldFilter_EQUAL, 25)},
		"range":    {Where: compare("n", pb.StructuredQuery_FieldFilter_GREATER_THAN, 500), Limit: wrapperspb.Int32(20)},
		"order": {OrderBy: []*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: "name"}, Direction: pb.StructuredQuery_DESCENDING}},
			Limit: wrapperspb.Int32(20)},
	}
	for name, in := range tests {
		b.Run(name, func(b *testing.B) {
			run := func(collection string) func() {
				in := proto.CloneOf(in)
				in.From = []*pb.StructuredQuery_CollectionSelector{{CollectionId: collection}}
				return func() {
					q, err := parseQuery(testRoot, in)
					if err != nil {
						b.Fatal(err)
					}
					v, err := s.view(testDatabase, selector{})
					if err != nil {
						b.Fatal(err)
					}
					defer v.close()
					docs, err := v.collect(context.Background(), q)
					if err != nil || len(docs) != 20 {
						b.Fatalf("%d documents, %v", len(docs), err)
					}
				}
			}
			turns(50, 10, run("large"), run("small"))
			b.ResetTimer()
			large, small := turns(b.N, 10, run("large"), run("small"))
			report(b, "100k/1k", large, small)
		})
	}
}

// BenchmarkMemory: what the process holds after writing and reading 1,000,000 small documents, less what it held before, against the
// store's cache. CALLOUT_MEMORY_DOCUMENTS=1000000 runs it.
func BenchmarkMemory(b *testing.B) {
	var n int
	if _, err := fmt.Sscan(os.Getenv("CALLOUT_MEMORY_DOCUMENTS"), &n); err != nil {
		b.Skip("set CALLOUT_MEMORY_DOCUMENTS")
	}
	before := resident(b)
	const cache = 64 << 20
	store, err := storage.Open(storage.Options{Dir: b.TempDir(), CacheBytes: cache})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	s := newServer(b, Options{Store: store, History: time.Minute})
	for range b.N {
		fill(b, s, "c", n)
	}
	fill(b, s, "c", min(n, 1000))
	runtime.GC()
	after := resident(b)
	b.ReportMetric(float64(after-before)/cache, "resident/cache")
	b.ReportMetric(float64(store.Metrics().DiskUsage)/cache, "disk/cache")
}

// resident is the process's memory in bytes.
func resident(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			var kib int64
			if _, err := fmt.Sscan(string(rest), &kib); err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	b.Skip("no VmRSS")
	return 0
}
