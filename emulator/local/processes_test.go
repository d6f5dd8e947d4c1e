package local_test

import (
	"bufio"
	"bytes"
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
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/host"
)

// service is a function as the cloud runs it: alone in a process, with an account and an audience of its own where the queue pushes to it.
// A function with two subscriptions is two services, so that neither stands in the other's way.
type service struct {
	name, function string
	paths          []string
	event          bool
}

func services() (found []service) {
	for _, f := range all.Functions() {
		if f.Trigger == host.HTTP {
			found = append(found, service{f.Name, f.Name, f.Paths, false})
			continue
		}
		for _, p := range f.Paths {
			found = append(found, service{path.Base(p), f.Name, []string{p}, true})
		}
	}
	return found
}

func (s service) account() string  { return s.name + "-push@callout.local" }
func (s service) audience() string { return "https://" + s.name + ".callout.local" }

// cloud is the emulator as the ground, every service in a process of its own, and a router before them as a URL map is in the cloud.
type cloud struct {
	binary  string
	info    local.Info
	sealKey string
	router  *router
	pubsub  *grpc.ClientConn
	running map[string]*process
}

func newCloud(t *testing.T, emulator, binary string) *cloud {
	t.Helper()
	c := &cloud{binary: binary, router: newRouter(t), running: map[string]*process{}}
	data := filepath.Join(t.TempDir(), "data")
	const free = "127.0.0.1:0"
	launch(t, nil, "Callout is ready", emulator, "-data", data, "-listen", free, "-firestore", free,
		"-pubsub", free, "-issuer", free, "-functions", c.router.url)
	c.info = readInfo(t, data)
	sealKey, err := os.ReadFile(filepath.Join(data, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	c.sealKey = strings.TrimSpace(string(sealKey))
	c.pubsub = c.connect(t, c.info.PubSub)
	for _, s := range services() {
		if s.event {
			c.identify(t, s)
		}
		c.running[s.name] = c.start(t, s)
		c.router.add(s.paths, c.running[s.name].base(t))
	}
	return c
}

// connect reaches a gRPC service until the test ends.
func (c *cloud) connect(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// identify lets the queue push to a service with that one's own account and audience.
func (c *cloud) identify(t *testing.T, s service) {
	t.Helper()
	_, err := pubsubpb.NewSubscriberClient(c.pubsub).ModifyPushConfig(t.Context(), &pubsubpb.ModifyPushConfigRequest{
		Subscription: "projects/" + c.info.Project + "/subscriptions/" + s.name,
		PushConfig:   pushConfig(c.router.url+s.paths[0], s.account(), s.audience()),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func pushConfig(endpoint, account, audience string) *pubsubpb.PushConfig {
	return &pubsubpb.PushConfig{PushEndpoint: endpoint, AuthenticationMethod: &pubsubpb.PushConfig_OidcToken_{
		OidcToken: &pubsubpb.PushConfig_OidcToken{ServiceAccountEmail: account, Audience: audience},
	}}
}

// start starts a service, with more variables or other ones. Those to which nothing is pushed know no account that may push.
func (c *cloud) start(t *testing.T, s service, more ...string) *process {
	t.Helper()
	environ := append(c.services(), "FUNCTION_TARGET="+s.function, "PORT=0", "CALLOUT_SEAL_KEYS="+c.sealKey,
		"CALLOUT_URL="+c.info.API, "CALLOUT_CONSOLE_CLIENT_ID="+c.info.Clients["console"].ID,
		"CALLOUT_EGRESS_ALLOW="+local.DefaultEgressAllow, "CALLOUT_RETRY_SCHEDULE=100ms,100ms")
	if s.event {
		environ = append(environ, "CALLOUT_PUSH_ISSUER="+c.info.Issuer, "CALLOUT_PUSH_AUDIENCE="+s.audience(),
			"CALLOUT_PUSH_ACCOUNTS="+s.account())
	}
	return launch(t, append(environ, more...), `"message":"serving"`, c.binary)
}

// services are what every program of the image is told.
func (c *cloud) services() []string {
	return []string{
		"GOOGLE_CLOUD_PROJECT=" + c.info.Project, "FIRESTORE_EMULATOR_HOST=" + c.info.Firestore, "PUBSUB_EMULATOR_HOST=" + c.info.PubSub,
		"CALLOUT_ISSUER=" + c.info.Issuer, "CALLOUT_AUDIENCE=" + c.info.Audience,
	}
}

func (c *cloud) as(t *testing.T, name string) caller {
	return caller{c.router.url, tokenClient(t.Context(), http.DefaultClient, c.info, name)}
}

// process is a program that was started, and what it said when it was ready.
type process struct {
	cmd  *exec.Cmd
	line string
	stop func() // may be called again
}

// launch starts a program, waits for a line with that text, and stops it when the test ends.
func launch(t testing.TB, environ []string, until, path string, args ...string) *process {
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
	p := &process{cmd: cmd, stop: sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		_ = reader.Close()
	})}
	t.Cleanup(p.stop)
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
	case p.line = <-found:
	case <-time.After(time.Minute):
		t.Fatalf("%s did not say %q", filepath.Base(path), until)
	}
	return p
}

// base is the URL of a process that logged where it serves.
func (p *process) base(t *testing.T) string {
	t.Helper()
	var served struct {
		Address string `json:"address"`
	}
	if err := json.Unmarshal([]byte(p.line), &served); err != nil {
		t.Fatalf("%v in %q", err, p.line)
	}
	_, port, err := net.SplitHostPort(served.Address)
	if err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + port
}

func readInfo(t testing.TB, data string) local.Info {
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

// router splits one origin by path, and keeps the last push to each.
type router struct {
	url string
	mux *http.ServeMux

	mu     sync.Mutex
	pushes map[string]push
}

// push is a request of the queue's.
type push struct {
	token string // with its scheme
	body  []byte
}

func newRouter(t *testing.T) *router {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &router{url: "http://" + l.Addr().String(), mux: http.NewServeMux(), pushes: map[string]push{}}
	server := &http.Server{Handler: r}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	return r
}

func (r *router) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if strings.HasPrefix(request.URL.Path, "/push/") {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		request.Body = io.NopCloser(bytes.NewReader(body))
		r.mu.Lock()
		r.pushes[request.URL.Path] = push{request.Header.Get("Authorization"), body}
		r.mu.Unlock()
	}
	r.mux.ServeHTTP(w, request)
}

// last is the last push to a path.
func (r *router) last(path string) push {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pushes[path]
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
