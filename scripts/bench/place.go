package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"

	"github.com/callout-dev/callout/scripts/callout/access"
)

// place says which installation is measured, and how its targets reach this program. The zero value is an emulator that it starts itself.
type place struct {
	data                  string // folder of a local.json
	api, issuer, clientID string // of an installation anywhere; the secret is in the environment
	receiver              string // URL of this program as the installation sees it; empty: that of listen
	listen                string // HOST:PORT; port 0 is any free one
}

// check says what to do about flags that do not go together.
func (p place) check() error {
	switch {
	case p.data != "" && p.api != "":
		return errors.New("-data and -api name two installations: give one of them")
	case p.api == "" && (p.issuer != "" || p.clientID != ""):
		return errors.New("-issuer and -client-id say who calls the API at -api: give that too, or none of them")
	case p.api != "" && p.receiver == "" && !isLocal(p.api):
		return fmt.Errorf("%s has to reach this program: give with -listen where it listens, and with -receiver the URL that leads there", p.api)
	}
	host, port, err := net.SplitHostPort(p.listen)
	if err != nil {
		return fmt.Errorf("-listen %q: it must be HOST:PORT, with port 0 for any", p.listen)
	}
	if p.receiver == "" {
		if ip := net.ParseIP(host); host == "" || ip.IsUnspecified() {
			return fmt.Errorf("-listen %s is every address of this machine: say with -receiver under which URL the installation reaches it", p.listen)
		}
		return nil
	}
	if port == "0" {
		return errors.New("-receiver leads to one port: give it with -listen, like -listen :9000")
	}
	u, err := url.Parse(p.receiver)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.User != nil || u.RawQuery != "" {
		return fmt.Errorf("-receiver %q: it must be http://HOST[:PORT] or https://HOST[:PORT]", p.receiver)
	}
	return nil
}

// usual are the parts that are measured where nobody asks for others: two take long, one is for Linux, and an installation that is not ours is
// not to be filled with targets.
func (p place) usual() []string {
	if p.api != "" {
		return []string{partLatency, partThroughput, partHooks}
	}
	return slices.DeleteFunc(slices.Clone(parts), func(part string) bool { return part == partCost || part == partBacklog || part == partLedger })
}

// settings say where the API is and who calls it. The environment counts for an installation anywhere, and not for one with a local.json.
func (p place) settings(getenv func(string) string) (access.Settings, error) {
	if p.api == "" {
		return access.Choice{Data: p.data, Client: "admin"}.Settle()
	}
	c, err := access.Choice{API: p.api, Issuer: p.issuer, ClientID: p.clientID}.Complete(getenv)
	if err != nil {
		return access.Settings{}, err
	}
	if c.Token == "" && (c.Issuer == "" || c.ClientID == "" || c.ClientSecret == "") {
		return access.Settings{}, errors.New("-api needs -issuer and -client-id, and that client's secret in CALLOUT_CLIENT_SECRET; or a token in CALLOUT_TOKEN")
	}
	return c.Settle()
}

// isLocal says whether a URL is one of this machine.
func isLocal(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback())
}
