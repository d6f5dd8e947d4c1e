// Package access finds out where the API is and who is calling it: from what the user said, and from the local.json of a single-machine
// installation for the rest.
package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds the files that are read here, in bytes.
const maxFile = 1 << 20

// Local is what an installation on this machine says of itself in <data>/local.json (callout.md section 1).
type Local struct {
	API      string            `json:"api"`
	Issuer   string            `json:"issuer"`
	Audience string            `json:"audience"`
	Clients  map[string]Client `json:"clients"`
	// Firestore and PubSub are HOST:PORT; "" where the server has no port for them.
	Firestore string `json:"firestore"`
	PubSub    string `json:"pubsub"`
	Project   string `json:"project"`
}

// Client is an OAuth2 client's id and its secret.
type Client struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// MissingError says that a data folder has no local.json, and which flags would do without, where some were given.
type MissingError struct {
	Path  string
	Wants []string
}

func (e *MissingError) Error() string {
	text := "there is no " + e.Path
	if len(e.Wants) > 0 {
		text += ", and what it would say is not given: " + strings.Join(e.Wants, ", ")
	}
	return text
}

// ReadLocal reads local.json of a data folder. The error is a *MissingError where there is none.
func ReadLocal(data string) (Local, error) {
	path := filepath.Join(data, "local.json")
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Local{}, &MissingError{Path: path}
	}
	if err != nil {
		return Local{}, err
	}
	var local Local
	if err := json.Unmarshal(text, &local); err != nil {
		return Local{}, fmt.Errorf("%s is not what the emulator writes: %w", path, err)
	}
	if local.API == "" || local.Issuer == "" {
		return Local{}, fmt.Errorf("%s is not what the emulator writes: it names no api or no issuer", path)
	}
	return local, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return text, err
}
