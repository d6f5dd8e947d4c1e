package host_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/logging"
)

func TestOnePortServesBothProtocols(t *testing.T) {
	echo := httpFunction("/v1/echo", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
		if http.NewResponseController(w).Flush() != nil {
			t.Error("the answer cannot be flushed")
		}
	})
	serve(t, []host.Function{echo}, func(t *testing.T, s *server) {
		for h2c, proto := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
			c := s.client(t, h2c)
			a := do(t, c, "POST", "/v1/echo", "hello")
			if a.status != 200 || a.proto != proto || a.body != "hello" || a.header.Get("X-Request-Id") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: got %+v", proto, a)
			}
			for _, path := range []string{"/health", "/healthz"} {
				if a := do(t, c, "GET", path, ""); a.status != 200 || a.body != `{"status":"ok"}`+"\n" {
					t.Errorf("%s %s: got %+v", proto, path, a)
				}
			}
			a = do(t, c, "GET", "/nowhere", "")
			if diff := cmp.Diff(`{"code":5,"message":"Not Found"}`+"\n", a.body); diff != "" || a.status != 404 || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: got %+v", proto, a)
			}
			c.CloseIdleConnections()
		}
		if !strings.Contains(s.log.String(), "method=POST path=/v1/echo status=200") {
			t.Errorf("no line for the request in:\n%s", s.log)
		}
	})
}

func TestPanics(t *testing.T) {
	functions := []host.Function{
		httpFunction("/v1/before", func(http.ResponseWriter, *http.Request) { panic("secret thing") }),
		httpFunction("/v1/midway", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic("secret thing")
		}),
		httpFunction("/v1/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		httpFunction("/v1/silent", func(http.ResponseWriter, *http.Request) {}),
	}
	serve(t, functions, func(t *testing.T, s *server) {
		for _, h2c := range []bool{false, true} {
			c := s.client(t, h2c)
			a := do(t, c, "POST", "/v1/before", "x")
			if a.status != 500 || a.body != `{"code":13,"message":"An internal error occurred"}`+"\n" || !strings.Contains(s.log.String(), "secret thing") {
				t.Errorf("got %+v", a)
			}
			if a, err := try(t, c, "POST", "/v1/midway", "x"); err == nil {
				t.Errorf("half an answer looks whole: %+v", a)
			}
			if a, err := try(t, c, "POST", "/v1/abort", "x"); err == nil {
				t.Errorf("an aborted answer looks whole: %+v", a)
			}
			if a := do(t, c, "POST", "/v1/silent", "x"); a.status != 200 {
				t.Errorf("after panics: %+v", a)
			}
			c.CloseIdleConnections()
		}
		if !strings.Contains(s.log.String(), "path=/v1/silent status=200") || strings.Count(s.log.String(), "msg=panic") != 4 {
			t.Errorf("got the log:\n%s", s.log)
		}
	})
}

func TestCORS(t *testing.T) {
	refused := httpFunction("/v1/x", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	serve(t, []host.Function{refused}, func(t *testing.T, s *server) {
		c := s.client(t, false)
		for _, wanted := range []string{"authorization", "content-type", "connect-protocol-version", "connect-timeout-ms", "x-grpc-web", "grpc-timeout", "x-user-agent", "idempotency-key"} {
			a := do(t, c, "OPTIONS", "/v1/x", "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", wanted)
			if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.EqualFold(a.header.Get("Access-Control-Allow-Headers"), wanted) ||
				a.header.Get("Access-Control-Allow-Methods") != "POST" || a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s: got %d %v", wanted, a.status, a.header)
			}
		}
		a := do(t, c, "OPTIONS", "/v1/x", "", "Origin", "https://app.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "cookie")
		if a.header.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("cookies are allowed: %v", a.header)
		}
		a = do(t, c, "POST", "/v1/x", "", "Origin", "https://app.example")
		exposed := a.header.Get("Access-Control-Expose-Headers")
		if a.status != 401 || a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(exposed, "Grpc-Status") || !strings.Contains(exposed, "Grpc-Message") ||
			!strings.Contains(exposed, "Grpc-Status-Details-Bin") {
			t.Errorf("a refusal cannot be read: %d %v", a.status, a.header)
		}
	})
}

// TestBodiesHaveADeadline: a body that does not come ends its request after a minute; a handler may work for longer than that.
func TestBodiesHaveADeadline(t *testing.T) {
	functions := []host.Function{
		httpFunction("/v1/read", func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				w.WriteHeader(http.StatusRequestTimeout)
			}
		}),
		httpFunction("/v1/work", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			select {
			case <-time.After(10 * time.Minute):
			case <-r.Context().Done():
				w.WriteHeader(http.StatusTeapot)
			}
		}),
	}
	for _, h2c := range []bool{false, true} {
		serve(t, functions, func(t *testing.T, s *server) {
			c, start := s.client(t, h2c), time.Now()
			never, write := io.Pipe()
			response, err := c.Post("http://api.test/v1/read", "text/plain", never)
			if took := time.Since(start); err != nil || response.StatusCode != http.StatusRequestTimeout || took != time.Minute {
				t.Errorf("h2c %v: got %v, %v after %v", h2c, response, err, took)
			}
			_ = write.Close()
			if response != nil {
				response.Body.Close()
			}
			start = time.Now()
			if a := do(t, c, "POST", "/v1/work", "x"); a.status != 200 || time.Since(start) != 10*time.Minute {
				t.Errorf("h2c %v: got %d after %v", h2c, a.status, time.Since(start))
			}
			c.CloseIdleConnections()
		})
	}
}

func TestHeadersHaveADeadline(t *testing.T) {
	serve(t, nil, func(t *testing.T, s *server) {
		conn, start := s.dial(t), time.Now()
		defer conn.Close()
		_, _ = io.WriteString(conn, "POST /health HTTP/1.1\r\nHost: x\r\n")
		_, _ = io.Copy(io.Discard, conn)
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("the connection was kept for %v", took)
		}
		a, err := try(t, s.client(t, false), "GET", "/health", "", "X-Long", strings.Repeat("x", 80<<10))
		if err != nil || a.status != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("80 KiB of headers: %+v, %v", a, err)
		}
	})
}

func TestDrain(t *testing.T) {
	for _, h2c := range []bool{false, true} {
		for _, tt := range []struct {
			name     string
			work     time.Duration
			finished bool
			took     time.Duration
		}{
			{"a request under way is finished", 5 * time.Second, true, 5 * time.Second},
			{"one that takes too long is cut off", time.Hour, false, host.DrainTime},
		} {
			t.Run(tt.name, func(t *testing.T) {
				slow := httpFunction("/v1/slow", func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-time.After(tt.work):
						_, _ = io.WriteString(w, "done")
					case <-r.Context().Done():
					}
				})
				serve(t, []host.Function{slow}, func(t *testing.T, s *server) {
					c, result := s.client(t, h2c), make(chan error, 1)
					go func() {
						a, err := try(t, c, "POST", "/v1/slow", "")
						if err == nil && a.body != "done" {
							err = errors.New("half an answer")
						}
						result <- err
					}()
					synctest.Wait() // the request is under way
					start := time.Now()
					s.stop()
					if err := <-s.done; err != nil {
						t.Errorf("serve: %v", err)
					}
					if took := time.Since(start); took < tt.took || took > tt.took+time.Second {
						t.Errorf("h2c %v: drained for %v", h2c, took)
					}
					if err := <-result; (err == nil) != tt.finished {
						t.Errorf("h2c %v: the request ended with %v", h2c, err)
					}
					if _, err := try(t, c, "GET", "/health", ""); err == nil {
						t.Error("a stopped server answers")
					}
					close(s.done)
				})
			})
		}
	}
}

func TestServeSaysWhyItCannot(t *testing.T) {
	listener := memnet.Listen("api.test")
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := host.Serve(t.Context(), host.NewServer(http.NotFoundHandler(), logging.Discard()), listener); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestRoutesReportFunctionsThatCannotBeMade(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range map[string]host.Function{
		"http":  {Trigger: host.HTTP, HTTP: func(*env.Clients) (http.Handler, error) { return nil, broken }},
		"event": {Trigger: host.Event, Event: func(*env.Clients) (host.EventFunc, error) { return nil, broken }},
	} {
		if _, err := host.Routes(&env.Clients{Log: logging.Discard()}, []host.Function{f}); !errors.Is(err, broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
