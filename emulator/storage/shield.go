package storage

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// shield stands between Pebble and the file system. Where the write-ahead log cannot be written, closed or replaced, Pebble panics in a
// way that ends the process; so the shield remembers the failure, after which no commit is acknowledged and none is begun, and lets
// Pebble believe that all is well. From then on the log on the disk is left as it is: not written, not removed, not recycled, so that
// the next open finds everything that was ever acknowledged. It stands before the store's own folder alone: a checkpoint that cannot be
// written has failed, and the store has not.
type shield struct {
	vfs.FS
	health *health
	dir    string // Pebble's folder
	logs   *logs
}

func (f shield) isLog(name string) bool {
	return strings.HasSuffix(name, ".log") && f.FS.PathDir(name) == f.dir
}

// Unwrap gives the file system behind the shield.
func (f shield) Unwrap() vfs.FS { return f.FS }

// Create makes a file; a log that cannot be made is one in memory, which nobody will read.
func (f shield) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.isLog(name) {
		return f.FS.Create(name, c)
	}
	return f.log(name, func() (vfs.File, error) { return f.FS.Create(name, c) })
}

// ReuseForWrite makes a log of an old one, as Create.
func (f shield) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !f.isLog(name) {
		return f.FS.ReuseForWrite(old, name, c)
	}
	f.logs.forget(old)
	return f.log(name, func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

func (f shield) log(name string, make func() (vfs.File, error)) (vfs.File, error) {
	if f.health.fatal() == nil {
		file, err := make()
		if err == nil {
			return shieldedFile{file, f.health, f.logs.begin(name)}, nil
		}
		_ = f.health.fail(err)
	}
	return vfs.NewMem().Create("lost.log", vfs.WriteCategoryUnspecified)
}

// Remove removes a file, but no log after a failure.
func (f shield) Remove(name string) error {
	if f.isLog(name) && f.health.fatal() != nil {
		return nil
	}
	f.logs.forget(name)
	return f.FS.Remove(name)
}

// Open opens a file for reading, a log as far as it is written.
func (f shield) Open(name string, o ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, o...)
	if err != nil || !f.isLog(name) {
		return file, err
	}
	return f.logs.limit(name, file), nil
}

// OpenDir opens a folder; Pebble syncs it when it replaces the log.
func (f shield) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil || name != f.dir {
		return file, err
	}
	return shieldedFile{file, f.health, new(atomic.Int64)}, nil
}

// shieldedFile is a log or the folder. Its first failure is remembered; after one, by any of them, it does nothing more.
type shieldedFile struct {
	vfs.File
	health  *health
	written *atomic.Int64 // bytes
}

func (f shieldedFile) guard(do func() error) {
	if f.health.fatal() != nil {
		return
	}
	if err := do(); err != nil {
		_ = f.health.fail(err)
	}
}

// Write never fails.
func (f shieldedFile) Write(p []byte) (int, error) {
	f.guard(func() error {
		n, err := f.File.Write(p)
		f.written.Add(int64(n))
		return err
	})
	return len(p), nil
}

// Preallocate never fails.
func (f shieldedFile) Preallocate(offset, length int64) error {
	f.guard(func() error { return f.File.Preallocate(offset, length) })
	return nil
}

// Sync never fails.
func (f shieldedFile) Sync() error {
	f.guard(f.File.Sync)
	return nil
}

// SyncData never fails.
func (f shieldedFile) SyncData() error {
	f.guard(f.File.SyncData)
	return nil
}

// SyncTo never fails.
func (f shieldedFile) SyncTo(length int64) (fullSync bool, err error) {
	f.guard(func() error { fullSync, err = f.File.SyncTo(length); return err })
	return fullSync, nil
}

// Close never fails. What is closed after a failure may have lost writes, and it is known that it may.
func (f shieldedFile) Close() error {
	if err := f.File.Close(); err != nil {
		_ = f.health.fail(err)
	}
	return nil
}
