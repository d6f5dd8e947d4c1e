package storage_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/callout-dev/callout/emulator/storage"
)

// A checkpoint has what was acknowledged before it began, and of what is written meanwhile no half.
func TestCheckpointUnderWrites(t *testing.T) {
	const writers, batches, between = 4, 200, 40
	fs := vfs.NewMem()
	s := open(t, storage.Options{FS: fs, MemTableBytes: 256 << 10}) // little, so that logs end and files are merged under it
	var acked [writers]atomic.Uint64
	some := make(chan struct{}, writers*batches/between)
	var wg sync.WaitGroup
	for w := range uint64(writers) {
		wg.Go(func() {
			for n := uint64(1); n <= batches; n++ {
				b := s.NewBatch()
				b.Set(key("a", w<<32|n), make([]byte, 2000))
				b.Set(key("b", w<<32|n), make([]byte, 100))
				if err := s.Commit(b); err != nil {
					t.Error(err)
					break
				}
				acked[w].Store(n)
				if n%between == 0 {
					some <- struct{}{}
				}
			}
		})
	}
	go func() { wg.Wait(); close(some) }()
	var wants [][writers]uint64
	for range some {
		var want [writers]uint64
		for w := range want {
			want[w] = acked[w].Load()
		}
		wants = append(wants, want)
		if err := s.Checkpoint(fmt.Sprint("/copy", len(wants))); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range wants {
		if i%3 != 0 {
			continue
		}
		copied := open(t, storage.Options{FS: fs, Dir: fmt.Sprint("/copy", i+1)})
		for w := range uint64(writers) {
			n := uint64(1)
			for ; has(t, copied, key("a", w<<32|n)); n++ {
				if !has(t, copied, key("b", w<<32|n)) {
					t.Errorf("batch %d of writer %d is half there", n, w)
				}
			}
			if n <= want[w] {
				t.Errorf("writer %d: %d batches of %d that were acknowledged", w, n-1, want[w])
			}
		}
	}
}

func has(t *testing.T, s *storage.Store, key []byte) bool {
	t.Helper()
	_, err := s.Get(key)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil
}

// A checkpoint that cannot be written says so wherever it fails, leaves nothing that opens, and the store does not mind.
func TestCheckpointFails(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		var writes, failing atomic.Int64
		fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || !strings.Contains(op.Path, "copy") {
				return nil
			}
			if writes.Add(1) == failing.Load() {
				return cause
			}
			return nil
		}))
		s := open(t, storage.Options{FS: fs})
		set(t, s, "a", "b")
		for n := int64(1); ; n++ {
			writes.Store(0)
			failing.Store(n)
			dir := fmt.Sprintf("/copy%d", n)
			err := s.Checkpoint(dir)
			failing.Store(-1)
			if err == nil && n > writes.Load() {
				if n < 20 {
					t.Errorf("only %d writes", n)
				}
				break
			}
			if err == nil {
				t.Errorf("write %d of %d failed, and the checkpoint did not", n, writes.Load())
			}
			if !errors.Is(err, storage.ErrFull) && !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("write %d: %v", n, err)
			}
			if m := s.Metrics(); !m.Writable {
				t.Fatalf("write %d: the store fails too: %s", n, m.WhyNotWritable)
			}
			if _, statErr := fs.Stat(dir + "/FORMAT"); err != nil && statErr == nil {
				t.Errorf("write %d failed, and there is a copy", n)
			}
			set(t, s, "c")
		}
	}
}

// What is written between one read of a log and the next does not make a hole in the copy. The log is made of an old one, as most are.
func TestCheckpointOfALogThatGrows(t *testing.T) {
	var s *storage.Store
	var reads atomic.Int64 // until it grows
	n := uint64(0)
	write := func(size int) {
		n++
		b := s.NewBatch()
		b.Set(key("a", n), make([]byte, size))
		if err := s.Commit(b); err != nil {
			t.Error(err)
		}
	}
	mem := vfs.NewMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileRead && strings.HasSuffix(op.Path, ".log") && reads.Add(-1) == 0 {
			for range 12 {
				write(10_000)
			}
		}
		return nil
	}))
	s = open(t, storage.Options{FS: fs, MemTableBytes: 256 << 10})
	for round := range 5 {
		for range 47 {
			write(10_000)
		}
		before := n
		reads.Store(int64(round))
		dir := fmt.Sprint("/copy", round)
		if err := s.Checkpoint(dir); err != nil {
			t.Fatal(err)
		}
		copied := open(t, storage.Options{FS: mem, Dir: dir})
		for i := uint64(1); i <= before; i++ {
			if !has(t, copied, key("a", i)) {
				t.Fatalf("round %d: %d of %d is missing", round, i, before)
			}
		}
	}
}
