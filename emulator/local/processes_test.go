package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/functions/all"
)

// The same events as in one process, with real ones: the emulator as the ground, every function alone in a process of its own, and a
// router before them as a URL map is in the cloud.
func TestRealEventsInManyProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: builds two programs and runs seven processes")
	}
	bin := t.TempDir()
	build(t, bin, "emulator", "functions")
	router := newRouter(t)
	data := filepath.Join(t.TempDir(), "data")
	const free = "127.0.0.1:0"
	launch(t, nil, "Callout is ready", filepath.Join(bin, "emulator"), "-data", data, "-listen", free, "-firestore", free, "-pubsub", free,
		"-issuer", free, "-functions", router.url)
	info := readInfo(t, data)
	sealKey, err := os.ReadFile(filepath.Join(data, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all.Functions() {
		line := launch(t, []string{
			"FUNCTION_TARGET=" + f.Name, "PORT=0", "GOOGLE_CLOUD_PROJECT=" + info.Project,
			"FIRESTORE_EMULATOR_HOST=" + info.Firestore, "PUBSUB_EMULATOR_HOST=" + info.PubSub,
			"CALLOUT_ISSUER=" + info.Issuer, "CALLOUT_AUDIENCE=" + info.Audience, "CALLOUT_SEAL_KEYS=" + strings.TrimSpace(string(sealKey)),
			"CALLOUT_PUSH_ISSUER=" + info.Issuer, "CALLOUT_PUSH_AUDIENCE=" + local.PushAudience, "CALLOUT_PUSH_ACCOUNTS=" + local.PushAccount,
			"CALLOUT_EGRESS_ALLOW=" + local.DefaultEgressAllow,
		}, `"message":"serving"`, filepath.Join(bin, "functions"))
		var served struct {
			Address string `json:"address"`
		}
		if err := json.Unmarshal([]byte(line), &served); err != nil {
			t.Fatalf("%s: %v in %q", f.Name, err, line)
		}
		_, port, err := net.SplitHostPort(served.Address)
		if err != nil {
			t.Fatal(err)
		}
		router.add(f.Paths, "http://127.0.0.1:"+port)
	}
	l, err := net.Listen("tcp", free)
	if err != nil {
		t.Fatal(err)
	}
	r := receive(t, l, nil)
	api := caller{router.url, tokenClient(t.Context(), http.DefaultClient, info, "admin")}
	_, key := api.route(t, "http://"+l.Addr().String()+"/hook", map[string]any{"event": map[string]any{"group": "github"}})
	conn, err := grpc.NewClient(info.PubSub, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	checkRealEvents(t, api, topic(t, conn), key, r.all)
}

// build builds programs of this module into a folder.
func build(t *testing.T, into string, programs ...string) {
	t.Helper()
	for _, p := range programs {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(into, p), "../../"+p)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", p, err, out)
		}
	}
}

// launch starts a program, waits for a line with that text, and stops it when the test ends. It returns the line.
func launch(t *testing.T, environ []string, until, path string, args ...string) string {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, environ...)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		_ = reader.Close()
	})
	found := make(chan string, 1)
	go func() {
		var all strings.Builder
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			fmt.Fprintln(&all, lines.Text())
			if strings.Contains(lines.Text(), until) {
				found <- lines.Text()
				_, _ = io.Copy(io.Discard, reader)
				return
			}
		}
		t.Errorf("%s ended early:\n%s", filepath.Base(path), all.String())
		close(found)
	}()
	select {
	case line := <-found:
		return line
	case <-time.After(time.Minute):
		t.Fatalf("%s did not say %q", filepath.Base(path), until)
		return ""
	}
}

func readInfo(t *testing.T, data string) local.Info {
	t.Helper()
	var info local.Info
	text, err := os.ReadFile(filepath.Join(data, "local.json"))
	if err == nil {
		err = json.Unmarshal(text, &info)
	}
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// router splits one origin by path.
type router struct {
	url string
	mux *http.ServeMux
}

func newRouter(t *testing.T) *router {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &router{url: "http://" + l.Addr().String(), mux: http.NewServeMux()}
	server := &http.Server{Handler: r.mux}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return r
}

func (r *router) add(paths []string, to string) {
	u, err := url.Parse(to)
	if err != nil {
		panic(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(u)
		p.Out.Host = p.In.Host
	}}
	for _, path := range paths {
		r.mux.Handle(path, proxy)
	}
}
