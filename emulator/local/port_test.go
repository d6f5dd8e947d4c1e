package local

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
)

// shared is a port with a server of each kind, in memory.
type shared struct {
	listener *memnet.Listener
	rpc      *grpc.Server
	web      *http.Server
	served   chan error // what Serve of each gave
}

func openShared(failures int) *shared {
	s := &shared{listener: memnet.Listen("shared"), rpc: grpc.NewServer(grpc.ConnectionTimeout(greetTime)), served: make(chan error, 2)}
	grpc_health_v1.RegisterHealthServer(s.rpc, health.NewServer())
	s.web = host.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Method) }), logging.Discard())
	rpc, web := share(&flaky{s.listener, failures})
	go func() { s.served <- s.rpc.Serve(rpc) }()
	go func() { s.served <- s.web.Serve(web) }()
	return s
}

func (s *shared) close(t *testing.T) {
	t.Helper()
	_ = s.web.Close()
	s.rpc.Stop()
	for range 2 {
		if err := <-s.served; err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
}

func (s *shared) dial(t *testing.T, send string) net.Conn {
	t.Helper()
	c, err := s.listener.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *shared) checkBoth(t *testing.T) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///shared", grpc.WithContextDialer(s.listener.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("gRPC: %v", err)
	}
	web := s.dial(t, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	defer web.Close()
	if got, err := io.ReadAll(web); err != nil || !strings.HasSuffix(string(got), "\r\n\r\nPUT") {
		t.Errorf("HTTP/1.1: got %q, %v", got, err)
	}
}

// Nobody keeps another waiting, nor the servers from stopping, whatever is sent or not sent.
func TestSharedPort(t *testing.T) {
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	clients := map[string]string{
		"silence":                      "",
		"the preface's first byte":     "P",
		"the preface but for its end":  preface[:len(preface)-1],
		"the preface and silence":      preface,
		"half of the first frame":      preface + settings[:4],
		"the greeting and silence":     preface + settings,
		"the preface and what is none": preface + "garbage, garbage, garbage, garbage, garbage",
		"one byte that is none":        "\x16",
		"garbage":                      "\x00\xff\x00\xff\r\n\r\n",
		"half a request":               "POST / HTTP/1.1\r\nHost: x\r\n",
	}
	for name, send := range clients {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShared(0)
				old := s.dial(t, send)
				defer old.Close()
				synctest.Wait()
				s.checkBoth(t)
				if send != preface+settings { // that one may be a client with nothing to ask
					_ = old.SetReadDeadline(time.Now().Add(time.Minute))
					if _, err := io.Copy(io.Discard, bufio.NewReader(old)); err != nil {
						t.Errorf("the connection was not ended: %v", err)
					}
				}
				last := s.dial(t, send)
				defer last.Close()
				synctest.Wait()
				before := time.Now()
				s.close(t)
				if took := time.Since(before); took != 0 {
					t.Errorf("the stop took %v", took)
				}
			})
		})
	}
}

// What Accept fails with is the gRPC server's to judge: it pauses and goes on.
func TestSharedPortOutlivesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShared(5)
		s.checkBoth(t)
		s.close(t)
	})
}

// flaky fails to accept a few times, as where too many files are open.
type flaky struct {
	net.Listener
	left int
}

type passing struct{ error }

func (passing) Timeout() bool   { return false }
func (passing) Temporary() bool { return true }

func (f *flaky) Accept() (net.Conn, error) {
	if f.left--; f.left >= 0 {
		return nil, passing{errors.New("too many open files")}
	}
	return f.Listener.Accept()
}
