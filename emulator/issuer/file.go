package issuer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxFile bounds what is read of a state file, in bytes.
const maxFile = 1 << 20

// readFile reads a state file that nobody but its owner may read; where others could, it takes that from them. It returns
// fs.ErrNotExist where there is none.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is damaged: over %d bytes", path, maxFile)
	}
	return data, nil
}

// writeFile puts data in the place of path, so that after a crash at any point the file is the old one or the new one, whole.
func writeFile(path string, data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("write %s: over %d bytes", path, maxFile)
	}
	temporary := path + ".tmp"
	if err := writeSynced(temporary, data); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temporary)))
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temporary)))
	}
	return syncFolder(filepath.Dir(path))
}

func writeSynced(path string, data []byte) (err error) {
	if err := ignoreMissing(os.Remove(path)); err != nil { // what a crash left, whatever its mode
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepFile writes the file only where it is not already what it should be.
func keepFile(path string, data []byte) error {
	old, err := readFile(path)
	if err == nil && bytes.Equal(old, data) {
		return nil
	}
	return writeFile(path, data)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
