package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The file FORMAT in the data folder: a word that says what the folder is, and the version of everything in it.
const (
	formatFile    = "FORMAT"
	formatName    = "callout-data"
	formatVersion = 1
	formatMax     = 256 // bytes read of a FORMAT file
)

// makeFolder makes a folder that only its owner may enter.
func makeFolder(fsys vfs.FS, dir string) error {
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return syncFolder(fsys, fsys.PathDir(dir))
}

func syncFolder(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkFormat reads the folder's version, or writes it where the folder is new. A folder that has data and no FORMAT is not ours.
func checkFormat(fsys vfs.FS, dir string) error {
	f, err := fsys.Open(fsys.PathJoin(dir, formatFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := fsys.Stat(fsys.PathJoin(dir, "store")); err == nil {
			return fmt.Errorf("%w: there is a folder \"store\" but no file %s; if it was left by a restore that was broken off, remove the folder and restore again", ErrFormat, formatFile)
		}
		return writeFormat(fsys, dir)
	}
	if err != nil {
		return fmt.Errorf("read format: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(f, formatMax))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read format: %w", err)
	}
	name, number, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	version, err := strconv.Atoi(number)
	switch {
	case name != formatName || err != nil || version < 1:
		return fmt.Errorf("%w: %s says %q", ErrFormat, formatFile, text)
	case version > formatVersion:
		return fmt.Errorf("%w: the data is of version %d, this program knows up to %d; use a newer program", ErrFormat, version, formatVersion)
	}
	return nil // version 1 is the first: nothing to upgrade yet
}

// writeFormat leaves either no FORMAT or a whole one, whenever the power fails.
func writeFormat(fsys vfs.FS, dir string) error {
	name := fsys.PathJoin(dir, formatFile)
	f, err := fsys.Create(name+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("write format: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s %d\n", formatName, formatVersion)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write format: %w", err)
	}
	if err := fsys.Rename(name+".new", name); err != nil {
		return fmt.Errorf("write format: %w", err)
	}
	return syncFolder(fsys, dir)
}

// lockError says in words that the folder is taken.
func lockError(err error) error {
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || strings.Contains(err.Error(), "lock held") {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return fmt.Errorf("lock: %w", err)
}
