package backup_test

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/callout-dev/callout/shared/backup"
)

// installation is a data folder.
func installation() fstest.MapFS {
	return fstest.MapFS{
		"FORMAT":                {Data: []byte("callout-data 1\n")},
		"issuer.json":           {Data: []byte(`{"version":2}`)},
		"seal.key":              {Data: []byte("k1:secret\n")},
		"store/000012.log":      {Data: bytes.Repeat([]byte("log "), 5000)},
		"store/000009.sst":      {Data: []byte(strings.Repeat("0123456789abcdef", 64))},
		"store/MANIFEST-000001": {},
	}
}

func about() backup.Manifest {
	return backup.Manifest{Callout: "1.2.3", Created: time.Date(2026, 11, 24, 2, 8, 40, 0, time.UTC), API: "http://127.0.0.1:8080",
		Issuer: "http://127.0.0.1:8082", SealKey: backup.SealKey{IDs: []string{"k1"}}}
}

func written(t testing.TB, folder fs.FS) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := backup.Write(&file, about(), folder); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// entry is one of an archive, and anything that tar knows.
type entry struct {
	tar.Header
	content string
}

// unpack gives the entries of a backup, and pack makes one of them, right or not.
func unpack(t testing.TB, file []byte) (entries []entry) {
	t.Helper()
	plain, err := zstd.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for in := tar.NewReader(plain); ; {
		header, err := in.Next()
		if err != nil {
			return entries
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(in); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{*header, content.String()})
	}
}

func pack(t testing.TB, entries []entry) []byte {
	t.Helper()
	var plain bytes.Buffer
	out := tar.NewWriter(&plain)
	for _, e := range entries {
		if err := out.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return compressed(t, plain.Bytes())
}

func compressed(t testing.TB, plain []byte) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoder.EncodeAll(plain, nil)
}

// contents reads a folder of the disk.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if path != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		if d.IsDir() {
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		text, err := os.ReadFile(path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
