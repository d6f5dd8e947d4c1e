// Package egress is the only way out to addresses that customers name. It decides on the address that is really dialled, so that
// neither a name that changes its mind nor an odd spelling of an address gets past it (callout.md section 8).
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ErrDenied says that an address may not be called. Its text is for the log; whoever asked learns only that it was refused.
var ErrDenied = errors.New("address is not allowed")

// refused are the ranges that are not public (callout.md section 8).
var refused = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
	"::/128", "::1/128", "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8")

// metadata are the addresses at which clouds hand out credentials, to machines and to containers: refused whatever range is allowed.
var metadata = prefixes("169.254.169.252/32", "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "169.254.0.23/32",
	"100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
	"fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128", "fe80::a9fe:a9fe/128")

// IPv6 forms that carry an IPv4 address, and where its first byte stands.
var embedded = []struct {
	prefix netip.Prefix
	offset int
	invert bool
}{
	{netip.MustParsePrefix("::/96"), 12, false},           // IPv4-compatible
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12, false}, // IPv4-translated
	{netip.MustParsePrefix("64:ff9b::/96"), 12, false},    // NAT64
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12, false},  // NAT64, local use
	{netip.MustParsePrefix("2002::/16"), 2, false},        // 6to4
	{netip.MustParsePrefix("2001::/32"), 4, false},        // Teredo, the server
	{netip.MustParsePrefix("2001::/32"), 12, true},        // Teredo, the client
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// Policy says which addresses may be called. The zero value allows public ones.
type Policy struct {
	allow, deny         []netip.Prefix
	allowHost, denyHost map[string]bool
	own                 []netip.AddrPort
	resolver            Resolver // nil is the system's
}

// Resolver finds the addresses of a name; net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// NewPolicy reads exceptions (allow) and additions (deny): addresses, CIDRs and host names with commas between them.
func NewPolicy(allow, deny string) (*Policy, error) {
	p := &Policy{}
	var allowErr, denyErr error
	if p.allow, p.allowHost, allowErr = parseList(allow); allowErr != nil {
		allowErr = fmt.Errorf("egress allow list: %w", allowErr)
	}
	if p.deny, p.denyHost, denyErr = parseList(deny); denyErr != nil {
		denyErr = fmt.Errorf("egress deny list: %w", denyErr)
	}
	if err := errors.Join(allowErr, denyErr); err != nil {
		return nil, err
	}
	return p, nil
}

func parseList(list string) ([]netip.Prefix, map[string]bool, error) {
	var ranges []netip.Prefix
	hosts := map[string]bool{}
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if a, err := netip.ParseAddr(entry); err == nil {
			if a.Zone() != "" {
				return nil, nil, fmt.Errorf("%q: a zone means nothing here", entry)
			}
			a = a.Unmap()
			ranges = append(ranges, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		if strings.Contains(entry, "/") {
			r, err := parseRange(entry)
			if err != nil {
				return nil, nil, err
			}
			ranges = append(ranges, r)
			continue
		}
		if !isHostName(entry) {
			return nil, nil, fmt.Errorf("%q is neither an address nor a CIDR nor a host name (in its ASCII form, xn--…)", entry)
		}
		hosts[canonicalHost(entry)] = true
	}
	return ranges, hosts, nil
}

// parseRange reads a CIDR. One in IPv4-mapped form would match nothing, because addresses are unmapped before they are compared.
func parseRange(entry string) (netip.Prefix, error) {
	r, err := netip.ParsePrefix(entry)
	if err != nil {
		return r, fmt.Errorf("%q is no CIDR", entry)
	}
	if r.Addr().Is4In6() {
		return r, fmt.Errorf("%q: write the IPv4 range", entry)
	}
	return r.Masked(), nil
}

// isHostName takes letters, digits, dots, "-" and "_". What ends in a number is a mistyped address: no such name exists.
func isHostName(entry string) bool {
	for _, r := range entry {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r)) {
			return false
		}
	}
	host := canonicalHost(entry)
	last := host[strings.LastIndexByte(host, '.')+1:]
	return strings.ContainsFunc(last, func(r rune) bool { return r >= 'a' && r <= 'z' })
}

func canonicalHost(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// WithOwn returns the policy that refuses these listeners too, even where their range is allowed: a target must not reach Callout
// itself by its inner ports. An unspecified address stands for every address of this machine.
func (p *Policy) WithOwn(own ...netip.AddrPort) *Policy {
	c := *p
	c.own = append(slices.Clone(p.own), own...)
	return &c
}

// WithResolver returns the policy that asks this one for the names of new targets; a *net.Resolver is asked at dial too.
func (p *Policy) WithResolver(r Resolver) *Policy {
	c := *p
	c.resolver = r
	return &c
}

// Check says whether connections to this address, dialled for that host name, are allowed: nil or an ErrDenied.
func (p *Policy) Check(host string, to netip.AddrPort) error {
	host = canonicalHost(host)
	addr := to.Addr().WithZone("").Unmap()
	forms := append([]netip.Addr{addr}, carried(addr)...)
	if p.denyHost[host] {
		return fmt.Errorf("%w: host %s is denied", ErrDenied, host)
	}
	for _, a := range forms {
		if contains(metadata, a) {
			return fmt.Errorf("%w: %s is a metadata address", ErrDenied, a)
		}
		if contains(p.deny, a) {
			return fmt.Errorf("%w: %s is in a denied range", ErrDenied, a)
		}
		if p.isOwn(a, to.Port()) {
			return fmt.Errorf("%w: %s is one of Callout's own listeners", ErrDenied, to)
		}
	}
	if p.allowHost[host] {
		return nil
	}
	for _, a := range forms {
		if contains(refused, a) && !contains(p.allow, a) {
			return fmt.Errorf("%w: %s is not public; CALLOUT_EGRESS_ALLOW opens exceptions", ErrDenied, a)
		}
	}
	return nil
}

func (p *Policy) isOwn(a netip.Addr, port uint16) bool {
	for _, own := range p.own {
		if own.Port() != port {
			continue
		}
		if own.Addr().Unmap() == a || own.Addr().IsUnspecified() && (a.IsLoopback() || a.IsUnspecified() || isLocal(a)) ||
			a.IsUnspecified() && own.Addr().IsLoopback() {
			return true
		}
	}
	return false
}

// isLocal says whether an address is one of this machine's.
func isLocal(a netip.Addr) bool {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, local := range addrs {
		if n, ok := local.(*net.IPNet); ok && n.IP.Equal(a.AsSlice()) {
			return true
		}
	}
	return false
}

// carried lists the IPv4 addresses that an IPv6 address stands for. An exception for the IPv6 address is none for them.
func carried(a netip.Addr) []netip.Addr {
	if !a.Is6() || a.IsLoopback() || a.IsUnspecified() {
		return nil
	}
	var out []netip.Addr
	b := a.As16()
	for _, form := range embedded {
		if !form.prefix.Contains(a) {
			continue
		}
		v4 := [4]byte(b[form.offset : form.offset+4])
		if form.invert {
			for i := range v4 {
				v4[i] ^= 0xff
			}
		}
		out = append(out, netip.AddrFrom4(v4))
	}
	return out
}

func contains(ranges []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return r.Contains(a) })
}

// resolveTime is how long a name may take to resolve when a target is created or updated.
const resolveTime = time.Second

// CheckHost says whether a target may name this host: an address always, however it is written, a name when it resolves within a second.
// The error is ErrDenied. resolved is false for a name that did not resolve; that is no error, because the dial decides.
func (p *Policy) CheckHost(ctx context.Context, host string, port uint16) (resolved bool, err error) {
	for _, a := range literal(host) {
		if err := p.Check(host, netip.AddrPortFrom(a, port)); err != nil {
			return true, err
		}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true, nil
	}
	if p.denyHost[canonicalHost(host)] {
		return true, fmt.Errorf("%w: host %s is denied", ErrDenied, host)
	}
	addrs := p.resolve(ctx, host)
	for _, a := range addrs {
		if err := p.Check(host, netip.AddrPortFrom(a, port)); err != nil {
			return true, err
		}
	}
	return len(addrs) > 0, nil
}

// resolve gives the addresses of a name, none if it does not resolve in time.
func (p *Policy) resolve(ctx context.Context, host string) []netip.Addr {
	var resolver Resolver = net.DefaultResolver
	if p.resolver != nil {
		resolver = p.resolver
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	addrs, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	return addrs
}
