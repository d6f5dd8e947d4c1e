package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/issuer"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/infra"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
)

// keyAge is how old the issuer's signing key gets.
const keyAge = 30 * 24 * time.Hour

// ground is what functions stand on: the services, each reachable in memory and, if wanted, on a port.
type ground struct {
	config    Config
	workers   *memnet.Workers
	store     *storage.Store
	firestore *firestore.Server
	pubsub    *pubsub.Server
	issuer    *issuer.Issuer
	push      *pushTransport
	sealKey   string // "" where the environment gives the keys

	firestoreRPC, pubsubRPC   service
	issuerHTTP                *http.Server
	issuerMemory              *memnet.Listener
	issuerURL, apiURL         string
	firestoreConn, pubsubConn *grpc.ClientConn
	addresses                 []net.Addr
	failed                    chan error
}

// service is a gRPC server, and what answers HTTP/1.1 on its port.
type service struct {
	server *grpc.Server
	web    *http.Server // nil without a port
	addr   net.Addr     // nil without a port
}

func openGround(c Config, api string) (*ground, error) {
	workers := memnet.NewWorkers()
	g := &ground{config: c, workers: workers, push: newPushTransport(c, workers), apiURL: api, failed: make(chan error, 8)}
	if err := g.open(c); err != nil {
		return nil, errors.Join(err, g.close(context.Background()))
	}
	return g, nil
}

func (g *ground) open(c Config) error {
	var err error
	if g.store, err = storage.Open(storage.Options{Dir: c.Data, MemTableBytes: c.MemTableBytes, Log: c.Log}); err != nil {
		return err
	}
	if c.Data != "" {
		if err := os.RemoveAll(filepath.Join(c.Data, backupFolder)); err != nil { // the store's lock says that nobody is at it
			return err
		}
	}
	if g.sealKey, err = sealKey(c); err != nil {
		return err
	}
	if err := g.openIssuer(c); err != nil {
		return err
	}
	indexes, err := firestore.ParseIndexes(infra.FirestoreIndexes())
	if err != nil {
		return err
	}
	g.firestore, err = firestore.New(firestore.Options{Store: g.store, Indexes: indexes, Strict: true, History: c.History, Hostile: c.HostileFirestore, Log: c.Log})
	if err != nil {
		return err
	}
	g.pubsub, err = pubsub.New(g.store, pubsub.Options{Transport: g.push, Tokens: g.issuer, Hostile: c.HostilePubSub, Log: c.Log})
	if err != nil {
		return err
	}
	if g.firestoreRPC, g.firestoreConn, err = g.serve(c, "firestore", c.Firestore, g.firestore.Register, g.firestore.Handler()); err != nil {
		return fmt.Errorf("firestore: %w", err)
	}
	if g.pubsubRPC, g.pubsubConn, err = g.serve(c, "pubsub", c.PubSub, g.pubsub.Register, http.NotFoundHandler()); err != nil {
		return fmt.Errorf("pubsub: %w", err)
	}
	return nil
}

// serve puts a gRPC service in memory and, if there is an address, on a port, where web answers what is not gRPC.
func (g *ground) serve(c Config, name, address string, register func(grpc.ServiceRegistrar), web http.Handler) (service, *grpc.ClientConn, error) {
	s := service{server: newServer()}
	register(s.server)
	memory := memnet.Listen(name)
	listeners := []net.Listener{memory}
	if address != "" {
		port, err := c.listen(address)
		if err != nil {
			return s, nil, err
		}
		s.addr = port.Addr()
		g.addresses = append(g.addresses, s.addr)
		rpc, rest := share(port)
		listeners = append(listeners, rpc)
		s.web = host.NewServer(web, c.Log)
		go func() { g.report(s.web.Serve(rest)) }()
	}
	for _, l := range listeners {
		go func() { g.report(s.server.Serve(l)) }()
	}
	direct := &memnet.Direct{MaxRequestBytes: pubsub.MaxRequestBytes, Workers: g.workers}
	register(direct)
	options := append(slices.Clone(c.Dial), grpc.WithContextDialer(memory.DialAddr),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithChainUnaryInterceptor(direct.Intercept))
	conn, err := grpc.NewClient("passthrough:///"+name, options...)
	return s, conn, err
}

// What one connection may ask for at once.
const (
	maxStreams     = 1000     // calls and streams that are open; a client that wants more waits
	maxHeaderBytes = 64 << 10 // of one call, which keeps them as long as it is open
)

// newServer makes a gRPC server whose memory one connection does not take by what it sends.
func newServer() *grpc.Server {
	return grpc.NewServer(grpc.ConnectionTimeout(greetTime), grpc.MaxConcurrentStreams(maxStreams), grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxRecvMsgSize(pubsub.MaxRequestBytes), grpc.ForceServerCodecV2(newCodec()))
}

func (g *ground) report(err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, net.ErrClosed) {
		select {
		case g.failed <- err:
		default:
		}
	}
}

func (g *ground) openIssuer(c Config) error {
	g.issuerMemory = memnet.Listen("issuer")
	listeners := []net.Listener{g.issuerMemory}
	g.issuerURL = "http://127.0.0.1"
	if c.Issuer != "" {
		port, err := c.listen(c.Issuer)
		if err != nil {
			return fmt.Errorf("issuer: %w", err)
		}
		g.addresses = append(g.addresses, port.Addr())
		g.issuerURL = baseURL(port.Addr())
		listeners = append(listeners, port)
	}
	var err error
	g.issuer, err = issuer.Open(issuer.Config{
		URL: g.issuerURL, Audience: Audience, PushAudience: PushAudience, ConsoleRedirect: g.apiURL + "/console/callback",
		Dir: c.Data, RotateAfter: keyAge, Log: c.Log, NewKey: c.NewKey,
	})
	if err != nil {
		return err
	}
	g.issuerHTTP = host.NewServer(g.issuer, c.Log)
	for _, l := range listeners {
		go func() { g.report(g.issuerHTTP.Serve(l)) }()
	}
	return nil
}

// network connects the functions of this process in memory.
func (g *ground) network() env.Network {
	return env.Network{
		Firestore: g.firestoreConn,
		PubSub:    g.pubsubConn,
		Issuer:    &http.Transport{DialContext: g.issuerMemory.DialContext},
	}
}

// ownAddresses are the listeners that no target may name.
func (l *Local) ownAddresses() []netip.AddrPort {
	var own []netip.AddrPort
	for _, addr := range append([]net.Addr{l.listener.Addr()}, l.ground.addresses...) {
		if tcp, ok := addr.(*net.TCPAddr); ok {
			own = append(own, tcp.AddrPort())
		}
	}
	return own
}

// stopPushing hands nothing more out and waits for the pushes under way.
func (g *ground) stopPushing(ctx context.Context) error {
	if g.pubsub == nil {
		return nil
	}
	return g.pubsub.Close(ctx)
}

func (g *ground) close(ctx context.Context) error {
	var problems []error
	if g.issuerHTTP != nil {
		if g.issuerHTTP.Shutdown(ctx) != nil {
			problems = append(problems, g.issuerHTTP.Close())
		}
	}
	problems = append(problems, g.stopPushing(ctx))
	for _, conn := range []*grpc.ClientConn{g.firestoreConn, g.pubsubConn} {
		if conn != nil {
			_ = conn.Close() // the clients may have closed it
		}
	}
	for _, s := range []service{g.pubsubRPC, g.firestoreRPC} {
		if s.web != nil && s.web.Shutdown(ctx) != nil {
			problems = append(problems, s.web.Close())
		}
		if s.server != nil {
			s.server.Stop()
		}
	}
	g.workers.Close()
	if g.firestore != nil {
		g.firestore.Close()
	}
	if g.store != nil {
		problems = append(problems, g.store.Close())
	}
	return errors.Join(problems...)
}
