package storage

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logs knows how much was written to each write-ahead log since the store was opened. A log's file is longer than that: it is made of an old
// one, or room was made for it. Who copies it while it is written, as a checkpoint does, could take its middle before something is written
// there and its end after that, and Pebble calls such a hole corruption, and opens the copy never. So a log is read up to what was written when
// the reading began.
type logs struct {
	mu      sync.Mutex
	written map[string]*atomic.Int64 // bytes, by path
}

// begin starts to count for a log that is made, at first nothing.
func (l *logs) begin(name string) *atomic.Int64 {
	n := new(atomic.Int64)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written[name] = n
	return n
}

func (l *logs) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.written, name)
}

// limit cuts off what is read of a log that is or was written by this store.
func (l *logs) limit(name string, file vfs.File) vfs.File {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.written[name]
	if n == nil {
		return file
	}
	return &beginning{file, io.LimitReader(file, n.Load())}
}

// beginning is the beginning of a file, to be read from there on.
type beginning struct {
	vfs.File
	limited io.Reader
}

// Read reads on, up to where the beginning ends.
func (b *beginning) Read(p []byte) (int, error) { return b.limited.Read(p) }
