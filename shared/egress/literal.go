package egress

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// literal gives the addresses that a host says itself, none where it is a name. One that only some resolvers take for an address, such as
// 0x7f000001, 2130706433, 0177.0.0.1 and 127.1, gives each that they may make of it.
func literal(host string) []netip.Addr {
	host = canonicalHost(host)
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}
	}
	var found []netip.Addr
	for _, zeros := range []int{8, 10} { // a zero in front means octal to some, and nothing to others
		if a, ok := numbers(host, zeros); ok {
			found = append(found, a)
		}
	}
	return found
}

// numbers reads an IPv4 address as inet_aton does: one to four numbers with dots between them, the last of which fills all bytes that are
// left. Zeros is the base of those that begin with a zero.
func numbers(host string, zeros int) (netip.Addr, bool) {
	const bytes = 4
	parts := strings.Split(host, ".")
	if len(parts) > bytes {
		return netip.Addr{}, false
	}
	var address uint64
	for i, part := range parts {
		width := 1
		if i == len(parts)-1 {
			width = bytes - i
		}
		n, err := number(part, zeros)
		if err != nil || n>>(8*width) != 0 {
			return netip.Addr{}, false
		}
		address = address<<(8*width) | n
	}
	return netip.AddrFrom4([bytes]byte(binary.BigEndian.AppendUint32(nil, uint32(address)))), true
}

func number(text string, zeros int) (uint64, error) {
	switch {
	case text == "0x":
		return 0, nil
	case strings.HasPrefix(text, "0x"):
		return strconv.ParseUint(text[2:], 16, 64)
	case strings.HasPrefix(text, "0"):
		return strconv.ParseUint(text, zeros, 64)
	}
	return strconv.ParseUint(text, 10, 64)
}
