package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The errors that callers tell apart, by errors.Is.
var (
	// ErrDamaged: it is no backup, or not all of one, or something in it was changed.
	ErrDamaged = errors.New("the backup is damaged or incomplete")
	// ErrNewer: a newer program made it.
	ErrNewer = errors.New("the backup is too new")
)

// Read reads a backup to its end, and returns nil as the error only if all is there and is what was written. Each file is given to put, if
// that is not nil, before anybody knows whether it is right.
func Read(r io.Reader, put func(f File, content io.Reader) error) (Manifest, error) {
	plain, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(2*window))
	if err != nil {
		return Manifest{}, damaged(err)
	}
	defer plain.Close()
	in := &reader{tar: tar.NewReader(plain)}
	m, err := in.manifest()
	if err != nil {
		return Manifest{}, err
	}
	for _, f := range m.Files {
		if err := in.file(f, put); err != nil {
			return m, err
		}
	}
	if err := in.compare(); err != nil {
		return m, err
	}
	return m, in.end(plain)
}

func damaged(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// reader reads entries and sums them.
type reader struct {
	tar  *tar.Reader
	sums bytes.Buffer
}

// next goes to an entry, which must be a plain file of that name, without any of the extensions that tar has.
func (r *reader) next(name string) (size int64, err error) {
	header, err := r.tar.Next()
	switch {
	case err != nil:
		return 0, damaged(err)
	case header.Name != name:
		return 0, damaged(fmt.Errorf("%q is where %q should be", header.Name, name))
	case header.Typeflag != tar.TypeReg || header.Format != tar.FormatUSTAR || header.Size < 0:
		return 0, damaged(fmt.Errorf("%q is not a plain file", name))
	}
	return header.Size, nil
}

func (r *reader) manifest() (Manifest, error) {
	size, err := r.next(manifestFile)
	if err != nil {
		return Manifest{}, err
	}
	if size > maxManifest {
		return Manifest{}, damaged(fmt.Errorf("%s has %d bytes, and %d are the most", manifestFile, size, maxManifest))
	}
	text, err := io.ReadAll(r.tar)
	if err != nil {
		return Manifest{}, damaged(err)
	}
	sum := sha256.New()
	sum.Write(text)
	addSum(&r.sums, manifestFile, sum)
	m, err := decodeManifest(text)
	if err != nil && !errors.Is(err, ErrNewer) {
		err = damaged(fmt.Errorf("%s: %w", manifestFile, err))
	}
	return m, err
}

func (r *reader) file(f File, put func(File, io.Reader) error) error {
	size, err := r.next(f.Name)
	if err != nil {
		return err
	}
	if size != f.Size {
		return damaged(fmt.Errorf("%s has %d bytes, and %d by the manifest", f.Name, size, f.Size))
	}
	content := &summed{from: r.tar, sum: sha256.New()}
	if put != nil {
		if err := put(f, content); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	addSum(&r.sums, f.Name, content.sum)
	return nil
}

// summed is the content of a file. Its failures are the backup's, so that who copies it can tell them from his own.
type summed struct {
	from io.Reader
	sum  hash.Hash
}

// Read implements io.Reader.
func (s *summed) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	s.sum.Write(p[:n])
	if err != nil && err != io.EOF {
		err = damaged(err)
	}
	return n, err
}

// compare reads the sums that were written and names the first file that has another one.
func (r *reader) compare() error {
	size, err := r.next(sumsFile)
	if err != nil {
		return err
	}
	if size != int64(r.sums.Len()) {
		return damaged(errors.New("the sums are not those of these files"))
	}
	written, err := io.ReadAll(r.tar)
	if err != nil {
		return damaged(err)
	}
	got := bytes.Lines(r.sums.Bytes())
	want := bytes.SplitAfter(written, []byte("\n"))
	n := 0
	for line := range got {
		if !bytes.Equal(line, want[min(n, len(want)-1)]) {
			_, name, _ := bytes.Cut(bytes.TrimSpace(line), []byte("  "))
			return damaged(fmt.Errorf("%s is not what was written", name))
		}
		n++
	}
	return nil
}

// end finds out that nothing follows, and lets the compression check its own sum.
func (r *reader) end(plain io.Reader) error {
	if _, err := r.tar.Next(); err == nil {
		return damaged(errors.New("something follows the sums"))
	} else if err != io.EOF {
		return damaged(err)
	}
	n, err := io.ReadFull(plain, make([]byte, 1))
	if n > 0 {
		return damaged(errors.New("something follows the archive"))
	}
	if err != io.EOF {
		return damaged(err)
	}
	return nil
}

func addSum(sums *bytes.Buffer, name string, sum hash.Hash) {
	fmt.Fprintf(sums, "%x  %s\n", sum.Sum(nil), name)
}
