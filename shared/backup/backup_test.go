package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/backup"
)

func TestWriteAndRestore(t *testing.T) {
	t.Parallel()
	for _, without := range []bool{false, true} {
		source := installation()
		if without {
			delete(source, "seal.key")
		}
		file := written(t, source)
		want := about()
		want.Format, want.SealKey.Included = 1, !without
		want.Files = []backup.File{{Name: "FORMAT", Size: 15}, {Name: "issuer.json", Size: 13}, {Name: "seal.key", Size: 10},
			{Name: "store/000009.sst", Size: 1024}, {Name: "store/000012.log", Size: 20000}, {Name: "store/MANIFEST-000001"}}
		if without {
			want.Files = append(want.Files[:2:2], want.Files[3:]...)
		}
		verified, err := backup.Read(iotest.OneByteReader(bytes.NewReader(file)), nil)
		if diff := cmp.Diff(want, verified); err != nil || diff != "" {
			t.Fatalf("%v, -want +got:\n%s", err, diff)
		}
		for _, empty := range []bool{false, true} {
			dir := filepath.Join(t.TempDir(), "data")
			if empty {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			restored, err := backup.Restore(bytes.NewReader(file), dir)
			if diff := cmp.Diff(want, restored); err != nil || diff != "" {
				t.Fatalf("%v, -want +got:\n%s", err, diff)
			}
			files := map[string]string{}
			for name, f := range source {
				files[name] = string(f.Data)
			}
			if diff := cmp.Diff(files, contents(t, dir)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		}
	}
}

// The archive is of the usual kinds: who has lost this program can still open it.
func TestSumsAreThoseOfSha256sum(t *testing.T) {
	t.Parallel()
	entries := unpack(t, written(t, installation()))
	first, last := entries[0], entries[len(entries)-1]
	if first.Name != "manifest.json" || last.Name != "SHA256SUMS" || strings.Count(last.content, "\n") != len(entries)-1 {
		t.Fatalf("%s … %s: %s", first.Name, last.Name, last.content)
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  store/MANIFEST-000001\n"
	if !strings.HasSuffix(last.content, empty) {
		t.Errorf("%s", last.content)
	}
}

// None of it is taken from a folder that holds what does not belong there.
func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(fstest.MapFS){
		"a stranger":      func(f fstest.MapFS) { f["notes.txt"] = &fstest.MapFile{} },
		"a deeper folder": func(f fstest.MapFS) { f["store/a/b"] = &fstest.MapFile{} },
		"a hidden file":   func(f fstest.MapFS) { f["store/.x"] = &fstest.MapFile{} },
		"a link":          func(f fstest.MapFS) { f["store/x"] = &fstest.MapFile{Mode: os.ModeSymlink} },
		"no FORMAT":       func(f fstest.MapFS) { delete(f, "FORMAT") },
		"no issuer":       func(f fstest.MapFS) { delete(f, "issuer.json") },
	} {
		folder := installation()
		change(folder)
		if err := backup.Write(io.Discard, about(), folder); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	file := &full{room: 100}
	if err := backup.Write(file, about(), installation()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
}

type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// wantNothing restores a file that must be refused, and looks whether anything is left.
func wantNothing(t *testing.T, what string, file []byte, says string) {
	t.Helper()
	outer := t.TempDir()
	dir := filepath.Join(outer, "data")
	_, err := backup.Restore(bytes.NewReader(file), dir)
	if err == nil {
		t.Errorf("%s: restored", what)
		return
	}
	if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v, want it to say %q in one line", what, err, says)
	}
	if left, _ := os.ReadDir(outer); len(left) > 0 {
		t.Errorf("%s: %s is left", what, left[0].Name())
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(bytes.NewReader(file), dir); err == nil {
		t.Errorf("%s: restored into an empty folder", what)
	}
	if left := contents(t, dir); len(left) > 0 {
		t.Errorf("%s: %v is left", what, left)
	}
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	file := written(t, installation())
	for n := range file {
		if _, err := backup.Read(bytes.NewReader(file[:n]), nil); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("the first %d bytes of %d: %v", n, len(file), err)
		}
		if n%197 == 0 {
			wantNothing(t, fmt.Sprint(n, " bytes"), file[:n], "damaged or incomplete")
		}
	}
	wantNothing(t, "one byte too few", file[:len(file)-1], "damaged or incomplete")
	for what, more := range map[string][]byte{"a byte": {0}, "the same again": file, "zeros": compressed(t, make([]byte, 4096))} {
		wantNothing(t, "and then "+what, append(bytes.Clone(file), more...), "damaged or incomplete")
	}
}

// Every bit counts, but where the compression has several ways to say the same: then all is as it was.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	file := written(t, installation())
	want, err := backup.Read(bytes.NewReader(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	original := map[string]string{}
	for name, f := range installation() {
		original[name] = string(f.Data)
	}
	for n := range file {
		flipped := bytes.Clone(file)
		flipped[n] ^= 1 << (n % 8)
		got := map[string]string{}
		m, err := backup.Read(bytes.NewReader(flipped), func(f backup.File, content io.Reader) error {
			text, err := io.ReadAll(content)
			got[f.Name] = string(text)
			return err
		})
		switch {
		case err == nil && (!cmp.Equal(want, m) || !cmp.Equal(original, got)):
			t.Errorf("in byte %d: taken for whole", n)
		case err != nil && !errors.Is(err, backup.ErrDamaged):
			t.Errorf("in byte %d: %v", n, err)
		}
	}
}

func TestRestoreIntoWhatIsThere(t *testing.T) {
	t.Parallel()
	file := written(t, installation())
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{dir, kept, filepath.Join(dir, "none", "data")} {
		if _, err := backup.Restore(bytes.NewReader(file), where); err == nil {
			t.Errorf("restored into %s", where)
		}
	}
	if left := contents(t, dir); len(left) != 1 {
		t.Errorf("there is %v", left)
	}
}

// What is broken off has a store and no FORMAT until the last moment: no emulator takes that for an installation, or for an empty folder.
func TestWhatABrokenOffRestoreLooksLike(t *testing.T) {
	t.Parallel()
	file := written(t, installation())
	dir := filepath.Join(t.TempDir(), "data")
	looked := 0
	look := func() {
		looked++
		if _, err := os.Stat(filepath.Join(dir, "FORMAT")); err == nil {
			t.Error("FORMAT is there before the end")
		}
		if _, err := os.Stat(filepath.Join(dir, "store")); err != nil {
			t.Error(err)
		}
	}
	if _, err := backup.Restore(&watched{bytes.NewReader(file), look}, dir); err != nil {
		t.Fatal(err)
	}
	if looked < 3 {
		t.Errorf("looked %d times", looked)
	}
}

type watched struct {
	io.Reader
	look func()
}

func (w *watched) Read(p []byte) (int, error) {
	w.look()
	return w.Reader.Read(p[:min(len(p), 200)])
}
