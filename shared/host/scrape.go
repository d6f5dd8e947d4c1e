package host

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// scraped lets Prometheus ask, without a token: there is nothing in metrics but numbers by words of ours. What came through a proxy is from
// anywhere and is told that there is nothing here; so is, where nobody has asked for the endpoint and it is local, whoever is not on this
// machine, and a web page that had its own name lead here.
func scraped(next http.Handler, local bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isForwarded(r.Header) || local && !(isLoopback(r.RemoteAddr) && isLoopback(r.Host)) {
			notFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isForwarded(h http.Header) bool {
	return h.Get("Forwarded") != "" || h.Get("X-Forwarded-For") != "" || h.Get("Via") != ""
}

// isLoopback says whether a host, with a port or without, is a name of this machine for itself.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}
