// Package localtest runs an installation in memory, for tests in virtual time of what uses one.
package localtest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/logging"
)

// Installation is a whole one, as go run ./emulator starts it, on a network of its own.
type Installation struct {
	*local.Local
	// Data is the folder of local.json.
	Data string
	// Client reaches all that listens on the network: the installation, and what Serve serves.
	Client *http.Client

	mu        sync.Mutex
	listeners map[string]*memnet.Listener
}

// Run runs a test in a bubble, with an installation that ends with it.
func Run(t *testing.T, test func(*testing.T, *Installation)) {
	t.Helper()
	var keys [2]*rsa.PrivateKey
	for n := range keys { // outside of the bubble, where it costs no virtual time
		var err error
		if keys[n], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		i := &Installation{listeners: map[string]*memnet.Listener{}}
		transport := &http.Transport{DialContext: i.dial}
		i.Client = &http.Client{Transport: transport}
		targets := &http.Client{
			Transport:     &http.Transport{DialContext: i.dial},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		made := 0
		l, err := local.Start(t.Context(), local.Config{
			Listen: "127.0.0.1:8080", Issuer: "127.0.0.1:8082", EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(),
			NewListener: i.listen, Targets: targets, NewKey: func() (*rsa.PrivateKey, error) { made++; return keys[made%2], nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		i.Local, i.Data = l, filepath.Dir(l.File)
		t.Cleanup(func() {
			transport.CloseIdleConnections()
			targets.CloseIdleConnections()
			if err := l.Close(context.Background()); err != nil {
				t.Errorf("close: %v", err)
			}
		})
		test(t, i)
	})
}

// Serve serves on the network until the test ends or stop is called.
func (i *Installation) Serve(t *testing.T, address string, handler http.Handler) (stop func()) {
	t.Helper()
	l, err := i.listen(address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(l) }() // always http.ErrServerClosed
	stop = func() {
		_ = server.Close()
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.listeners, address)
	}
	t.Cleanup(stop)
	return stop
}

func (i *Installation) listen(address string) (net.Listener, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.listeners[address] != nil {
		return nil, fmt.Errorf("listen %s: in use", address)
	}
	l := memnet.Listen(address)
	i.listeners[address] = l
	return l, nil
}

func (i *Installation) dial(ctx context.Context, _, address string) (net.Conn, error) {
	i.mu.Lock()
	l := i.listeners[address]
	i.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: nobody listens", address)
	}
	return l.Dial(ctx)
}
