package env

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"cloud.google.com/go/firestore"
	documents "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/call"
	"github.com/callout-dev/callout/shared/catalogue"
	"github.com/callout-dev/callout/shared/egress"
	"github.com/callout-dev/callout/shared/keys"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/payload"
	"github.com/callout-dev/callout/shared/queue"
	"github.com/callout-dev/callout/shared/routing"
	"github.com/callout-dev/callout/shared/seal"
	"github.com/callout-dev/callout/shared/store"
	"github.com/callout-dev/callout/shared/telemetry"
)

// issuerTime bounds one request to an issuer.
const issuerTime = 10 * time.Second

// Network is how the clients reach their services. Fields that are nil mean the ordinary way; one process and tests put connections in
// memory there.
type Network struct {
	// Firestore and PubSub are connections without transport security; Close closes them.
	Firestore, PubSub *grpc.ClientConn
	// Issuer reaches the issuers.
	Issuer http.RoundTripper
	// API reaches this installation's own API, as its callers do.
	API http.RoundTripper
	// Targets replaces the egress client, and with it the policy at dial.
	Targets *http.Client
	// Own are this process's listeners, which no target may name.
	Own []netip.AddrPort
	// Telemetry is where spans begin; nil begins none. Who made it closes it.
	Telemetry *telemetry.Telemetry
	// Stopping is closed when the process begins to stop: what only waits should end then.
	Stopping <-chan struct{}
}

// Clients is what functions are made from.
type Clients struct {
	Config Config
	Log    *slog.Logger
	Store  *store.Store
	Ledger *ledger.Ledger
	Routes *routing.Router
	// Catalogues are the names that may be conditions.
	Catalogues *catalogue.Keeper
	// Keys are the web keys.
	Keys   *keys.Keeper
	Queue  *queue.Queue
	Guard  *auth.Guard
	Push   *auth.PushGuard
	Egress *egress.Policy
	Caller call.Caller
	// Sealer seals with CALLOUT_SEAL_KEYS; without them it refuses.
	Sealer store.Sealer
	// API reaches this installation's own API, as its callers do: at Config.URL.
	API http.RoundTripper
	// Party signs people in at the issuer for pages of ours; nil where CALLOUT_CONSOLE_CLIENT_ID is not set.
	Party *auth.Party
	// Telemetry is where spans begin; nil begins none.
	Telemetry *telemetry.Telemetry
	// Metrics is where things are counted and timed; nil counts nothing.
	Metrics *telemetry.Metrics
	// Stopping is closed when the process begins to stop; nil never is.
	Stopping <-chan struct{}

	closers []func() error
}

// Open makes the clients. Nothing is dialled before it is used, so a service that is down is no error here.
func Open(ctx context.Context, c Config, n Network, log *slog.Logger) (*Clients, error) {
	clients := &Clients{Config: c, Log: log, Telemetry: n.Telemetry, Stopping: n.Stopping}
	if err := clients.open(ctx, n); err != nil {
		return nil, errors.Join(fmt.Errorf("open clients: %w", err), clients.Close())
	}
	return clients, nil
}

// OpenDatabase makes only the clients of the database, for tools that need nothing else: of the configuration, the project and, for
// secrets, the seal keys.
func OpenDatabase(ctx context.Context, c Config, n Network, log *slog.Logger) (*Clients, error) {
	clients := &Clients{Config: c, Log: log, Stopping: n.Stopping}
	if err := clients.openFirestore(ctx, n.Firestore); err != nil {
		return nil, errors.Join(fmt.Errorf("open the database: %w", err), clients.Close())
	}
	return clients, nil
}

// OpenQueue makes only the client of the queue, for tools that need nothing else: of the configuration, the project.
func OpenQueue(ctx context.Context, c Config, n Network, log *slog.Logger) (*Clients, error) {
	clients := &Clients{Config: c, Log: log, Stopping: n.Stopping}
	if err := clients.openPubSub(ctx, n.PubSub); err != nil {
		return nil, errors.Join(fmt.Errorf("open the queue: %w", err), clients.Close())
	}
	return clients, nil
}

func (c *Clients) open(ctx context.Context, n Network) error {
	policy, err := c.Config.Policy()
	if err != nil {
		return err
	}
	c.Egress = policy.WithOwn(n.Own...)
	if err := c.openTelemetry(ctx); err != nil {
		return err
	}
	if err := c.openFirestore(ctx, n.Firestore); err != nil {
		return err
	}
	if err := c.openMetrics(ctx); err != nil {
		return err
	}
	if err := c.openPubSub(ctx, n.PubSub); err != nil {
		return err
	}
	c.Store.Publish, c.Store.Log = c.Queue.PublishEvents, c.Log
	issuer := &http.Client{Transport: n.Issuer, Timeout: issuerTime}
	c.Guard = &auth.Guard{
		Verifier:         auth.NewVerifier(c.Config.Issuer, c.Config.Audience, issuer),
		Roles:            c.Config.Roles,
		ScopePermissions: c.Config.ScopePermissions,
		Instances:        c.Config.Instances,
	}
	if c.Config.IntrospectID != "" {
		c.Guard.Introspector = auth.NewIntrospector(c.Guard.Verifier, c.Config.Roles, c.Config.IntrospectID, c.Config.IntrospectSecret)
	}
	c.API = n.API
	if c.API == nil {
		c.API = http.DefaultTransport
	}
	if c.Config.ConsoleClientID != "" {
		c.Party = auth.NewParty(c.Config.Issuer, c.Config.ConsoleClientID, issuer)
	}
	c.Push = &auth.PushGuard{
		Verifier: auth.NewVerifier(c.Config.PushIssuer, c.Config.PushAudience, issuer),
		Accounts: c.Config.PushAccounts,
	}
	c.Caller = call.Caller{Client: n.Targets, UserAgent: "Callout/" + Version, Payload: payload.Maker{Keys: c.Keys}}
	if n.Targets == nil {
		c.Caller.Client = egress.NewClient(c.Egress)
	}
	return nil
}

// openTelemetry makes what the configuration says, unless there is one.
func (c *Clients) openTelemetry(ctx context.Context) (err error) {
	if c.Telemetry != nil {
		return nil
	}
	c.Telemetry, err = telemetry.Open(ctx, c.Config.Telemetry, c.Config.service(), Version)
	if c.Telemetry != nil {
		c.closers = append(c.closers, func() error { c.Telemetry.Close(c.Log); return nil })
	}
	return err
}

// openMetrics makes what the configuration says, once there are routes to watch.
func (c *Clients) openMetrics(ctx context.Context) (err error) {
	c.Metrics, err = telemetry.OpenMetrics(ctx, c.Config.Telemetry, c.Config.service(), Version)
	if err != nil || c.Metrics == nil {
		return err
	}
	c.closers = append(c.closers, func() error { c.Metrics.Close(c.Log); return nil })
	return c.Metrics.WatchRoutes(func() telemetry.Routes {
		s := c.Routes.Status()
		return telemetry.Routes{Known: !s.Looked.IsZero(), Age: s.Age, Stale: s.Stale}
	})
}

func sealer(c Config) (store.Sealer, error) {
	if c.SealKeys == "" {
		return noSealer{}, nil
	}
	return seal.New(c.SealKeys)
}

// noSealer stands in functions that need no secrets.
type noSealer struct{}

var errNoSealKeys = errors.New("CALLOUT_SEAL_KEYS is not set")

func (noSealer) Seal(string, string) (string, error) { return "", errNoSealKeys }
func (noSealer) Open(string, string) (string, error) { return "", errNoSealKeys }

func (noSealer) Reseal(string, string) (string, error) { return "", errNoSealKeys }

func (c *Clients) openFirestore(ctx context.Context, conn *grpc.ClientConn) error {
	sealer, err := sealer(c.Config)
	if err != nil {
		return err
	}
	options, err := c.connect(conn, c.Config.FirestoreHost)
	if err != nil {
		return err
	}
	high, err := firestore.NewClientWithDatabase(ctx, c.Config.Project, c.Config.DatabaseID, options...)
	if err != nil {
		return err
	}
	c.closers = append(c.closers, high.Close)
	low, err := documents.NewClient(ctx, options...)
	if err != nil {
		return err
	}
	c.closers = append(c.closers, low.Close)
	c.Sealer = sealer
	c.Store = store.New(high, low, sealer)
	c.Ledger = ledger.New(low, c.Config.Database(), c.Config.Rules(), c.Log)
	c.Routes = routing.New(c.Store, c.Ledger, c.Log)
	c.Catalogues = catalogue.New(c.Store, c.Config.Catalog, c.Log)
	c.Keys = keys.New(c.Store, c.Log)
	c.Ledger.OnChange = c.Routes.Forget
	c.Store.OnChange = func(changes ...action.Change) {
		c.Routes.Forget(changes...)
		c.Catalogues.Forget(changes...)
		c.Keys.Forget(changes...)
	}
	return nil
}

func (c *Clients) openPubSub(ctx context.Context, conn *grpc.ClientConn) error {
	options, err := c.connect(conn, c.Config.PubSubHost)
	if err != nil {
		return err
	}
	client, err := pubsub.NewClient(ctx, c.Config.Project, options...)
	if err != nil {
		return err
	}
	c.Queue = queue.New(client)
	c.closers = append(c.closers, client.Close)
	return nil
}

// connect says how a Google client connects: over a given connection, to an emulator, or (no options) to the real service.
func (c *Clients) connect(conn *grpc.ClientConn, emulator string) ([]option.ClientOption, error) {
	if conn == nil && emulator == "" {
		return nil, nil
	}
	if conn == nil {
		var err error
		conn, err = grpc.NewClient("passthrough:///"+emulator, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		c.closers = append(c.closers, conn.Close)
	}
	return []option.ClientOption{option.WithGRPCConn(conn), option.WithoutAuthentication(), option.WithTelemetryDisabled()}, nil
}

// Close closes all clients, the last opened first. Clients that share a connection all close it: that only the first can is no error.
func (c *Clients) Close() error {
	var errs []error
	for i := len(c.closers) - 1; i >= 0; i-- {
		if err := c.closers[i](); status.Code(err) != codes.Canceled {
			errs = append(errs, err)
		}
	}
	c.closers = nil
	return errors.Join(errs...)
}
