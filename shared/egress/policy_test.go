package egress_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/callout-dev/callout/shared/egress"
)

func policy(t testing.TB, allow, deny string) *egress.Policy {
	t.Helper()
	p, err := egress.NewPolicy(allow, deny)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, allow, deny, host, to string
		denied                      bool
	}{
		{name: "a public address", to: "8.8.8.8:443"},
		{name: "a public IPv6 address", to: "[2606:4700::1111]:443"},
		{name: "NAT64 of a public address", to: "[64:ff9b::808:808]:443"},
		{name: "6to4 of a public address", to: "[2002:808:808::1]:443"},
		{name: "the address before a range", to: "100.63.255.255:80"},
		{name: "the address behind a range", to: "100.128.0.0:80"},
		{name: "172.32 is public", to: "172.32.0.1:80"},
		{name: "loopback, allowed", allow: "127.0.0.0/8", to: "127.0.0.1:80"},
		{name: "loopback, allowed as a mapped address", allow: "127.0.0.0/8", to: "[::ffff:127.0.0.1]:80"},
		{name: "IPv6 loopback, allowed", allow: "::1/128", to: "[::1]:80"},
		{name: "IPv6 loopback, IPv4's allowed", allow: "127.0.0.0/8", to: "[::1]:80", denied: true},
		{name: "an allowed single address", allow: "10.1.2.3", to: "10.1.2.3:80"},
		{name: "its neighbour", allow: "10.1.2.3", to: "10.1.2.4:80", denied: true},
		{name: "an allowed CIDR with host bits", allow: "10.1.2.3/8", to: "10.9.9.9:80"},
		{name: "an allowed address in mapped form", allow: "::ffff:10.1.2.3", to: "10.1.2.3:80"},
		{name: "NAT64 of an allowed range", allow: "10.0.0.0/8", to: "[64:ff9b::10.1.2.3]:80"},
		{name: "an exception for an IPv6 range is none for the IPv4 address in it", allow: "64:ff9b::/96", to: "[64:ff9b::10.1.2.3]:80", denied: true},
		{name: "nor is one for all of IPv6", allow: "::/0", to: "[2002:7f00:1::]:80", denied: true},
		{name: "an allowed zone's address", allow: "fe80::/10", to: "[fe80::1%eth0]:80"},
		{name: "an allowed host", allow: "Inner.Example", host: "inner.example.", to: "10.1.2.3:80"},
		{name: "the subdomain of an allowed host", allow: "inner.example", host: "a.inner.example", to: "10.1.2.3:80", denied: true},
		{name: "a denied range", deny: "8.8.8.0/24", to: "8.8.8.8:80", denied: true},
		{name: "a denied range, mapped", deny: "8.8.8.0/24", to: "[::ffff:8.8.8.8]:80", denied: true},
		{name: "a denied range, NAT64", deny: "8.8.8.0/24", to: "[64:ff9b::808:808]:80", denied: true},
		{name: "a denied host", deny: "evil.example", host: "EVIL.example.", to: "8.8.8.8:80", denied: true},
		{name: "denied wins over allowed", allow: "8.8.8.8", deny: "8.8.8.8", to: "8.8.8.8:80", denied: true},
		{name: "a denied address wins over an allowed host", allow: "inner.example", deny: "10.0.0.0/8", host: "inner.example", to: "10.1.2.3:80", denied: true},
		{name: "metadata in an allowed range", allow: "169.254.0.0/16", to: "169.254.169.254:80", denied: true},
		{name: "metadata by its own address", allow: "169.254.169.254", to: "169.254.169.254:80", denied: true},
		{name: "metadata of containers", allow: "0.0.0.0/0", to: "169.254.170.2:80", denied: true},
		{name: "metadata of pods", allow: "0.0.0.0/0", to: "169.254.170.23:80", denied: true},
		{name: "metadata behind an allowed host", allow: "metadata.google.internal", host: "metadata.google.internal", to: "169.254.169.254:80", denied: true},
		{name: "metadata, mapped", allow: "0.0.0.0/0,::/0", to: "[::ffff:169.254.169.254]:80", denied: true},
		{name: "metadata, NAT64", allow: "0.0.0.0/0,::/0", to: "[64:ff9b::a9fe:a9fe]:80", denied: true},
		{name: "metadata of Alibaba", allow: "100.64.0.0/10", to: "100.100.100.200:80", denied: true},
		{name: "metadata of Azure is a public address", to: "168.63.129.16:80", denied: true},
		{name: "metadata of Oracle", allow: "192.0.0.0/24", to: "192.0.0.192:80", denied: true},
		{name: "metadata of EC2 over IPv6", allow: "fc00::/7", to: "[fd00:ec2::254]:80", denied: true},
		{name: "metadata of pods over IPv6", allow: "fc00::/7", to: "[fd00:ec2::23]:80", denied: true},
		{name: "metadata of Google over IPv6", allow: "fc00::/7", to: "[fd20:ce::254]:80", denied: true},
		{name: "metadata over link-local IPv6", allow: "fe80::/10", to: "[fe80::a9fe:a9fe%eth0]:80", denied: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := policy(t, tt.allow, tt.deny).Check(tt.host, netip.MustParseAddrPort(tt.to))
			if denied := errors.Is(err, egress.ErrDenied); denied != tt.denied || (err != nil) != denied {
				t.Errorf("got %v, want denied %v", err, tt.denied)
			}
		})
	}
}

func TestOwnListenersAreRefused(t *testing.T) {
	tests := []struct {
		name, own, to string
		denied        bool
	}{
		{"itself", "127.0.0.1:8080", "127.0.0.1:8080", true},
		{"itself, mapped", "127.0.0.1:8080", "[::ffff:127.0.0.1]:8080", true},
		{"itself, as 6to4", "127.0.0.1:8080", "[2002:7f00:1::]:8080", true},
		{"as this host", "127.0.0.1:8080", "0.0.0.0:8080", true},
		{"another port", "127.0.0.1:8080", "127.0.0.1:8081", false},
		{"another loopback address, where nobody listens", "127.0.0.1:8080", "127.0.0.2:8080", false},
		{"an IPv6 one", "[::1]:8080", "[::1]:8080", true},
		{"an IPv6 one as this host", "[::1]:8080", "[::]:8080", true},
		{"every address: loopback", "0.0.0.0:8080", "127.9.9.9:8080", true},
		{"every address: this host", "0.0.0.0:8080", "0.0.0.0:8080", true},
		{"every IPv6 address: IPv4 loopback", "[::]:8080", "127.0.0.1:8080", true},
		{"every IPv6 address: this host by IPv4", "[::]:8080", "0.0.0.0:8080", true},
		{"every address: another machine", "0.0.0.0:8080", "10.1.2.3:8080", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			open := policy(t, "0.0.0.0/0,::/0", "")
			own := open.WithOwn(netip.MustParseAddrPort("192.0.2.1:1")).WithOwn(netip.MustParseAddrPort(tt.own))
			to := netip.MustParseAddrPort(tt.to)
			if err := own.Check("", to); errors.Is(err, egress.ErrDenied) != tt.denied {
				t.Errorf("got %v, want denied %v", err, tt.denied)
			}
			if err := open.Check("", to); err != nil && !strings.Contains(tt.to, "2002:") {
				t.Errorf("WithOwn changed the policy it was called on: %v", err)
			}
		})
	}
}

func TestNewPolicyRefuses(t *testing.T) {
	for _, entry := range []string{"10.0.0.0/33", "10.0.0/8", "*.example.org", "a b", "user@host", "host:80", "http://host", "bücher.example", "ｅvil.example",
		"10.0.0", "1234", "0x7f.1.2.3.4.5", "::ffff:10.0.0.0/104", "fe80::1%eth0/64", "fe80::1%eth0", "-/-", "."} {
		_, allowErr := egress.NewPolicy(entry, "")
		_, denyErr := egress.NewPolicy("", "good.example,"+entry)
		if allowErr == nil || denyErr == nil || !strings.Contains(allowErr.Error(), "allow list") || !strings.Contains(denyErr.Error(), "deny list") {
			t.Errorf("%q: %v, %v", entry, allowErr, denyErr)
		}
	}
	if _, err := egress.NewPolicy("*", "?"); err == nil || !strings.Contains(err.Error(), "allow list") || !strings.Contains(err.Error(), "deny list") {
		t.Errorf("both lists are wrong, and the error says %v", err)
	}
	if _, err := egress.NewPolicy(" , 10.0.0.0/8 ,, inner.example ", ""); err != nil {
		t.Errorf("white space and empty entries: %v", err)
	}
}

// FuzzCheck compares with what net/netip knows, and wants every form of an address to be treated alike.
func FuzzCheck(f *testing.F) {
	for _, a := range []string{"127.0.0.1", "10.0.0.1", "8.8.8.8", "::1", "fe80::1%x", "64:ff9b::7f00:1", "2002:a00:1::", "2001:0:7f00:1::f5ff:fffe", "::ffff:0:127.0.0.1"} {
		f.Add(a, "host", uint16(80))
	}
	public := policy(f, "", "")
	f.Fuzz(func(t *testing.T, text, host string, port uint16) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return
		}
		denied := public.Check(host, netip.AddrPortFrom(a, port)) != nil
		plain := a.Unmap()
		if inner := plain.IsPrivate() || plain.IsLoopback() || plain.IsUnspecified() || plain.IsMulticast() || plain.IsLinkLocalUnicast(); inner && !denied {
			t.Errorf("%s is not public, but allowed", a)
		}
		if !plain.Is4() || !denied {
			return
		}
		b := plain.As4()
		forms := []string{"::ffff:" + plain.String(), "::" + plain.String(), "64:ff9b::" + plain.String(), "::ffff:0:" + plain.String(), "64:ff9b:1::" + plain.String()}
		sixToFour := [16]byte{0x20, 0x02, b[0], b[1], b[2], b[3]}
		teredo := [16]byte{0x20, 0x01, 12: ^b[0], 13: ^b[1], 14: ^b[2], 15: ^b[3]}
		forms = append(forms, netip.AddrFrom16(sixToFour).String(), netip.AddrFrom16(teredo).String())
		for _, form := range forms {
			if v6 := netip.MustParseAddr(form); public.Check(host, netip.AddrPortFrom(v6, port)) == nil {
				t.Errorf("%s is denied, but %s is allowed", plain, v6)
			}
		}
	})
}

func FuzzNewPolicy(f *testing.F) {
	f.Add("10.0.0.0/8, inner.example,::1", "8.8.8.8")
	f.Add("fe80::1%eth0", "a..b,-")
	f.Fuzz(func(t *testing.T, allow, deny string) {
		p, err := egress.NewPolicy(allow, deny)
		if err == nil && p.Check("", netip.MustParseAddrPort("169.254.169.254:80")) == nil {
			t.Errorf("allow %q, deny %q let metadata through", allow, deny)
		}
	})
}
