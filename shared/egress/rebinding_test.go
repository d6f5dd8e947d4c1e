package egress_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/callout-dev/callout/shared/egress"
)

// rebinding is a DNS server whose one name has another address each time it is asked, the last one from then on.
type rebinding struct {
	mu        sync.Mutex
	addresses []netip.Addr
	asked     int
}

func (r *rebinding) next() netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	return r.addresses[min(r.asked, len(r.addresses))-1]
}

// serve answers questions for A with the next address, and all others with none.
func (r *rebinding) serve(t *testing.T, conn net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return // closed
		}
		var m dnsmessage.Message
		if err := m.Unpack(buffer[:n]); err != nil || len(m.Questions) != 1 {
			t.Errorf("not a question: %v", err)
			return
		}
		m.Response, m.Authoritative = true, true
		m.Additionals = nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: r.next().As4()},
			}}
		}
		answer, err := m.Pack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.WriteTo(answer, from)
	}
}

// TestRebinding: a name that had a public address when its target was made, and one of this machine when it is dialled, leads nowhere.
func TestRebinding(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := &rebinding{addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1")}}
	go r.serve(t, conn)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	server.Start()
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())

	p := policy(t, "", "").WithResolver(resolver)
	if resolved, err := p.CheckHost(t.Context(), "rebinding.example", 80); !resolved || err != nil {
		t.Fatalf("when the target is made: resolved %t, %v", resolved, err)
	}
	client := egress.NewClient(p)
	for range 3 {
		response, err := client.Get("http://rebinding.example:" + port + "/")
		if err == nil {
			_ = response.Body.Close()
		}
		if !errors.Is(err, egress.ErrDenied) {
			t.Errorf("when it is dialled: %v", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := connections.Load(); n != 0 || r.asked < 4 {
		t.Errorf("%d connections, the name was asked for %d times", n, r.asked)
	}
}
