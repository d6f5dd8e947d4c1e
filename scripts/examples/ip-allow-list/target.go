package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// allowList is the networks that calls may come from.
type allowList []netip.Prefix

func parse(text string) (allowList, error) {
	var list allowList
	for network := range strings.SplitSeq(text, ",") {
		prefix, err := netip.ParsePrefix(strings.TrimSpace(network))
		if err != nil {
			return nil, err
		}
		list = append(list, prefix)
	}
	return list, nil
}

// take answers a call. An empty answer lets the login go on.
func (l allowList) take(w http.ResponseWriter, _ *http.Request, body []byte) {
	var call struct {
		Headers http.Header `json:"headers"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	address := caller(call.Headers)
	if l.holds(address) {
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"forwardedStatusCode": http.StatusForbidden, "forwardedErrorMessage": fmt.Sprintf("no login from %q", address),
	})
}

// caller is the last address of X-Forwarded-For, which the proxy before the host has seen itself. Those before it anybody can write there.
// With more proxies of your own in a row, take as many from the end.
func caller(h http.Header) string {
	all := strings.Split(strings.Join(h.Values("X-Forwarded-For"), ","), ",")
	return strings.TrimSpace(all[len(all)-1])
}

func (l allowList) holds(text string) bool {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	for _, network := range l {
		if network.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}
