package targets

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/firestore"
	documents "cloud.google.com/go/firestore/apiv1"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	server "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/infra"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/egress"
	"github.com/callout-dev/callout/shared/errs"
	"github.com/callout-dev/callout/shared/seal"
	"github.com/callout-dev/callout/shared/store"
)

// newStore is one over an embedded Firestore.
func newStore(t *testing.T, hostile *server.Hostile) *store.Store {
	t.Helper()
	disk, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := server.ParseIndexes(infra.FirestoreIndexes())
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Store: disk, Indexes: indexes, Strict: true, Hostile: hostile})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	s.Register(g)
	l := memnet.Listen("firestore")
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///firestore", grpc.WithContextDialer(l.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		g.Stop()
		<-served
		s.Close()
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	high, err := firestore.NewClient(t.Context(), "p", option.WithGRPCConn(conn), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	low, err := documents.NewClient(t.Context(), option.WithGRPCConn(conn), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := seal.New(seal.NewKey("k1"))
	if err != nil {
		t.Fatal(err)
	}
	return store.New(high, low, sealer)
}

// names is a resolver that knows some, and takes its time.
type names struct {
	known map[string]string
	takes time.Duration
	asked int
}

func (n *names) LookupNetIP(ctx context.Context, _, host string) (found []netip.Addr, err error) {
	n.asked++
	select {
	case <-time.After(n.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for a := range strings.FieldsSeq(n.known[host]) {
		found = append(found, netip.MustParseAddr(a))
	}
	if found == nil {
		err = errors.New("no such host")
	}
	return found, err
}

func TestEndpoints(t *testing.T) {
	known := map[string]string{"public.example": "8.8.8.8", "inner.example": "10.1.2.3", "mixed.example": "8.8.8.8 10.1.2.3", "metadata.google.internal": "169.254.169.254",
		"own.example": "203.0.113.7"}
	tests := []struct {
		name, endpoint string
		takes          time.Duration
		denied, warned bool
		took           time.Duration
	}{
		{name: "a public name", endpoint: "https://public.example/hook"},
		{name: "a public address", endpoint: "http://8.8.8.8:8080/"},
		{name: "an inner address", endpoint: "http://10.0.0.1/", denied: true},
		{name: "an inner address in decimal", endpoint: "http://167772161/", denied: true},
		{name: "an inner address in octal", endpoint: "http://012.0.0.1/", denied: true},
		{name: "an inner address in hexadecimal", endpoint: "http://0xa.0.0.1/", denied: true},
		{name: "an inner address, mapped", endpoint: "http://[::ffff:a00:1]/", denied: true},
		{name: "IPv6 loopback", endpoint: "http://[::1]/", denied: true},
		{name: "an inner name", endpoint: "https://inner.example/", denied: true},
		{name: "a public and an inner address", endpoint: "https://mixed.example/", denied: true},
		{name: "a metadata name", endpoint: "http://metadata.google.internal/computeMetadata/v1/", denied: true},
		{name: "a name of an own listener", endpoint: "http://own.example/", denied: true},
		{name: "a name of an own listener, by its port", endpoint: "http://own.example:443/", denied: true},
		{name: "a name of the own address, another port", endpoint: "http://own.example:8080/"},
		{name: "a denied name", endpoint: "http://denied.example/", denied: true},
		{name: "an address in a denied range", endpoint: "http://198.51.100.1/", denied: true},
		{name: "a name that nobody knows", endpoint: "https://nobody.example/", warned: true},
		{name: "a slow resolver", endpoint: "https://public.example/", takes: 2 * time.Second, warned: true, took: time.Second},
		{name: "a slow resolver that would say no", endpoint: "https://inner.example/", takes: 2 * time.Second, warned: true, took: time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				resolver := &names{known: known, takes: tt.takes}
				policy, err := egress.NewPolicy("", "denied.example,198.51.100.0/24")
				if err != nil {
					t.Fatal(err)
				}
				policy = policy.WithResolver(resolver).WithOwn(netip.MustParseAddrPort("203.0.113.7:80"), netip.MustParseAddrPort("203.0.113.7:443"))
				o := &Operations{Store: newStore(t, nil), Egress: policy, Log: slog.New(slog.NewTextHandler(&log, nil))}
				caller := auth.Caller{Instance: "here", Subject: "me"}
				first := action.Target{Name: "first", Type: action.Webhook, Timeout: time.Second, Endpoint: "https://9.9.9.9/"}
				there, err := o.Create(t.Context(), caller, first)
				if err != nil || log.Len() > 0 {
					t.Fatal(err, log.String())
				}
				check := func(what string, denied *errs.Error, call func() error) {
					log.Reset()
					start := time.Now()
					err := call()
					if e, ok := errs.As(err); ok != tt.denied || ok && e.ID != denied.ID || !ok && err != nil {
						t.Errorf("%s: %v", what, err)
					}
					if took := time.Since(start); took != tt.took {
						t.Errorf("%s took %v", what, took)
					}
					if n := strings.Count(log.String(), "level=WARN"); (n == 1) != tt.warned || n > 1 {
						t.Errorf("%s logged %s", what, &log)
					}
				}
				check("create", errCreateDenied, func() error {
					_, err := o.Create(t.Context(), caller, action.Target{Name: "new", Type: action.Webhook, Timeout: time.Second, Endpoint: tt.endpoint})
					return err
				})
				check("update", errUpdateDenied, func() error {
					_, _, err := o.Update(t.Context(), caller, there.ID, action.TargetChange{Endpoint: &tt.endpoint})
					return err
				})
				got, err := o.Get(t.Context(), caller, there.ID)
				if want := map[bool]string{true: first.Endpoint, false: tt.endpoint}[tt.denied]; err != nil || got.Endpoint != want {
					t.Errorf("the target has %q, %v", got.Endpoint, err)
				}
			})
		})
	}
}

// TestUpdateAsksOnce, however often its transaction is tried, and not at all where the endpoint stays.
func TestUpdateAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resolver := &names{known: map[string]string{"public.example": "8.8.8.8", "other.example": "8.8.4.4"}}
		policy := new(egress.Policy).WithResolver(resolver)
		hostile := &server.Hostile{Seed: 3, Abort: 0.7}
		o := &Operations{Store: newStore(t, hostile), Egress: policy, Log: slog.New(slog.DiscardHandler)}
		caller := auth.Caller{Instance: "here"}
		surely := func(call func() error) {
			for range 100 {
				if err := call(); !errs.Is(err, errs.Unavailable) {
					if err != nil {
						t.Fatal(err)
					}
					return
				}
			}
			t.Fatal("the database never answers")
		}
		var created action.Target
		surely(func() (err error) {
			created, err = o.Create(t.Context(), caller, action.Target{Name: "t", Type: action.Webhook, Timeout: time.Second, Endpoint: "https://public.example/"})
			return err
		})
		for _, tt := range []struct {
			endpoint string
			asks     int
		}{{"https://public.example/", 0}, {"https://other.example/", 1}} {
			calls := 0
			resolver.asked = 0
			surely(func() error {
				calls++
				timeout := 2 * time.Second
				_, _, err := o.Update(t.Context(), caller, created.ID, action.TargetChange{Endpoint: &tt.endpoint, Timeout: &timeout})
				return err
			})
			if resolver.asked != calls*tt.asks {
				t.Errorf("%s: asked %d times in %d calls", tt.endpoint, resolver.asked, calls)
			}
		}
	})
}
