package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/callout-dev/callout/emulator/issuer"
)

const (
	infoFile           = "local.json"
	serviceAccountFile = "service-account.json"
)

// Info is what clients on this machine need to know (callout.md section 1). API is where the functions are, in this process or not.
type Info struct {
	API            string                   `json:"api"`
	Firestore      string                   `json:"firestore"`
	PubSub         string                   `json:"pubsub"`
	Issuer         string                   `json:"issuer"`
	Project        string                   `json:"project"`
	Audience       string                   `json:"audience"`
	Clients        map[string]issuer.Client `json:"clients"`
	ServiceAccount string                   `json:"serviceAccount"`
	Backup         BackupAccess             `json:"backup"`
}

// writeInfo writes local.json: into the data folder, or into a temporary one where there is none.
func (l *Local) writeInfo(api string) error {
	dir := l.config.Data
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "callout-"); err != nil {
			return err
		}
		l.File = filepath.Join(dir, infoFile)
		if err := writeFile(filepath.Join(dir, serviceAccountFile), l.ground.issuer.ServiceAccount()); err != nil {
			return err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	l.File = filepath.Join(dir, infoFile)
	l.Info = Info{
		API: api, Firestore: address(l.ground.firestoreRPC), PubSub: address(l.ground.pubsubRPC),
		Project: Project, Audience: Audience, Clients: l.ground.issuer.Clients(), ServiceAccount: filepath.Join(dir, serviceAccountFile),
		Backup: BackupAccess{URL: baseURL(l.listener.Addr()) + backupPath, Token: l.backups.token},
	}
	if l.config.Issuer != "" {
		l.Info.Issuer = l.ground.issuerURL
	}
	text, err := json.MarshalIndent(l.Info, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(l.File, append(text, '\n'))
}

func address(s service) string {
	if s.addr == nil {
		return ""
	}
	return s.addr.String()
}

// writeFile writes a file that only its owner may read, whole or not at all, and on disk when it returns.
func writeFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
