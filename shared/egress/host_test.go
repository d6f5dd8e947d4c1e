package egress_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callout-dev/callout/shared/egress"
)

// names is a resolver that knows some, and takes its time.
type names struct {
	known map[string][]string
	takes time.Duration
	asked []string
}

func (n *names) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	n.asked = append(n.asked, host)
	select {
	case <-time.After(n.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var found []netip.Addr
	for _, a := range n.known[host] {
		found = append(found, netip.MustParseAddr(a))
	}
	if found == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return found, nil
}

func TestCheckHost(t *testing.T) {
	const late = 2 * time.Second
	known := map[string][]string{
		"public.example": {"8.8.8.8", "2606:4700::1111"}, "inner.example": {"10.1.2.3"}, "six.example": {"fd12:3456::1"}, "mapped.example": {"::ffff:10.1.2.3"},
		"mixed.example": {"8.8.8.8", "10.1.2.3"}, "mixed6.example": {"8.8.8.8", "::1"}, "metadata.google.internal": {"169.254.169.254"},
		"own.example": {"203.0.113.7"}, "loop.example": {"127.0.0.1"}, "denied.example": {"8.8.8.8"}, "range.example": {"198.51.100.9"}, "nothing.example": {},
	}
	tests := []struct {
		name, host string
		allow      string
		port       uint16
		takes      time.Duration
		resolved   bool
		denied     bool
		took       time.Duration
		silent     bool // nobody is asked
	}{
		{name: "an address", host: "8.8.8.8", resolved: true, silent: true},
		{name: "an IPv6 address", host: "2606:4700::1111", resolved: true, silent: true},
		{name: "an inner address", host: "10.1.2.3", resolved: true, denied: true, silent: true},
		{name: "with a dot behind", host: "10.1.2.3.", resolved: true, denied: true, silent: true},
		{name: "decimal", host: "2130706433", resolved: true, denied: true, silent: true},
		{name: "octal", host: "0177.0.0.1", resolved: true, denied: true, silent: true},
		{name: "octal whole", host: "017700000001", resolved: true, denied: true, silent: true},
		{name: "hexadecimal", host: "0x7f000001", resolved: true, denied: true, silent: true},
		{name: "hexadecimal in capitals", host: "0X7F.0X0.0X0.0X1", resolved: true, denied: true, silent: true},
		{name: "mixed bases", host: "0xa.012.30.4", resolved: true, denied: true, silent: true},
		{name: "padded", host: "127.000.000.001", resolved: true, denied: true, silent: true},
		{name: "padded, and inner only if read as decimal", host: "010.8.8.8", resolved: true, denied: true, silent: true},
		{name: "two parts", host: "127.1", resolved: true, denied: true, silent: true},
		{name: "three parts", host: "192.168.257", resolved: true, denied: true, silent: true},
		{name: "zero", host: "0", resolved: true, denied: true, silent: true},
		{name: "metadata in decimal", host: "2852039166", resolved: true, denied: true, silent: true},
		{name: "metadata in octal", host: "0251.0376.0251.0376", resolved: true, denied: true, silent: true},
		{name: "decimal, allowed", host: "2130706433", allow: "127.0.0.0/8"},
		{name: "decimal of a public address, which no name is", host: "134744072"},
		{name: "numbers that are no address", host: "1.2.3.4.5"},
		{name: "too large a number", host: "4294967296"},
		{name: "IPv6 loopback", host: "::1", resolved: true, denied: true, silent: true},
		{name: "IPv6 mapped", host: "::ffff:127.0.0.1", resolved: true, denied: true, silent: true},
		{name: "IPv6 mapped, in hexadecimal", host: "::ffff:7f00:1", resolved: true, denied: true, silent: true},
		{name: "IPv6 with a zone", host: "fe80::1%eth0", resolved: true, denied: true, silent: true},
		{name: "NAT64", host: "64:ff9b::127.0.0.1", resolved: true, denied: true, silent: true},
		{name: "an own listener", host: "203.0.113.7", port: 8080, resolved: true, denied: true, silent: true},
		{name: "beside an own listener", host: "203.0.113.7", port: 8081, resolved: true, silent: true},
		{name: "a denied address", host: "198.51.100.9", resolved: true, denied: true, silent: true},

		{name: "a public name", host: "public.example", resolved: true},
		{name: "an inner name", host: "inner.example", resolved: true, denied: true},
		{name: "an inner name that is allowed", host: "inner.example", allow: "inner.example", resolved: true},
		{name: "an inner name whose range is allowed", host: "inner.example", allow: "10.0.0.0/8", resolved: true},
		{name: "an inner IPv6 name", host: "six.example", resolved: true, denied: true},
		{name: "a name for a mapped address", host: "mapped.example", resolved: true, denied: true},
		{name: "a name with a public and an inner address", host: "mixed.example", resolved: true, denied: true},
		{name: "a name with a public and a loopback IPv6 address", host: "mixed6.example", resolved: true, denied: true},
		{name: "a metadata name", host: "metadata.google.internal", resolved: true, denied: true},
		{name: "a metadata name that is allowed", host: "metadata.google.internal", allow: "metadata.google.internal,169.254.0.0/16", resolved: true, denied: true},
		{name: "a name of an own listener", host: "own.example", port: 8080, allow: "own.example", resolved: true, denied: true},
		{name: "a name of the own address, another port", host: "own.example", port: 8081, resolved: true},
		{name: "a loopback name that is allowed, and an own listener there", host: "loop.example", port: 8082, allow: "127.0.0.0/8", resolved: true, denied: true},
		{name: "a denied name", host: "Denied.example.", resolved: true, denied: true, silent: true},
		{name: "a denied name that is allowed", host: "denied.example", allow: "denied.example", resolved: true, denied: true, silent: true},
		{name: "a name in a denied range", host: "range.example", allow: "range.example", resolved: true, denied: true},
		{name: "a name that nobody knows", host: "nobody.example"},
		{name: "a name without addresses", host: "nothing.example"},
		{name: "an inner name, just in time", host: "inner.example", takes: 999 * time.Millisecond, resolved: true, denied: true, took: 999 * time.Millisecond},
		{name: "a public name, too late", host: "public.example", takes: late, took: time.Second},
		{name: "an inner name, too late: the dial decides", host: "inner.example", takes: late, took: time.Second},
		{name: "a denied name, and the resolver is slow", host: "denied.example", takes: late, resolved: true, denied: true, silent: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resolver := &names{known: known, takes: tt.takes}
				p := policy(t, tt.allow, "denied.example,198.51.100.0/24").WithResolver(resolver).
					WithOwn(netip.MustParseAddrPort("203.0.113.7:8080"), netip.MustParseAddrPort("127.0.0.1:8082"))
				start := time.Now()
				resolved, err := p.CheckHost(t.Context(), tt.host, max(tt.port, 1))
				if resolved != tt.resolved || (err != nil) != tt.denied || errors.Is(err, egress.ErrDenied) != tt.denied {
					t.Errorf("resolved %v, %v", resolved, err)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("it took %v", took)
				}
				if tt.silent != (len(resolver.asked) == 0) {
					t.Errorf("the resolver was asked for %q", resolver.asked)
				}
			})
		})
	}
}

// TestCheckHostAsksTheSystem where no other resolver is given.
func TestCheckHostAsksTheSystem(t *testing.T) {
	p := policy(t, "", "")
	if resolved, err := p.CheckHost(t.Context(), "localhost", 80); !resolved || !errors.Is(err, egress.ErrDenied) {
		t.Errorf("localhost: %v, %v", resolved, err)
	}
	start := time.Now()
	if resolved, err := p.CheckHost(t.Context(), "nobody.invalid", 80); resolved || err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("a name that does not resolve: %v, %v after %v", resolved, err, time.Since(start))
	}
}

// FuzzCheckHost: what netip takes for an IPv4 address is refused in every other way to write it too, and nothing panics.
func FuzzCheckHost(f *testing.F) {
	f.Add("0x7f.1", uint32(0x7f000001))
	f.Add("0x", uint32(0))
	f.Add("1.2.3.4.5", uint32(0x0a000001))
	f.Fuzz(func(t *testing.T, host string, n uint32) {
		p := policy(t, "", "").WithResolver(&names{})
		_, _ = p.CheckHost(t.Context(), host, 80)
		a := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		_, want := p.CheckHost(t.Context(), a.String(), 80)
		for _, form := range forms(n) {
			if _, err := p.CheckHost(t.Context(), form, 80); want != nil && err == nil {
				t.Errorf("%s is refused, and %s is not", a, form)
			}
		}
	})
}

// forms are ways to write an IPv4 address.
func forms(n uint32) []string {
	return []string{
		fmt.Sprintf("%d", n), fmt.Sprintf("0x%x", n), fmt.Sprintf("0%o", n), fmt.Sprintf("%d.%d", n>>24, n&0xffffff), fmt.Sprintf("0x%x.%d.0%o", n>>24, n>>16&0xff, n&0xffff),
		fmt.Sprintf("%03d.%03d.%03d.%03d", n>>24, n>>16&0xff, n>>8&0xff, n&0xff), fmt.Sprintf("0%o.0%o.0%o.0%o.", n>>24, n>>16&0xff, n>>8&0xff, n&0xff),
	}
}
