package host_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/callout-dev/callout/shared/queue"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
)

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// server is functions under host.Serve, in memory.
type server struct {
	log      *lines
	listener *memnet.Listener
	// Stop is the signal; Done gives what Serve returns.
	stop context.CancelFunc
	done chan error
}

// serve runs a test against functions in a bubble. The test may stop the server itself.
func serve(t *testing.T, functions []host.Function, test func(t *testing.T, s *server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{log: &lines{}, listener: memnet.Listen("api.test"), done: make(chan error, 1)}
		log := logging.New(s.log, logging.Text, slog.LevelDebug)
		routes, err := host.Routes(&env.Clients{Log: log}, functions)
		if err != nil {
			t.Fatal(err)
		}
		var ctx context.Context
		ctx, s.stop = context.WithCancel(t.Context())
		defer s.stop()
		go func() { s.done <- host.Serve(ctx, host.NewServer(routes, log), s.listener) }()
		test(t, s)
		s.stop()
		if err, ok := <-s.done; ok && err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// client speaks HTTP/1.1 or h2c to the server.
func (s *server) client(t *testing.T, h2c bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2c)
	protocols.SetUnencryptedHTTP2(h2c)
	transport := &http.Transport{DialContext: s.listener.DialContext, Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type answer struct {
	status int
	proto  string
	header http.Header
	body   string
}

func do(t *testing.T, c *http.Client, method, path, body string, header ...string) answer {
	t.Helper()
	a, err := try(t, c, method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(t *testing.T, c *http.Client, method, path, body string, header ...string) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://api.test"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Proto, response.Header, string(got)}, err
}

// httpFunction is one function at a path.
func httpFunction(path string, handler http.HandlerFunc) host.Function {
	return host.Function{Name: strings.Trim(path, "/"), Trigger: host.HTTP, Paths: []string{path}, HTTP: func(*env.Clients) (http.Handler, error) { return handler, nil }}
}

// dial opens a bare connection.
func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := s.listener.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

var errOurs = errors.New("the database is away")

type eventFunc = func(context.Context, queue.Message) error
