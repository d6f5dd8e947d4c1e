package storage_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/storage"
)

func open(t *testing.T, o storage.Options) *storage.Store {
	t.Helper()
	s, err := storage.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrFull) {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func set(t *testing.T, s *storage.Store, keys ...string) {
	t.Helper()
	b := s.NewBatch()
	for _, k := range keys {
		b.Set([]byte(k), []byte("value of "+k))
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
}

type scanner interface {
	Scan(lower, upper []byte, reverse bool, fn func(key, value []byte) bool) error
}

func keys(t *testing.T, s scanner, lower, upper string, reverse bool, limit int) []string {
	t.Helper()
	var got []string
	err := s.Scan([]byte(lower), []byte(upper), reverse, func(key, value []byte) bool {
		if string(value) != "value of "+string(key) {
			t.Errorf("key %q has value %q", key, value)
		}
		got = append(got, string(key))
		return len(got) < limit
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestScan(t *testing.T) {
	s := open(t, storage.Options{})
	set(t, s, "a", "b", "b\x00", "c", "d")
	tests := []struct {
		name         string
		lower, upper string
		reverse      bool
		limit        int
		want         []string
	}{
		{"all", "", "z", false, 9, []string{"a", "b", "b\x00", "c", "d"}},
		{"upper is excluded", "b", "c", false, 9, []string{"b", "b\x00"}},
		{"reverse", "b", "d", true, 9, []string{"c", "b\x00", "b"}},
		{"stopped", "a", "z", false, 2, []string{"a", "b"}},
		{"stopped in reverse", "a", "z", true, 1, []string{"d"}},
		{"nothing", "x", "y", false, 9, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, keys(t, s, tt.lower, tt.upper, tt.reverse, tt.limit)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestBatchIsOneChange(t *testing.T) {
	s := open(t, storage.Options{})
	set(t, s, "a", "b", "c1", "c2", "d")
	before := s.Snapshot()
	defer before.Close()

	b := s.NewBatch()
	b.Delete([]byte("a"))
	b.DeleteRange([]byte("c"), []byte("d"))
	b.Set([]byte("e"), []byte("value of e"))
	if b.Len() != 3 {
		t.Errorf("the batch has %d operations, want 3", b.Len())
	}
	if _, err := s.Get([]byte("e")); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("before the commit: %v", err)
	}
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "d", "e"}, keys(t, s, "a", "z", false, 9)); diff != "" {
		t.Errorf("after the commit, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b", "c1", "c2", "d"}, keys(t, before, "a", "z", false, 9)); diff != "" {
		t.Errorf("snapshot, -want +got:\n%s", diff)
	}
	if v, err := before.Get([]byte("a")); err != nil || string(v) != "value of a" {
		t.Errorf("snapshot: got %q, %v", v, err)
	}
	if err := s.Commit(s.NewBatch()); err != nil {
		t.Errorf("empty batch: %v", err)
	}
}

func TestIter(t *testing.T) {
	s := open(t, storage.Options{})
	set(t, s, "a", "b", "c", "d")
	snap := s.Snapshot()
	defer snap.Close()
	it, err := snap.Iter([]byte("b"), []byte("d"))
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	steps := []struct {
		name string
		do   func() bool
		want string
	}{
		{"first", it.First, "b"},
		{"next", it.Next, "c"},
		{"beyond the end", it.Next, ""},
		{"back", it.Prev, "c"},
		{"seek before the lower bound", func() bool { return it.SeekGE([]byte("a")) }, "b"},
		{"seek between", func() bool { return it.SeekGE([]byte("bb")) }, "c"},
		{"seek less", func() bool { return it.SeekLT([]byte("c")) }, "b"},
		{"last", it.Last, "c"},
	}
	for _, step := range steps {
		got := ""
		if step.do() {
			got = string(it.Key())
		}
		if got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
	if err := it.Err(); err != nil {
		t.Error(err)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, storage.Options{Dir: dir})
	set(t, s, "a")
	b := s.NewBatch()
	b.Set([]byte("b"), []byte("value of b"))
	if err := s.CommitUnsynced(b); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get([]byte("a")); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("get after close: %v", err)
	}
	if err := s.Commit(b); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("commit after close: %v", err)
	}
	if err := s.Scan(nil, nil, false, nil); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("scan after close: %v", err)
	}
	again := open(t, storage.Options{Dir: dir})
	if diff := cmp.Diff([]string{"a", "b"}, keys(t, again, "", "z", false, 9)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOpenRefuses(t *testing.T) {
	file := func(name, text string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string)
		want    error
	}{
		{"a second user", func(t *testing.T, dir string) { open(t, storage.Options{Dir: dir}) }, storage.ErrInUse},
		{"a newer version", file("FORMAT", "callout-data 2\n"), storage.ErrFormat},
		{"another program's file", file("FORMAT", "postgres 17\n"), storage.ErrFormat},
		{"an empty file", file("FORMAT", ""), storage.ErrFormat},
		{"a store without a version", func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "store"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, storage.ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.prepare(t, dir)
			if s, err := storage.Open(storage.Options{Dir: dir}); !errors.Is(err, tt.want) {
				t.Errorf("got %v, %v, want %v", s, err, tt.want)
			}
		})
	}
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(storage.Options{Dir: dir}); err == nil {
		t.Error("opened a file as a folder")
	}
}

func TestCheckpoint(t *testing.T) {
	s := open(t, storage.Options{Dir: t.TempDir()})
	set(t, s, "a", "b")
	dir := filepath.Join(t.TempDir(), "copy")
	if err := s.Checkpoint(dir); err != nil {
		t.Fatal(err)
	}
	set(t, s, "c")
	if err := s.Checkpoint(dir); err == nil {
		t.Error("a checkpoint over another")
	}
	cp := open(t, storage.Options{Dir: dir})
	if diff := cmp.Diff([]string{"a", "b"}, keys(t, cp, "", "z", false, 9)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestInABubble(t *testing.T) {
	for range 3 { // what Pebble pools must be free to go from one bubble to the next
		synctest.Test(t, func(t *testing.T) {
			s, err := storage.Open(storage.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() { set(t, s, fmt.Sprintf("k%02d", i)) })
			}
			wg.Wait()
			if got := keys(t, s, "", "z", false, 99); len(got) != 16 {
				t.Errorf("got %d keys", len(got))
			}
			if m := s.Metrics(); m.Synced != 16 || !m.Writable {
				t.Errorf("metrics: %+v", m)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
