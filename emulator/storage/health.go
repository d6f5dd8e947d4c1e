package storage

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// reviveAfter is how long a store that failed refuses writes before one of them tries to open it afresh.
const reviveAfter = time.Second

// health is what the store knows about its disk.
type health struct {
	failed     atomic.Pointer[failure] // the write-ahead log or the manifest failed: no write can succeed until the store is opened afresh
	background atomic.Pointer[failure] // a flush or compaction failed and is tried again: writes wait for the one that succeeds
}

type failure struct {
	err error
	at  time.Time
}

func (h *health) fatal() error {
	if f := h.failed.Load(); f != nil {
		return f.err
	}
	return nil
}

// writable is nil, or why nothing can be written now.
func (h *health) writable() error {
	if err := h.fatal(); err != nil {
		return err
	}
	if f := h.background.Load(); f != nil {
		return f.err
	}
	return nil
}

// fail remembers the first failure and gives it back.
func (h *health) fail(err error) error {
	f := &failure{classify(err), time.Now()}
	if !h.failed.CompareAndSwap(nil, f) {
		return h.fatal()
	}
	return f.err
}

// classify makes err one of the store's own.
func classify(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrFull) || errors.Is(err, ErrUnavailable):
		return err
	case vfs.IsNoSpaceError(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func (s *Store) backgroundError(err error) {
	s.log.Warn("storage: background work failed and will be tried again", "error", err)
	s.health.background.Store(&failure{classify(err), time.Now()})
}

func (s *Store) flushEnd(info pebble.FlushInfo) {
	if info.Err == nil {
		s.health.background.Store(nil)
	}
}

// logger keeps Pebble from ending the process. What Pebble calls fatal is remembered, and every later write is refused.
type logger struct{ s *Store }

func (l logger) Infof(format string, args ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.s.log.Error("storage: " + fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	cause := fmt.Errorf(format, args...)
	for _, a := range args {
		if err, ok := a.(error); ok {
			cause = err
		}
	}
	l.s.log.Error("storage: writes are refused", "error", cause)
	_ = l.s.health.fail(cause)
}
