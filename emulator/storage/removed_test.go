package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/callout-dev/callout/emulator/storage"
)

func TestRemovedFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := storage.Open(storage.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.Set([]byte("k"), nil)
	if err := s.Commit(b); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a commit to a folder that was removed: %v", err)
	}
}
