package storage_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/callout-dev/callout/emulator/storage"
)

// TestPowerCut cuts the power while writers commit pairs of keys: each acknowledged pair is there afterwards, and no half of one.
func TestPowerCut(t *testing.T) {
	const rounds, writers = 8, 8
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			s := open(t, storage.Options{FS: fs})
			var mu sync.Mutex
			acked := map[uint64]bool{}
			stop := make(chan struct{})
			enough := make(chan struct{}, 1)
			var wg sync.WaitGroup
			for w := range uint64(writers) {
				wg.Go(func() {
					for n := uint64(0); ; n++ {
						select {
						case <-stop:
							return
						default:
						}
						id := w<<32 | n
						b := s.NewBatch()
						b.Set(key("a", id), make([]byte, 100))
						b.Set(key("b", id), make([]byte, 1000))
						if err := s.Commit(b); err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						acked[id] = true
						if len(acked) == 200+round*50 {
							enough <- struct{}{}
						}
						mu.Unlock()
					}
				})
			}
			<-enough
			mu.Lock() // what is acknowledged from here on may be lost: its writer has not been told yet
			want := make([]uint64, 0, len(acked))
			for id := range acked {
				want = append(want, id)
			}
			mu.Unlock()
			after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 10 * round, RNG: rand.New(rand.NewPCG(uint64(round), 1))})
			close(stop)
			wg.Wait()

			s = open(t, storage.Options{FS: after})
			for _, id := range want {
				for _, half := range []string{"a", "b"} {
					if _, err := s.Get(key(half, id)); err != nil {
						t.Errorf("acknowledged %d: half %s: %v", id, half, err)
					}
				}
			}
			halves := map[uint64]int{}
			err := s.Scan([]byte("a"), []byte("c"), false, func(k, _ []byte) bool {
				halves[binary.BigEndian.Uint64(k[1:])]++
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
			for id, n := range halves {
				if n != 2 {
					t.Errorf("%d is half there", id)
				}
			}
		})
	}
}

func key(half string, id uint64) []byte { return binary.BigEndian.AppendUint64([]byte(half), id) }

// TestDiskFails fails every write of the file system for a while: commits say why, reads go on, and writes do when the disk is well again.
func TestDiskFails(t *testing.T) {
	tests := []struct {
		name  string
		cause error
		want  error
	}{
		{"full", syscall.ENOSPC, storage.ErrFull},
		{"broken", syscall.EIO, storage.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ill := false
				var mu sync.Mutex
				fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
					mu.Lock()
					defer mu.Unlock()
					if ill && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
						return tt.cause
					}
					return nil
				}))
				s, err := storage.Open(storage.Options{FS: fs})
				if err != nil {
					t.Fatal(err)
				}
				set(t, s, "before")
				disk := func(isIll bool) { mu.Lock(); ill = isIll; mu.Unlock() }

				disk(true)
				var wg sync.WaitGroup
				for i := range 8 {
					wg.Go(func() {
						for range 5 {
							b := s.NewBatch()
							b.Set(fmt.Appendf(nil, "lost%d", i), nil)
							if err := s.Commit(b); !errors.Is(err, tt.want) {
								t.Errorf("commit: got %v, want %v", err, tt.want)
							}
							time.Sleep(time.Second) // virtual
						}
					})
				}
				wg.Wait()
				if _, err := s.Get([]byte("before")); err != nil {
					t.Errorf("read while the disk is %s: %v", tt.name, err)
				}
				if m := s.Metrics(); m.Writable || m.WhyNotWritable == "" {
					t.Errorf("metrics: %+v", m)
				}

				disk(false)
				time.Sleep(2 * time.Second) // virtual
				set(t, s, "after")
				for _, k := range []string{"before", "after"} {
					if _, err := s.Get([]byte(k)); err != nil {
						t.Errorf("%s: %v", k, err)
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestNearlyFull refuses writes before the disk is full, because Pebble needs room for what it already took.
func TestNearlyFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		s, err := storage.Open(storage.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		const gib = 1 << 30
		for _, step := range []struct {
			left uint64
			want error
		}{{10 * gib, nil}, {1 << 20, storage.ErrFull}, {gib, nil}} {
			fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: step.left, TotalBytes: 100 * gib})
			time.Sleep(2 * time.Second) // virtual
			b := s.NewBatch()
			b.Set([]byte("k"), nil)
			if err := s.Commit(b); !errors.Is(err, step.want) {
				t.Errorf("%d bytes left: got %v, want %v", step.left, err, step.want)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestLogCannotBeRotated fails in the places where Pebble would panic with its locks held: the commit says so, reads go on, nothing hangs,
// and what was acknowledged is there when the disk is well again.
func TestLogCannotBeRotated(t *testing.T) {
	tests := map[string]func(errorfs.Op) bool{
		"making the new log":   func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite },
		"syncing the folder":   func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileSync && op.Path == "/data/store" },
		"every kind of change": func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite },
	}
	for name, hit := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { cannotRotate(t, hit) })
		})
	}
}

func cannotRotate(t *testing.T, hit func(errorfs.Op) bool) {
	var mu sync.Mutex
	ill := false
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if ill && hit(op) {
			return syscall.EIO
		}
		return nil
	}))
	s, err := storage.Open(storage.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	set(t, s, "before")
	disk := func(isIll bool) { mu.Lock(); ill = isIll; mu.Unlock() }
	disk(true)
	var failed error
	var acked uint64
	for ; failed == nil && acked < 100; acked++ {
		b := s.NewBatch()
		b.Set(key("big", acked), make([]byte, 1<<20))
		failed = s.Commit(b)
	}
	acked--
	if !errors.Is(failed, storage.ErrUnavailable) {
		t.Errorf("got %v, want %v", failed, storage.ErrUnavailable)
	}
	if _, err := s.Get([]byte("before")); err != nil {
		t.Errorf("reads: %v", err)
	}
	b := s.NewBatch()
	b.Set([]byte("during"), nil)
	if err := s.Commit(b); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a later commit: %v", err)
	}
	disk(false)
	time.Sleep(2 * time.Second) // virtual
	set(t, s, "after")
	for i := range acked {
		if _, err := s.Get(key("big", i)); err != nil {
			t.Errorf("acknowledged %d: %v", i, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s, err = storage.Open(storage.Options{FS: fs}); err != nil {
		t.Fatal(err)
	}
	set(t, s, "at last")
	if _, err := s.Get([]byte("after")); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// BenchmarkCommit has 64 writers commit synced batches of so many keys in a folder of the machine.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 10, 40} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			s, err := storage.Open(storage.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.SetParallelism(64 / 2)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					batch := s.NewBatch()
					for range n {
						batch.Set(key("k", rand.Uint64()), make([]byte, 100))
					}
					if err := s.Commit(batch); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
