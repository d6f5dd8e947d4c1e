package storage_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/emulator/storage"
)

// Nothing in the store looks around by the clock: a year of virtual time costs nothing.
func TestTimePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		set(t, s, "a")
		time.Sleep(365 * 24 * time.Hour)
		set(t, s, "b")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Compactions keep up although nothing looks for them by the clock: once the load ends, those under way start all the rest.
func TestCompactionsKeepUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := storage.Open(storage.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		value := make([]byte, 64<<10)
		random := rand.NewChaCha8([32]byte{})
		for round := range 12 {
			for range 8 {
				_, _ = random.Read(value)
				b := s.NewBatch()
				for i := range 16 {
					b.Set(fmt.Appendf(nil, "x%016x", random.Uint64()), value)
					b.Delete(fmt.Appendf(nil, "x%016x", random.Uint64()+uint64(i)))
				}
				if err := s.CommitUnsynced(b); err != nil {
					t.Fatal(err)
				}
			}
			if round%4 == 3 {
				synctest.Wait()
				if m := s.Metrics(); m.ReadAmp > 8 || m.CompactionDebt > m.DiskUsage/4 {
					t.Errorf("round %d at rest: read amplification %d, debt %d of %d bytes after %d flushes and %d compactions",
						round, m.ReadAmp, m.CompactionDebt, m.DiskUsage, m.Flushes, m.Compactions)
				}
			}
		}
		if m := s.Metrics(); m.Flushes < 4 || m.Compactions < 2 {
			t.Errorf("%d flushes and %d compactions: the load was too small", m.Flushes, m.Compactions)
		}
	})
}
