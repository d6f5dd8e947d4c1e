package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/klauspost/compress/zstd"
)

// window is how far back the compression looks, in bytes: what reading takes in memory.
const window = 4 << 20

// Write writes a backup of a folder in which nothing changes any more. It fills in the manifest's format, its files, and whether the seal key
// is among them. When it fails, what was written is no backup.
func Write(w io.Writer, m Manifest, folder fs.FS) error {
	m.Format = Format
	var err error
	if m.Files, err = list(folder); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	m.SealKey.Included = false
	for _, f := range m.Files {
		m.SealKey.Included = m.SealKey.Included || f.Name == sealKeyFile
	}
	if err := m.check(); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	// One core, and not the smallest result: the installation goes on meanwhile.
	compressed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		return err
	}
	out := &writer{tar: tar.NewWriter(compressed), at: m.Created}
	if err := out.all(m, folder); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return compressed.Close()
}

// list finds the files of a folder, in the order of their names.
func list(folder fs.FS) (files []File, err error) {
	err = fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is not a file", name)
		}
		files = append(files, File{Name: name, Size: info.Size()})
		return nil
	})
	return files, err
}

// writer writes entries and keeps their sums.
type writer struct {
	tar  *tar.Writer
	at   time.Time
	sums bytes.Buffer
}

func (w *writer) all(m Manifest, folder fs.FS) error {
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := w.entry(File{manifestFile, int64(len(manifest))}, bytes.NewReader(manifest)); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := w.file(f, folder); err != nil {
			return err
		}
	}
	if err := w.entry(File{sumsFile, int64(w.sums.Len())}, bytes.NewReader(bytes.Clone(w.sums.Bytes()))); err != nil {
		return err
	}
	return w.tar.Close()
}

func (w *writer) file(f File, folder fs.FS) error {
	content, err := folder.Open(f.Name)
	if err != nil {
		return err
	}
	defer content.Close()
	return w.entry(f, content)
}

func (w *writer) entry(f File, content io.Reader) error {
	header := tar.Header{Typeflag: tar.TypeReg, Name: f.Name, Size: f.Size, Mode: 0o600, ModTime: w.at.Truncate(time.Second), Format: tar.FormatUSTAR}
	if err := w.tar.WriteHeader(&header); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w.tar, sum), content, f.Size); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	addSum(&w.sums, f.Name, sum)
	return nil
}
