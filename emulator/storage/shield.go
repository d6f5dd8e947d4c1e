package storage

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// shield stands between Pebble and the file system. Where the write-ahead log cannot be written, closed or replaced, Pebble panics in a
// way that ends the process; so the shield remembers the failure, after which no commit is acknowledged and none is begun, and lets
// Pebble believe that all is well. From then on the log on the disk is left as it is: not written, not removed, not recycled, so that
// the next open finds everything that was ever acknowledged.
type shield struct {
	vfs.FS
	health *health
}

func isLog(name string) bool { return strings.HasSuffix(name, ".log") }

// Unwrap gives the file system behind the shield.
func (f shield) Unwrap() vfs.FS { return f.FS }

// Create makes a file; a log that cannot be made is one in memory, which nobody will read.
func (f shield) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !isLog(name) {
		return f.FS.Create(name, c)
	}
	return f.log(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

// ReuseForWrite makes a log of an old one, as Create.
func (f shield) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if !isLog(name) {
		return f.FS.ReuseForWrite(old, name, c)
	}
	return f.log(func() (vfs.File, error) { return f.FS.ReuseForWrite(old, name, c) })
}

func (f shield) log(make func() (vfs.File, error)) (vfs.File, error) {
	if f.health.fatal() == nil {
		file, err := make()
		if err == nil {
			return shieldedFile{file, f.health}, nil
		}
		_ = f.health.fail(err)
	}
	return vfs.NewMem().Create("lost.log", vfs.WriteCategoryUnspecified)
}

// Remove removes a file, but no log after a failure.
func (f shield) Remove(name string) error {
	if isLog(name) && f.health.fatal() != nil {
		return nil
	}
	return f.FS.Remove(name)
}

// OpenDir opens a folder; Pebble syncs it when it replaces the log.
func (f shield) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return shieldedFile{file, f.health}, nil
}

// shieldedFile is a log or a folder. Its first failure is remembered; after one, by any of them, it does nothing more.
type shieldedFile struct {
	vfs.File
	health *health
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
	f.guard(func() error { _, err := f.File.Write(p); return err })
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
