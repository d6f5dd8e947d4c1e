package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
)

// Backup is where a running installation gives backups, and the token for that alone.
type Backup struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// ReadBackup reads local.json of a data folder. The error is a *MissingError where there is none.
func ReadBackup(data string) (Backup, error) {
	path := filepath.Join(data, "local.json")
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Backup{}, &MissingError{Path: path}
	}
	if err != nil {
		return Backup{}, err
	}
	var local struct {
		Backup Backup `json:"backup"`
	}
	if err := json.Unmarshal(text, &local); err != nil {
		return Backup{}, fmt.Errorf("%s is not what the emulator writes: %w", path, err)
	}
	u, err := url.Parse(local.Backup.URL)
	if err != nil || u.Scheme != "http" || u.Host == "" || local.Backup.Token == "" {
		return Backup{}, fmt.Errorf("%s says nothing about backups: it is of an emulator that makes none; start a newer one on that folder", path)
	}
	return local.Backup, nil
}
