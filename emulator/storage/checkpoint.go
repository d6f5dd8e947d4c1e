package storage

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
)

// Checkpoint writes a copy of the store as it is now into dir, which must not exist; Open opens it. What was acknowledged before the call is
// in it, of what is written during it a beginning, each batch whole or not at all. Files that never change are linked where the file system
// can, so it is cheap on the same disk. The error wraps ErrFull or ErrUnavailable where the disk is the reason; then the folder is
// removed, or is one that Open refuses.
func (s *Store) Checkpoint(dir string) error {
	if err := s.checkpoint(dir); err != nil {
		return fmt.Errorf("checkpoint to %s: %w", dir, err)
	}
	return nil
}

func (s *Store) checkpoint(dir string) error {
	if _, err := s.fs.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, errors.New("it must not exist"))
	}
	db, err := s.use()
	if err != nil {
		return err
	}
	defer s.done()
	if err := errors.Join(s.health.fatal(), s.room(0)); err != nil {
		return err
	}
	if err := makeFolder(s.fs, dir); err != nil {
		return classify(err)
	}
	err = checkpointDB(db, s.fs.PathJoin(dir, "store"))
	if err == nil {
		err = s.health.fatal() // the log that was copied may have ended before this call, and Pebble was not told
	}
	if err == nil {
		err = writeFormat(s.fs, dir) // last: a folder without it is not a whole copy
	}
	if err != nil {
		_ = s.fs.RemoveAll(dir)
	}
	return classify(err)
}

// checkpointDB makes the copy. Pebble panics, holding nothing, where a folder of it cannot be synced.
func checkpointDB(db *pebble.DB, dir string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(error)
			if !ok {
				cause = fmt.Errorf("%v", r)
			}
			err = cause
		}
	}()
	return db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// Metrics are the store's numbers. Bytes unless said otherwise.
type Metrics struct {
	Commits         int64 // batches applied since Open
	Synced          int64 // of these, batches that were waited for until durable
	DiskUsage       uint64
	CacheSize       int64
	CacheHits       int64 // count
	CacheMisses     int64 // count
	MemTableSize    uint64
	WALSize         uint64
	Flushes         int64 // count
	Compactions     int64 // count
	CompactionDebt  uint64
	ReadAmp         int // sorted runs a read may have to look at
	SnapshotsOpen   int
	Writable        bool
	WhyNotWritable  string // empty when writable
	WALBytesWritten uint64
}

// Metrics reads them. A closed store has none but the reason.
func (s *Store) Metrics() Metrics {
	db, err := s.use()
	if err != nil {
		return Metrics{WhyNotWritable: err.Error()}
	}
	defer s.done()
	p := db.Metrics()
	m := Metrics{
		Commits: s.commits.Load(), Synced: s.synced.Load(),
		DiskUsage: p.DiskSpaceUsage(),
		CacheSize: p.BlockCache.Size, CacheHits: p.BlockCache.Hits, CacheMisses: p.BlockCache.Misses,
		MemTableSize: p.MemTable.Size, WALSize: p.WAL.Size, WALBytesWritten: p.WAL.BytesWritten,
		Flushes: p.Flush.Count, Compactions: p.Compact.Count, CompactionDebt: p.Compact.EstimatedDebt,
		ReadAmp: p.ReadAmp(), SnapshotsOpen: p.Snapshots.Count,
		Writable: true,
	}
	if err := s.health.writable(); err != nil {
		m.Writable, m.WhyNotWritable = false, err.Error()
	}
	return m
}
