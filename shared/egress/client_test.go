package egress_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/egress"
)

// hostile are endpoints that must lead nowhere. PORT is that of a listener on this machine. A literal address is refused when a target
// is made and again at dial; a name or a spelling that is no literal must fail at dial, whatever a resolver makes of it.
var hostile = []struct {
	name, endpoint string
	literal        bool
}{
	{"loopback", "http://127.0.0.1:PORT/", true},
	{"loopback with TLS", "https://127.0.0.1:PORT/", true},
	{"another loopback", "http://127.255.255.254:PORT/", true},
	{"localhost", "http://localhost:PORT/", false},
	{"localhost in capitals", "http://LOCALHOST:PORT/", false},
	{"localhost with a dot", "http://localhost.:PORT/", false},
	{"under localhost", "http://x.localhost:PORT/", false},
	{"octal", "http://0177.0.0.1:PORT/", false},
	{"octal with more zeros", "http://0000177.0.0.01:PORT/", false},
	{"decimal", "http://2130706433:PORT/", false},
	{"hexadecimal", "http://0x7f000001:PORT/", false},
	{"hexadecimal parts", "http://0x7f.0x0.0x0.0x1:PORT/", false},
	{"two parts", "http://127.1:PORT/", false},
	{"three parts", "http://127.0.1:PORT/", false},
	{"one zero", "http://0:PORT/", false},
	{"padded", "http://127.000.000.001:PORT/", false},
	{"a dot behind the address", "http://127.0.0.1.:PORT/", false},
	{"full-width digits", "http://１２７.０.０.１:PORT/", false},
	{"circled digits", "http://①②⑦.⓪.⓪.①:PORT/", false},
	{"ideographic dots", "http://127。0。0。1:PORT/", false},
	{"percent-encoded", "http://%31%32%37.0.0.1:PORT/", false},
	{"unspecified", "http://0.0.0.0:PORT/", true},
	{"this network", "http://0.1.2.3:PORT/", true},
	{"IPv6 loopback", "http://[::1]:PORT/", true},
	{"IPv6 loopback, written out", "http://[0:0:0:0:0:0:0:1]:PORT/", true},
	{"IPv6 loopback with a zone", "http://[::1%25lo]:PORT/", true},
	{"IPv6 unspecified", "http://[::]:PORT/", true},
	{"mapped", "http://[::ffff:127.0.0.1]:PORT/", true},
	{"mapped, in hexadecimal", "http://[::ffff:7f00:1]:PORT/", true},
	{"mapped, written out", "http://[0:0:0:0:0:ffff:7f00:0001]:PORT/", true},
	{"mapped unspecified", "http://[::ffff:0.0.0.0]:PORT/", true},
	{"mapped private", "http://[::ffff:10.0.0.1]/", true},
	{"mapped with a zone", "http://[::ffff:127.0.0.1%25lo]:PORT/", true},
	{"compatible", "http://[::127.0.0.1]:PORT/", true},
	{"translated", "http://[::ffff:0:127.0.0.1]:PORT/", true},
	{"NAT64", "http://[64:ff9b::127.0.0.1]:PORT/", true},
	{"NAT64 of a private address", "http://[64:ff9b::a00:1]/", true},
	{"NAT64, local use", "http://[64:ff9b:1::127.0.0.1]/", true},
	{"NAT64, local use, the address further up", "http://[64:ff9b:1:7f00:0:100::]/", true},
	{"6to4 of loopback", "http://[2002:7f00:1::]:PORT/", true},
	{"6to4 of a private address", "http://[2002:c0a8:101::1]/", true},
	{"Teredo of loopback", "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/", true},
	{"Teredo with a private server", "http://[2001:0:a00:1:8000:63bf:3fff:fdd2]/", true},
	{"10/8", "http://10.0.0.1/", true},
	{"172.16/12", "http://172.31.255.255/", true},
	{"192.168/16", "http://192.168.1.1/", true},
	{"CGNAT", "http://100.64.0.1/", true},
	{"the end of CGNAT", "http://100.127.255.255/", true},
	{"link-local", "http://169.254.1.1/", true},
	{"metadata", "http://169.254.169.254/latest/meta-data/", true},
	{"metadata in decimal", "http://2852039166/latest/meta-data/", false},
	{"metadata in octal", "http://0251.0376.0251.0376/", false},
	{"metadata in hexadecimal", "http://0xa9fea9fe/", false},
	{"metadata, mapped", "http://[::ffff:a9fe:a9fe]/", true},
	{"metadata of ECS", "http://169.254.170.2/", true},
	{"metadata of Alibaba", "http://100.100.100.200/", true},
	{"metadata of Azure", "http://168.63.129.16/", true},
	{"metadata over IPv6", "http://[fd00:ec2::254]/", true},
	{"IETF protocols", "http://192.0.0.8/", true},
	{"benchmarks", "http://198.19.255.255/", true},
	{"multicast", "http://224.0.0.1/", true},
	{"reserved", "http://240.0.0.1/", true},
	{"broadcast", "http://255.255.255.255/", true},
	{"unique local", "http://[fd12:3456:789a::1]/", true},
	{"unique local, fc", "http://[fc00::1]/", true},
	{"IPv6 link-local", "http://[fe80::1]/", true},
	{"IPv6 link-local with a zone", "http://[fe80::1%25eth0]/", true},
	{"the end of IPv6 link-local", "http://[febf::1]/", true},
	{"site-local", "http://[fec0::1]/", true},
	{"IPv6 multicast", "http://[ff02::1]/", true},
	{"no host", "http://:PORT/", false},
	{"no TCP", "unix:///var/run/docker.sock", false},
	{"a file", "file:///etc/passwd", false},
	{"gopher", "gopher://127.0.0.1:PORT/_x", false},
}

func TestHostileEndpointsAreNotDialled(t *testing.T) {
	if len(hostile) < 60 {
		t.Fatalf("%d endpoints", len(hostile))
	}
	var connections atomic.Int32
	seen := func(net.Conn, http.ConnState) { connections.Add(1) }
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = seen
	server.Start()
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	if six, err := net.Listen("tcp6", "[::1]:"+port); err == nil { // the same port over IPv6, where there is IPv6
		server6 := &http.Server{ConnState: seen}
		go func() { _ = server6.Serve(six) }()
		defer server6.Close()
	}

	p := policy(t, "", "")
	client := egress.NewClient(p)
	t.Run("endpoints", func(t *testing.T) {
		for _, tt := range hostile {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				endpoint := strings.ReplaceAll(tt.endpoint, "PORT", port)
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader("{}"))
				if err != nil {
					return // not even a request can be made
				}
				if response, err := client.Do(request); err == nil {
					response.Body.Close()
					t.Fatalf("%s answered %s", endpoint, response.Status)
				} else if tt.literal && !errors.Is(err, egress.ErrDenied) && !strings.Contains(err.Error(), "address family not supported") {
					t.Errorf("%s failed for another reason: %v", endpoint, err)
				}
				if !tt.literal {
					return
				}
				if resolved, err := p.CheckHost(ctx, request.URL.Hostname(), 80); !resolved || !errors.Is(err, egress.ErrDenied) {
					t.Errorf("a target may be made: resolved %v, %v", resolved, err)
				}
			})
		}
	})
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections came through", n)
	}
}

func TestOwnListenerIsNotDialledUnderAnyName(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	server.Start()
	defer server.Close()
	own := netip.MustParseAddrPort(server.Listener.Addr().String())
	client := egress.NewClient(policy(t, "0.0.0.0/8,127.0.0.0/8,::/96,localhost", "").WithOwn(own))
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]"} {
		response, err := client.Post("http://"+host+":"+portOf(own)+"/", "", nil)
		if err == nil {
			response.Body.Close()
		}
		if err == nil || connections.Load() != 0 {
			t.Errorf("%s: %v, %d connections", host, err, connections.Load())
		}
	}
}

func portOf(a netip.AddrPort) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

func TestAllowedAddressIsCalledAndNoRedirectFollowed(t *testing.T) {
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path+" "+r.Header.Get("Accept-Encoding"))
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	client := egress.NewClient(policy(t, "127.0.0.0/8", ""))
	defer client.CloseIdleConnections()
	response, err := client.Post(server.URL+"/hook", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusTemporaryRedirect || len(paths) != 1 || paths[0] != "/hook " {
		t.Errorf("status %d, requests %q", response.StatusCode, paths)
	}
	if client.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy could be taken from the environment")
	}
}

// TestHandshakeEnds: a target that accepts and says nothing must not keep its connection, because a dial outlives its request.
func TestHandshakeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := memnet.Listen("silent")
		defer listener.Close()
		client := egress.NewClient(policy(t, "", ""))
		client.Transport.(*http.Transport).DialContext = listener.DialContext
		ended := make(chan time.Duration, 1)
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			start := time.Now()
			_, _ = io.Copy(io.Discard, conn)
			ended <- time.Since(start)
			conn.Close()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		request, _ := http.NewRequestWithContext(ctx, http.MethodPost, "https://silent.example/", strings.NewReader("{}"))
		if _, err := client.Do(request); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := <-ended; took > 30*time.Second {
			t.Errorf("the connection was kept for %v", took)
		}
	})
}
