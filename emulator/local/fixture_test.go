package local_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/shared/logging"
)

// keys are made once: two RSA keys cost more than everything else in most tests.
var keys = sync.OnceValues(func() ([]*rsa.PrivateKey, error) {
	var made []*rsa.PrivateKey
	for range 2 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		made = append(made, key)
	}
	return made, nil
})

func nextKey() func() (*rsa.PrivateKey, error) {
	n := 0
	return func() (*rsa.PrivateKey, error) {
		made, err := keys()
		if err != nil {
			return nil, err
		}
		n++
		return made[n%len(made)], nil
	}
}

// network is names instead of addresses: what listens under a name is reached under it.
type network struct {
	mu        sync.Mutex
	listeners map[string]*memnet.Listener
}

func newNetwork() *network { return &network{listeners: map[string]*memnet.Listener{}} }

func (n *network) listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("listen %s: in use", address)
	}
	l := memnet.Listen(address)
	n.listeners[address] = l
	return l, nil
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: nobody listens", address)
	}
	return l.Dial(ctx)
}

// installation is one under test, in memory, with what a client needs to talk to it.
type installation struct {
	*local.Local
	net    *network
	client *http.Client
}

const (
	apiAddress      = "127.0.0.1:8080"
	receiverAddress = "127.0.0.1:9000"
)

// start runs an installation until the test ends. Change adjusts its configuration.
func start(t *testing.T, change func(*local.Config)) *installation {
	t.Helper()
	n := newNetwork()
	transport := &http.Transport{DialContext: n.dial}
	targets := &http.Transport{DialContext: n.dial}
	c := local.Config{
		Listen: apiAddress, Firestore: "127.0.0.1:8081", PubSub: "127.0.0.1:8085", Issuer: "127.0.0.1:8082",
		EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(), NewListener: n.listen, NewKey: nextKey(),
		Targets: &http.Client{Transport: targets, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if change != nil {
		change(&c)
	}
	l, err := local.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		targets.CloseIdleConnections()
		if err := l.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &installation{Local: l, net: n, client: &http.Client{Transport: transport}}
}

// as is an HTTP client that calls with the token of one of the issuer's clients.
func (i *installation) as(ctx context.Context, name string) *http.Client {
	return tokenClient(ctx, i.client, i.Info, name)
}

func tokenClient(ctx context.Context, base *http.Client, info local.Info, name string) *http.Client {
	c := clientcredentials.Config{
		ClientID: info.Clients[name].ID, ClientSecret: info.Clients[name].Secret, TokenURL: info.Issuer + "/oauth/v2/token",
		Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"},
	}
	return c.Client(context.WithValue(ctx, oauth2.HTTPClient, base))
}

func bearerRequest(t *testing.T, url, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}
