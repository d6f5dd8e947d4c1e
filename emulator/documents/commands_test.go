package documents

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestCommands runs the blocks of every document.
func TestCommands(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	binaries := programs(t)
	for _, d := range documents(t) {
		if !slices.ContainsFunc(d.blocks, block.runs) {
			continue
		}
		t.Run(d.path, func(t *testing.T) {
			t.Parallel()
			for _, program := range d.needs(t) {
				if _, err := exec.LookPath(program); err != nil {
					t.Skipf("%s is not installed", program)
				}
			}
			s := newSession(t, binaries)
			d.prepare(t, s)
			printed := ""
			for _, b := range d.blocks {
				var err error
				switch {
				case b.runs():
					printed, err = s.block(b)
				case b.language == "text" && b.more == "output":
					err = compare(b.at.text, printed, s)
				case b.language == "text" && strings.HasPrefix(b.more, "output of "):
					err = s.said(strings.TrimPrefix(b.more, "output of "), b.at.text)
				case b.language == "json" && b.more != "":
					err = s.send(b)
				}
				if err != nil {
					t.Fatalf("%s:%d: %v\n%s\nprinted\n%s", d.path, b.at.line, err, b.at.text, printed)
				}
			}
		})
	}
}

// runs says whether a block has commands.
func (b block) runs() bool { return b.language == "sh" && b.more == "" }

func (s *session) block(b block) (string, error) {
	parsed, err := parse(b.at.text)
	if err != nil {
		return "", err
	}
	return s.run(b.at.text, parsed.server)
}

// programs is the folder of those that documents start.
func programs(t *testing.T) string {
	t.Helper()
	if err := built(); err != nil {
		t.Fatal(err)
	}
	return os.Getenv(binariesVariable)
}

// built makes them once for all tests, and without the race detector, in the folder of TestMain.
var built = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", os.Getenv(binariesVariable), "./emulator", "./functions", "./scripts/callout",
		"./scripts/bench", "./scripts/capacity", "./scripts/image", "./scripts/examples/...")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0") // as the image is built, so that they share what was compiled
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
})

// needs are the programs that the document's commands are, apart from ours and the shell's.
func (d document) needs(t *testing.T) (all []string) {
	for _, b := range d.blocks {
		if !b.runs() {
			continue
		}
		parsed, err := parse(b.at.text)
		if err != nil {
			t.Fatalf("%s:%d: %v", d.path, b.at.line, err)
		}
		for _, c := range parsed.commands {
			if name := c.words[0]; slices.Contains(asTheyAre, name) && !strings.Contains(name, "/") && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// starts says whether the document starts an installation itself.
func (d document) starts() bool {
	return slices.ContainsFunc(d.blocks, func(b block) bool { return b.runs() && strings.Contains(b.at.text, "go run ./emulator") })
}

// prepare starts what the document takes for granted.
func (d document) prepare(t *testing.T, s *session) {
	t.Helper()
	must := func(text, server string) string {
		out, err := s.run(text, server)
		if err != nil {
			t.Fatalf("%s: %v\n%s", text, err, out)
		}
		return strings.TrimSpace(out)
	}
	if !d.starts() {
		must("go run ./emulator", servers[0].ready)
	}
	if d.path == "MIGRATION.md" { // another installation plays the reference: the API is the same
		other := "CALLOUT_EMULATOR_LISTEN=127.0.0.1:" + freePort(t) + " CALLOUT_EMULATOR_FIRESTORE= CALLOUT_EMULATOR_PUBSUB= CALLOUT_EMULATOR_ISSUER=127.0.0.1:" + freePort(t)
		must(other+" go run ./emulator -data=reference", servers[0].ready)
		s.instead["https://zitadel.example.org"] = s.info("reference")["api"].(string)
		s.instead["PERSONAL_ACCESS_TOKEN"] = must("callout --data reference token", "")
		must("callout --data reference target create --name crm --endpoint https://crm.example.org/hooks --type call --interrupt --timeout 5s", "")
		must("callout --data reference target create --name audit --endpoint https://audit.example.org/", "")
		must("callout --data reference execution set event/user.human.added audit crm", "")
	}
}

func (s *session) info(data string) map[string]any {
	var info map[string]any
	text, err := os.ReadFile(filepath.Join(s.tree, data, "local.json"))
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return info
}

// compare wants what was printed to be what the document shows, where … stands for anything within a line.
func compare(shown, printed string, s *session) error {
	if !regexp.MustCompile("^" + s.pattern(shown) + "$").MatchString(trimmed(printed)) {
		return errors.New("this is not what was printed")
	}
	return nil
}

func (s *session) pattern(shown string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(trimmed(s.real(shown))), regexp.QuoteMeta("…"), ".*")
}

// trimmed is without blanks at the ends of lines, and without those that JSON may have between values.
func trimmed(text string) string {
	text = regexp.MustCompile(`([,:]) `).ReplaceAllString(text, "$1")
	return strings.TrimSpace(regexp.MustCompile(`(?m)[ \t\r]+$`).ReplaceAllString(text, ""))
}

// send sends each value of a block to the path that the block names.
func (s *session) send(b block) error {
	method, path, _ := strings.Cut(b.more, " ")
	token, err := s.run("callout token", "")
	if err != nil {
		return fmt.Errorf("%w: %s", err, token)
	}
	bodies, err := values(s.real(b.at.text))
	if err != nil {
		return err
	}
	for _, body := range bodies {
		request, err := http.NewRequestWithContext(s.t.Context(), method, s.info(".callout")["api"].(string)+path, strings.NewReader(string(body)))
		if err != nil {
			return err
		}
		request.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + strings.TrimSpace(token)}}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode >= 300 {
			return fmt.Errorf("%s: %d %s %v", body, answer.StatusCode, text, err)
		}
	}
	return nil
}
