package firestore

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/storage"
)

// committer is a server, near or far.
type committer interface {
	Commit(ctx context.Context, r *pb.CommitRequest) (*pb.CommitResponse, error)
}

type remote struct{ pb.FirestoreClient }

func (r remote) Commit(ctx context.Context, in *pb.CommitRequest) (*pb.CommitResponse, error) {
	return r.FirestoreClient.Commit(ctx, in)
}

// writers commit pairs of documents, in two collections, and remember which were acknowledged.
type writers struct {
	mu    sync.Mutex
	acked map[string]int64
	wg    sync.WaitGroup
	stop  chan struct{}
}

func startWriters(n, round int, to committer) *writers {
	w := &writers{acked: map[string]int64{}, stop: make(chan struct{})}
	for i := range n {
		w.wg.Go(func() { w.write(fmt.Sprintf("%d-%d", round, i), to) })
	}
	return w
}

func (w *writers) write(name string, to committer) {
	for n := int64(1); ; n++ {
		select {
		case <-w.stop:
			return
		default:
		}
		id := fmt.Sprintf("%s-%d", name, n%50) // some are written again
		half := map[string]*pb.Value{"n": integer(n), "pad": str(strings.Repeat("x", 300)), "w": str(name)}
		_, err := to.Commit(context.Background(), &pb.CommitRequest{Database: testDatabase, Writes: []*pb.Write{put("left/"+id, half), put("right/"+id, half)}})
		if err != nil {
			return // the server is dead
		}
		w.mu.Lock()
		w.acked[id] = n
		w.mu.Unlock()
	}
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

func (w *writers) snapshot() map[string]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int64{}
	for k, v := range w.acked {
		out[k] = v
	}
	return out
}

// checkPairs asks that every acknowledged write is there or was followed by another, that no commit is half there, and that the indexes
// say what the documents say.
func checkPairs(t *testing.T, s *Server, acked map[string]int64) {
	t.Helper()
	side := func(collection string) map[string]int64 {
		q, err := parseQuery(testRoot, &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: collection}}})
		if err != nil {
			t.Fatal(err)
		}
		v, err := s.view(testDatabase, selector{})
		if err != nil {
			t.Fatal(err)
		}
		defer v.close()
		docs, err := v.collect(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]int64{}
		for _, d := range docs {
			fields, err := d.fields()
			if err != nil {
				t.Fatal(err)
			}
			out[d.id] = fields["n"].GetIntegerValue()
		}
		return out
	}
	left, right := side("left"), side("right")
	for id, n := range acked {
		if left[id] < n {
			t.Errorf("%s: %d was acknowledged, %d is there", id, n, left[id])
		}
	}
	for id := range left {
		if left[id] != right[id] {
			t.Errorf("%s is half there: %d and %d", id, left[id], right[id])
		}
	}
	if len(right) != len(left) {
		t.Errorf("%d documents on one side, %d on the other", len(left), len(right))
	}
	checkEntries(t, s)
}

// checkEntries compares the entries in the store with those that its documents should have.
func checkEntries(t *testing.T, s *Server) {
	t.Helper()
	snap := s.store.Snapshot()
	defer snap.Close()
	want := map[string]string{}
	scan := func(kind byte, fn func(k, v []byte)) {
		err := snap.Scan([]byte{service, kind}, []byte{service, kind + 1}, false, func(k, v []byte) bool { fn(k, v); return true })
		if err != nil {
			t.Fatal(err)
		}
	}
	scan(documentKind, func(k, v []byte) {
		c, id, err := s.registry.locate(snap, k)
		if err != nil {
			t.Fatal(err)
		}
		d, err := decodeDocument(c, id, bytes.Clone(v))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := s.schema.entries(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			want[string(e.key)] = string(e.value)
		}
	})
	for _, kind := range []byte{automaticKind, compositeKind, expiryKind} {
		scan(kind, func(k, v []byte) {
			if w, ok := want[string(k)]; !ok || w != string(v) {
				t.Errorf("entry %x: has %x, want %x", k, v, w)
			}
			delete(want, string(k))
		})
	}
	for k := range want {
		t.Errorf("entry %x is missing", k)
	}
}

func TestPowerCut(t *testing.T) {
	for round := range 4 {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			store, err := storage.Open(storage.Options{FS: fs})
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(Options{Store: store, History: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			w := startWriters(16, round, s)
			for w.count() < 100+100*round {
				time.Sleep(time.Millisecond)
			}
			acked := w.snapshot()
			after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 30 * round, RNG: rand.New(rand.NewPCG(uint64(round), 1))})
			close(w.stop)
			w.wg.Wait()
			checkPairs(t, s, w.snapshot())
			s.Close()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			again, err := storage.Open(storage.Options{FS: after})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { again.Close() })
			checkPairs(t, newServer(t, Options{Store: again}), acked)
		})
	}
}

// TestKill ends real server processes by kill -9 while 64 writers write. CALLOUT_CRASH_ROUNDS says how often, 2 times by default.
func TestKill(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("CALLOUT_CRASH_ROUNDS")); err == nil {
		rounds = n
	}
	dir := t.TempDir()
	acked := map[string]int64{}
	for round := range rounds {
		addr, kill := startChild(t, dir)
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		w := startWriters(64, round, remote{pb.NewFirestoreClient(conn)})
		for end := time.Now().Add(10 * time.Second); w.count() < 50 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(rand.N(300 * time.Millisecond))
		kill()
		close(w.stop)
		w.wg.Wait()
		conn.Close()
		for k, v := range w.snapshot() {
			acked[k] = v
		}
		store, err := storage.Open(storage.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		checkPairs(t, s, acked)
		s.Close()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: %d documents acknowledged by now", round, len(acked))
	}
}

const childEnv = "CALLOUT_CRASH_CHILD"

// startChild starts this test binary as a server on a folder.
func startChild(t *testing.T, dir string) (addr string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if a, ok := strings.CutPrefix(lines.Text(), "listening "); ok {
			addr = a
			break
		}
	}
	if addr == "" {
		t.Fatalf("the child did not start: %v", cmd.Wait())
	}
	return addr, func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// TestChild is the process that TestKill ends.
func TestChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		t.Skip("runs within TestKill")
	}
	store, err := storage.Open(storage.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Store: store, History: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	s.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("listening %s\n", l.Addr())
	t.Fatal(g.Serve(l))
}
