// Package storage is the one embedded store under the Firestore and the Pub/Sub server: ordered keys and values in one folder, one stream
// of synced writes, one checkpoint.
//
// It stands on Pebble because Pebble is what fits a server that must survive a power cut: it groups concurrent commits into one fsync,
// iterates in both directions over snapshots, keeps memory bounded by its cache, has a crashable in-memory file system with which power
// cuts become unit tests, runs inside a testing/synctest bubble, and is kept well by people whose database depends on it. (bbolt writes
// one transaction at a time and rewrites pages; Badger keeps more in memory and has no such file system; SQLite wants cgo or a translation.)
//
// The first byte of a key says whose it is: 'f' Firestore, 'p' Pub/Sub, 'x' other users.
package storage

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The errors that callers tell apart, by errors.Is.
var (
	// ErrNotFound: there is no such key.
	ErrNotFound = errors.New("key not found")
	// ErrFull: the disk is full; the write may or may not be there after a restart. Reads go on.
	ErrFull = errors.New("disk full")
	// ErrUnavailable: the disk failed or the store is closed; the write may or may not be there after a restart. Reads go on.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrInUse: another process, or another Store of this one, has the folder.
	ErrInUse = errors.New("data folder is in use by another process")
	// ErrFormat: the folder holds data of a version that this program does not know.
	ErrFormat = errors.New("unknown data format")
)

// Options says where a Store lives. The zero value is a store in memory.
type Options struct {
	Dir        string       // the data folder, made if it is not there; empty: in memory, unless FS is set
	FS         vfs.FS       // nil: the machine's, or a fresh one in memory where Dir is empty; tests give one that fails or crashes
	CacheBytes int64        // block cache; 0 means 64 MiB
	Log        *slog.Logger // nil: nothing is logged

	// MemTableBytes is how much is written before it is sorted into files; 0 means 16 MiB. Less suits a small store that is looked at
	// much more than it is written: a look at the head of a queue passes over every key deleted there since.
	MemTableBytes uint64
}

const (
	defaultCacheBytes    = 64 << 20
	defaultMemTableBytes = 16 << 20
)

// Store is an ordered map of bytes to bytes, safe for concurrent use. Make one with Open.
type Store struct {
	fs   vfs.FS
	dir  string // what holds FORMAT; Pebble's files are in its folder "store"
	lock *pebble.Lock
	log  *slog.Logger

	cacheBytes    int64
	memTableBytes uint64

	health health

	mu     sync.Mutex
	idle   sync.Cond  // users became 0
	db     *pebble.DB // nil: closed, or could not be opened again after a failure
	users  int        // reads, writes and snapshots under way: db is neither closed nor replaced under them
	closed bool

	applying sync.Mutex // one batch at a time enters Pebble, so that one that panics there blocks no other
	space    space
	poisoned bool // a batch panicked in Pebble, whose locks it still holds

	generation atomic.Int64

	commits atomic.Int64
	synced  atomic.Int64
}

// Open opens the folder, or makes it. The error wraps ErrInUse or ErrFormat where these are the reason.
func Open(o Options) (*Store, error) {
	fs, dir := o.FS, o.Dir
	switch {
	case fs == nil && dir == "":
		fs, dir = vfs.NewMem(), "/data"
	case fs == nil:
		fs = vfs.Default
	case dir == "":
		dir = "/data"
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{fs: fs, dir: dir, log: log}
	s.idle.L = &s.mu
	if err := s.open(o); err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open(o Options) error {
	store := s.path()
	if err := makeFolder(s.fs, s.dir); err != nil {
		return err
	}
	if err := checkFormat(s.fs, s.dir); err != nil {
		return err
	}
	if err := makeFolder(s.fs, store); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(store, s.fs)
	if err != nil {
		return lockError(err)
	}
	cacheBytes := o.CacheBytes
	if cacheBytes == 0 {
		cacheBytes = defaultCacheBytes
	}
	s.lock, s.cacheBytes, s.memTableBytes = lock, cacheBytes, cmp.Or(o.MemTableBytes, defaultMemTableBytes)
	s.db, err = s.openDB(false)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	return nil
}

func (s *Store) path() string { return s.fs.PathJoin(s.dir, "store") }

// openDB opens what is in the folder; what Pebble calls fatal while it does so is an error like any other.
func (s *Store) openDB(readOnly bool) (*pebble.DB, error) {
	db, err := pebble.Open(s.path(), s.options(readOnly))
	if err != nil {
		return nil, err
	}
	if err := s.health.fatal(); err != nil {
		return nil, errors.Join(err, closeDB(db))
	}
	return db, nil
}

func (s *Store) options(readOnly bool) *pebble.Options {
	o := &pebble.Options{
		ReadOnly:                    readOnly,
		FS:                          shield{s.fs, &s.health, s.path(), &logs{written: map[string]*atomic.Int64{}}},
		Lock:                        s.lock,
		CacheSize:                   s.cacheBytes,
		FormatMajorVersion:          pebble.FormatNewest,
		MemTableSize:                s.memTableBytes,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      logger{s},
		EventListener: &pebble.EventListener{
			BackgroundError: s.backgroundError,
			FlushEnd:        s.flushEnd,
		},
	}
	// The default scheduler without its look every 100 ms, which in virtual time costs seconds for each day, and is ten wake-ups a second
	// for an idle server. That look finds a rise in how many compactions are allowed. Here the range above keeps the number at one: where a
	// compaction has to wait, another one runs, and its end starts the next.
	o.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return o
}

// use gives the database to a caller, who must call done.
func (s *Store) use() (*pebble.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: closed", ErrUnavailable)
	}
	if s.db == nil {
		return nil, s.health.fatal()
	}
	s.users++
	return s.db, nil
}

func (s *Store) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.idle.Broadcast()
	}
}

// Generation counts how often the store was opened afresh after a failure. When it moves, writes that were visible and never became
// durable are gone, and what was remembered of them must be forgotten.
func (s *Store) Generation() int64 { return s.generation.Load() }

// Close refuses new reads and writes, waits for those under way and for open snapshots, and gives the folder free.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for s.users > 0 {
		s.idle.Wait()
	}
	if s.poisoned { // closing would wait for ever; what was acknowledged is on the disk
		return errors.Join(s.health.fatal(), s.lock.Close())
	}
	return errors.Join(closeDB(s.db), s.lock.Close())
}

// closeDB closes a database that may have failed: Pebble then panics rather than returns.
func closeDB(db *pebble.DB) (err error) {
	if db == nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: close: %v", ErrUnavailable, r)
		}
	}()
	return db.Close()
}
