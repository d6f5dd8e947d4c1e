package documents

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a block may take, and how long a server may need to be ready.
const patience = 2 * time.Minute

// session is a shell in which the blocks of one document run, one after the other.
type session struct {
	t        *testing.T
	tree     string // what the commands take for the repository
	work     string // what else is written
	shell    *exec.Cmd
	in       io.Writer
	statuses chan string
	ports    map[string]string // where what documents have at a port is
	instead  map[string]string // texts in the commands of this document that stand for others
	blocks   int
	left     map[string]*output // of servers, by the files of their blocks
	servers  sync.WaitGroup
}

// documented are the ports that documents speak of.
var documented = []string{"8080", "8081", "8082", "8085", "9000", "9001", "9002", "9090", "9101", "9102", "9111", "9112", "9113", "9121", "9122", "9131", "9132", "9133"}

var portWord = regexp.MustCompile(`\b(` + strings.Join(documented, "|") + `)\b`)

func newSession(t *testing.T, binaries string) *session {
	t.Helper()
	s := &session{t: t, tree: t.TempDir(), work: t.TempDir(), statuses: make(chan string), ports: map[string]string{}, instead: map[string]string{}, left: map[string]*output{}}
	for _, port := range documented {
		s.ports[port] = freePort(t)
	}
	s.plant()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.shell = exec.Command("bash", "--noprofile", "--norc", "-e")
	s.shell.Dir, s.shell.ExtraFiles = s.tree, []*os.File{writer}
	s.shell.Env = s.environment(binaries)
	s.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.in, err = s.shell.StdinPipe(); err == nil {
		err = s.shell.Start()
	}
	_ = writer.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.statuses)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			s.statuses <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-s.shell.Process.Pid, syscall.SIGTERM) // the servers too
		_ = s.shell.Wait()
		for range s.statuses { // to the end
		}
		s.servers.Wait()
		_ = reader.Close()
	})
	return s
}

// plant makes a tree in which commands may write: links to what nobody writes into, and copies of the rest.
func (s *session) plant() {
	entries, err := os.ReadDir(root)
	if err != nil {
		s.t.Fatal(err)
	}
	above, err := filepath.Abs(root)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		to := filepath.Join(s.tree, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), "."):
		case e.Name() == "infra" || e.Name() == "scripts":
			err = os.CopyFS(to, os.DirFS(filepath.Join(root, e.Name())))
		default:
			err = os.Symlink(filepath.Join(above, e.Name()), to)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	for name := range standIns {
		path := filepath.Join(s.work, "bin", name)
		if strings.Contains(name, "/") {
			path = filepath.Join(s.tree, name)
		}
		_ = os.Remove(path) // what it stands in for
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.Symlink(self, path); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *session) environment(binaries string) []string {
	var ports []string
	for _, documented := range slices.Sorted(maps.Keys(s.ports)) {
		ports = append(ports, documented+"="+s.ports[documented])
	}
	at := func(port string) string { return "127.0.0.1:" + s.ports[port] }
	return []string{"PATH=" + filepath.Join(s.work, "bin") + ":" + os.Getenv("PATH"), "HOME=" + s.work, "TMPDIR=" + s.work,
		"PYTHONDONTWRITEBYTECODE=1", binariesVariable + "=" + binaries, treeVariable + "=" + s.tree, portsVariable + "=" + strings.Join(ports, " "),
		"CALLOUT_EMULATOR_LISTEN=" + at("8080"), "CALLOUT_EMULATOR_FIRESTORE=" + at("8081"), "CALLOUT_EMULATOR_PUBSUB=" + at("8085"),
		"CALLOUT_EMULATOR_ISSUER=" + at("8082"), "CALLOUT_ADDRESS=" + at("9000"),
		// A release of the functions that the emulator runs is not waited for.
		"GORACE=atexit_sleep_ms=0",
	}
}

// freePort is one that is below those that systems choose from, so that nobody takes it before the commands do.
func freePort(t *testing.T) string {
	for range 100 {
		port := fmt.Sprint(12000 + rand.IntN(18000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// real is a text of the document with the ports and names of this session.
func (s *session) real(text string) string {
	for from, to := range s.instead {
		text = strings.ReplaceAll(text, from, to)
	}
	return portWord.ReplaceAllStringFunc(text, func(port string) string { return s.ports[port] })
}

// run runs a block to its end, or until the server at its end is ready, and gives what it printed.
func (s *session) run(text, server string) (string, error) {
	s.blocks++
	path := filepath.Join(s.work, fmt.Sprintf("block-%d", s.blocks))
	if err := os.WriteFile(path, []byte(s.real(text)), 0o600); err != nil {
		return "", err
	}
	if server != "" {
		return s.serve(path, server)
	}
	// Each block begins in the root of the repository.
	if _, err := fmt.Fprintf(s.in, "cd %s\n. %s </dev/null >%[2]s.out 2>&1\necho done >&3\n", s.tree, path); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var err error
	select {
	case _, ok := <-s.statuses:
		if !ok {
			err = fmt.Errorf("a command failed")
		}
	case <-ctx.Done():
		err = fmt.Errorf("it did not end within %s", patience)
	}
	out, readErr := os.ReadFile(path + ".out")
	if readErr != nil {
		return "", readErr
	}
	return string(out), err
}

// serve leaves a block running once it has said that it is ready.
func (s *session) serve(path, ready string) (string, error) {
	pipe := path + ".pipe"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(s.in, "cd %s\n. %s </dev/null >%s 2>&1 3>&- &\necho done >&3\n", s.tree, path, pipe); err != nil {
		return "", err
	}
	if _, ok := <-s.statuses; !ok {
		return "", fmt.Errorf("the shell ended")
	}
	said := &output{changed: make(chan struct{})}
	s.left[path] = said
	s.servers.Go(func() {
		from, err := os.Open(pipe)
		if err == nil {
			_, _ = io.Copy(said, from) // to its end
			_ = from.Close()
		}
		said.end()
	})
	text, ok := said.wait(s.t.Context(), func(text string) bool { return strings.Contains(text, ready) })
	if !ok {
		return text, fmt.Errorf("it did not say %q", ready)
	}
	return text, nil
}

// said waits until the server whose block has a text in it has printed what a document shows.
func (s *session) said(by, shown string) error {
	wanted := regexp.MustCompile(s.pattern(shown))
	for path, out := range s.left {
		block, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(block), by) {
			continue
		}
		if text, ok := out.wait(s.t.Context(), func(text string) bool { return wanted.MatchString(trimmed(text)) }); !ok {
			return fmt.Errorf("%s did not say this, but\n%s", by, text)
		}
		return nil
	}
	return fmt.Errorf("nothing that runs has %q in its command", by)
}

// output is what a server has said so far.
type output struct {
	mu      sync.Mutex
	all     bytes.Buffer
	changed chan struct{} // closed when there is more, or will be no more
	ended   bool
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all.Write(p)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	close(o.changed)
	o.changed = make(chan struct{})
}

// wait gives what was said once it is as wanted, or when it will not be any more.
func (o *output) wait(ctx context.Context, wanted func(string) bool) (text string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		o.mu.Lock()
		text, ended, changed := o.all.String(), o.ended, o.changed
		o.mu.Unlock()
		if wanted(text) {
			return text, true
		}
		if ended || ctx.Err() != nil {
			return text, false
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}
