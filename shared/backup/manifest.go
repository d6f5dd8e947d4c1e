// Package backup is the file that a backup of a single-machine installation is: what the emulator sends, and what the command line checks
// and restores. It is a tar archive, compressed with zstd, of the data folder as it was at one moment:
//
//	manifest.json   what it is of, and the name and size of each file below, in their order
//	FORMAT …        the files of the data folder
//	SHA256SUMS      the sums of all of these, as sha256sum -c reads them
//
// The last entry is what makes a backup whole: whatever is cut off, added or changed on the way is found out by it. It proves nothing about
// who made the file.
package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"
	"unicode"
)

// Format is the version of what this package writes, and the newest that it reads. It is not that of the data, which the emulator checks.
const Format = 1

// The names that a backup is made of. What lies in the store's folder is the store's business.
const (
	manifestFile = "manifest.json"
	sumsFile     = "SHA256SUMS"
	formatFile   = "FORMAT"
	issuerFile   = "issuer.json"
	sealKeyFile  = "seal.key"
	storeFolder  = "store"
)

// What a backup has at most; more is neither written nor read.
const (
	maxFiles    = 100_000
	maxFile     = 4 << 30 // bytes; the store's files are some hundred MiB at most
	maxTotal    = 4 << 40 // bytes
	maxManifest = 16 << 20
	maxText     = 300 // characters of a text in the manifest
	maxKeys     = 100
)

// storeFile is how a file of the store may be named: nothing that leads out of its folder, and nothing hidden.
var storeFile = regexp.MustCompile(`^store/[A-Za-z0-9][A-Za-z0-9._-]{0,80}$`)

// Manifest says what a backup is of.
type Manifest struct {
	Format int `json:"format"`
	// Callout is the version of the program that made it.
	Callout string    `json:"callout"`
	Created time.Time `json:"created"`
	// API and Issuer are where the installation was reached. Its tokens are good for that issuer alone.
	API     string  `json:"api"`
	Issuer  string  `json:"issuer"`
	SealKey SealKey `json:"sealKey"`
	Files   []File  `json:"files"`
}

// SealKey says whether the key that the installation's secrets are sealed with is in the backup, and which key that is.
type SealKey struct {
	Included bool `json:"included"`
	// IDs are those of all keys that the installation had, the one that seals first.
	IDs []string `json:"ids"`
}

// File is a file of the data folder; Size is in bytes.
type File struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// Size is what all files have together, in bytes.
func (m Manifest) Size() (total int64) {
	for _, f := range m.Files {
		total += f.Size
	}
	return total
}

// check holds a manifest against the bounds and against itself.
func (m Manifest) check() error {
	names := map[string]bool{}
	var total int64
	for _, f := range m.Files {
		switch {
		case names[f.Name]:
			return fmt.Errorf("%q occurs twice", f.Name)
		case f.Name != formatFile && f.Name != issuerFile && f.Name != sealKeyFile && !storeFile.MatchString(f.Name):
			return fmt.Errorf("%q is no file of an installation", f.Name)
		case f.Size < 0 || f.Size > maxFile:
			return fmt.Errorf("%q has %d bytes, and %d are the most", f.Name, f.Size, int64(maxFile))
		}
		names[f.Name] = true
		if total += f.Size; total > maxTotal {
			return fmt.Errorf("it has more than %d bytes", int64(maxTotal))
		}
	}
	texts := append([]string{m.Callout, m.API, m.Issuer}, m.SealKey.IDs...)
	switch {
	case len(m.Files) > maxFiles:
		return fmt.Errorf("it has more than %d files", maxFiles)
	case !names[formatFile] || !names[issuerFile] || len(m.Files) < 4:
		return errors.New("files that every installation has are missing")
	case m.SealKey.Included != names[sealKeyFile]:
		return errors.New("it is at odds with itself about the seal key")
	case len(m.SealKey.IDs) > maxKeys || slices.ContainsFunc(texts, isUnfit):
		return fmt.Errorf("a text in it is longer than %d characters, or not printable", maxText)
	}
	return nil
}

func isUnfit(text string) bool {
	return len(text) > maxText || bytes.ContainsFunc([]byte(text), func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
}

// decodeManifest reads a manifest strictly, but for one of a newer format, of which only that is known.
func decodeManifest(text []byte) (Manifest, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &head); err != nil || head.Format < 1 {
		return Manifest{}, errors.New("it is not a JSON object with a format")
	}
	if head.Format > Format {
		return Manifest{}, fmt.Errorf("%w: it is of format %d, and this program knows up to %d: use the callout of the installation that made it, or a newer one",
			ErrNewer, head.Format, Format)
	}
	var m Manifest
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, errors.New("a field is unknown or of the wrong type")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Manifest{}, errors.New("something follows the JSON object")
	}
	return m, m.check()
}
