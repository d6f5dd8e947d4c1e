package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Revive opens a store that failed afresh, if it is time to and nobody uses it, as every write does first; it gives the generation. Who
// reads before it writes calls it before it reads, and then writes a NewBatchOf.
func (s *Store) Revive() int64 {
	_ = s.revive()
	return s.Generation()
}

// revive opens a store afresh whose log or manifest failed: what was never durable is dropped, and writes go on if the disk lets them.
// A write tries it when nobody uses the store, at most once in reviveAfter.
func (s *Store) revive() error {
	f := s.health.failed.Load()
	if f == nil || time.Since(f.at) < reviveAfter {
		return s.health.fatal()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.poisoned || s.users > 0 || s.health.failed.Load() != f {
		return s.health.fatal()
	}
	err := s.probe()
	if err == nil {
		err = s.reopen()
	}
	if err != nil {
		again := &failure{classify(err), time.Now()}
		s.health.failed.Store(again)
		return again.err
	}
	s.log.Info("storage: writable again")
	return nil
}

// reopen replaces the database; where it cannot be opened for writing it is opened for reading, so that reads go on.
func (s *Store) reopen() error {
	_ = closeDB(s.db)
	s.generation.Add(1)
	s.health.failed.Store(nil)
	s.health.background.Store(nil)
	db, err := s.openDB(false)
	if err != nil {
		s.health.failed.Store(nil)
		db, _ = s.openDB(true)
	}
	s.db = db
	return err
}

// probeBytes is how much must fit on the disk before a store that failed is opened afresh: opening writes a manifest and a log.
const probeBytes = 1 << 20

// probe finds out whether the disk takes data again.
func (s *Store) probe() error {
	name := s.fs.PathJoin(s.dir, "probe")
	f, err := s.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	return errors.Join(err, f.Sync(), f.Close(), s.fs.Remove(name))
}

// A store refuses writes while less than this is free, so that what it already took can be flushed and compacted: Pebble survives a
// full disk only when it does not meet one.
const (
	reserveBytes  = 64 << 20
	reserveShare  = 20      // at most one 20th of the disk
	spaceInterval = 1 << 22 // bytes written between two looks
	spaceAge      = time.Second
)

// space remembers how much room the disk had at the last look.
type space struct {
	mu     sync.Mutex
	looked time.Time
	since  int   // bytes written since
	err    error // ErrFull, or nil
}

// room is nil, or ErrFull where the disk is nearly full, or ErrUnavailable where the data folder was removed: what is written to open files
// of it is gone with the process.
func (s *Store) room(bytes int) error {
	p := &s.space
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since += bytes
	now := time.Now()
	if !p.looked.IsZero() && p.since < spaceInterval && now.Sub(p.looked) < spaceAge {
		return p.err
	}
	p.looked, p.since, p.err = now, 0, nil
	u, err := s.fs.GetDiskUsage(s.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.err = fmt.Errorf("%w: the data folder was removed", ErrUnavailable)
	case err == nil && u.AvailBytes < min(reserveBytes, u.TotalBytes/reserveShare):
		p.err = fmt.Errorf("%w: %d bytes are left", ErrFull, u.AvailBytes)
	}
	return p.err
}
