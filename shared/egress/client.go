package egress

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	dialTime       = 5 * time.Second
	handshakeTime  = 10 * time.Second
	idleTime       = 90 * time.Second
	idlePerHost    = 64
	maxHeaderBytes = 64 << 10
)

// NewClient makes the http.Client for customers' addresses: it follows no redirect, takes no proxy from the environment, asks for no
// compression and dials only what the policy allows. It sets no time limit of its own: the context of a request does.
func NewClient(p *Policy) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  nil,
			DialContext:            p.dial,
			TLSHandshakeTimeout:    handshakeTime, // a handshake outlives the request that began it
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxIdleConns:           0,
			MaxIdleConnsPerHost:    idlePerHost,
			IdleConnTimeout:        idleTime,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dial connects to address and checks each address that its host resolves to at the moment of connecting.
func (p *Policy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{
		Timeout: dialTime,
		ControlContext: func(_ context.Context, network, address string, _ syscall.RawConn) error {
			if network != "tcp4" && network != "tcp6" {
				return fmt.Errorf("%w: network %s", ErrDenied, network)
			}
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDenied, err)
			}
			return p.Check(host, to)
		},
	}
	dialer.Resolver, _ = p.resolver.(*net.Resolver)
	return dialer.DialContext(ctx, network, address)
}
