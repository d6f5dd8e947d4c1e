package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/callout-dev/callout/scripts/callout/terminal"
	"github.com/callout-dev/callout/shared/backup"
)

// maxRefusal bounds what is read of an answer that is no backup, in bytes.
const maxRefusal = 4 << 10

// refusedBackup words an answer that is no backup.
func refusedBackup(answer *http.Response) error {
	var refusal struct {
		Message string `json:"message"`
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	if json.Unmarshal(text, &refusal) != nil || refusal.Message == "" || answer.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s makes no backups (%s): is local.json of a server that runs no more?", answer.Request.URL.Host, answer.Status)
	}
	return fmt.Errorf("%s", refusal.Message)
}

// told is a backup for programs.
type told struct {
	File    string         `json:"file"`
	Bytes   int64          `json:"bytes"`
	Files   int            `json:"files"`
	Created time.Time      `json:"created"`
	Callout string         `json:"callout"`
	API     string         `json:"api"`
	Issuer  string         `json:"issuer"`
	SealKey backup.SealKey `json:"sealKey"`
}

// tell says what is in a backup that was checked. That the seal key is not in it is said aloud, for programs too.
func (a *app) tell(out io.Writer, name string, m backup.Manifest) error {
	if !m.SealKey.Included {
		fmt.Fprintf(a.Err, "callout: THE SEAL KEY IS NOT IN THIS BACKUP. Keep it elsewhere, and safe: without %s no secret in it can be read.\n", keyNames(m))
	}
	if a.forMachines() {
		text, err := json.Marshal(told{name, m.Size(), len(m.Files), m.Created, m.Callout, m.API, m.Issuer, m.SealKey})
		if err != nil {
			return err
		}
		if out == a.Out {
			return a.showJSON(text)
		}
		_, err = fmt.Fprintf(out, "%s\n", text)
		return err
	}
	if name == "-" {
		name = "The backup"
	}
	_, err := fmt.Fprintf(out, "%s is whole: %s in %d files, of %s (%s), made by Callout %s\n",
		terminal.Line(name), size(m.Size()), len(m.Files), m.API, m.Created.Format(time.RFC3339), m.Callout)
	if err == nil && m.SealKey.Included {
		_, err = fmt.Fprintf(out, "The seal key is in it (%s): whoever has the file can read every secret of the installation.\n", keyNames(m))
	}
	return err
}

// keyNames are the ids of the seal keys.
func keyNames(m backup.Manifest) string {
	if len(m.SealKey.IDs) == 1 {
		return "key " + m.SealKey.IDs[0]
	}
	return "keys " + strings.Join(m.SealKey.IDs, ", ")
}

func size(bytes int64) string {
	if bytes < 1_000_000 {
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}
