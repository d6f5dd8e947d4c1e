// Package pubsub is a durable message broker behind the gRPC interfaces of Google Cloud Pub/Sub (google.pubsub.v1): topics, pull, streaming
// pull and push subscriptions with back-off, dead letters, ordering and exactly-once delivery, filters, snapshots and seek. It is the queue
// of an installation on one machine; the official client libraries use it as they use the service itself.
//
// A publish that was answered is on disk. An acknowledgement that was answered outlives a clean stop; after a crash the last of them may be
// delivered again, except on subscriptions with exactly-once delivery. Memory is bounded by what is outstanding, not by the backlog.
package pubsub

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress

	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/shared/logging"
)

// MaxRequestBytes is the largest request that clients send: ten megabytes of messages and what is around them. The grpc.Server needs it as
// its MaxRecvMsgSize.
const MaxRequestBytes = 12 << 20

// TokenSource makes the bearer tokens of push subscriptions that ask for one.
type TokenSource interface {
	// Token makes an OIDC token for an audience in the name of a service account, and says until when it is valid.
	Token(ctx context.Context, audience, email string) (token string, expiry time.Time, err error)
}

// Options tune a Server. The zero value is usable.
type Options struct {
	Transport  http.RoundTripper // carries pushes; nil is a transport of the server's own, which follows no proxy settings
	Tokens     TokenSource       // nil refuses push subscriptions with an oidc_token
	PushWindow int               // pushes under way at once, per subscription; 0 is 256
	Log        *slog.Logger      // nil is silent
	Hostile    *Hostile          // nil is well-behaved
}

// Server is the broker. It owns the keys that start with 'p' in its store.
type Server struct {
	store   *storage.Store
	log     *journal
	slog    *slog.Logger
	pusher  *pusher
	hostile *Hostile
	own     *http.Transport // to be closed with the server

	admin sync.Mutex // held through every change of what exists, so that check and change are one

	mu        sync.RWMutex
	topics    map[topicName]*topic
	subs      map[subscriptionName]*subscription
	snapshots map[snapshotName]*snapshot
	orphans   map[id]*topic // deleted topics that still have subscriptions

	streams   atomic.Int64  // open StreamingPulls
	stopping  chan struct{} // closed first: nothing more is handed out
	closeOnce sync.Once
	sweeping  sync.WaitGroup
}

// New loads what the store holds and starts to deliver it. The store stays the caller's; it is closed after the Server.
func New(store *storage.Store, o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = logging.Discard()
	}
	if o.PushWindow <= 0 {
		o.PushWindow = 256
	}
	s := &Server{
		store: store, slog: o.Log, stopping: make(chan struct{}),
		topics: map[topicName]*topic{}, subs: map[subscriptionName]*subscription{},
		snapshots: map[snapshotName]*snapshot{}, orphans: map[id]*topic{},
	}
	if o.Transport == nil {
		s.own = &http.Transport{
			MaxIdleConns: 4 * o.PushWindow, MaxIdleConnsPerHost: o.PushWindow, IdleConnTimeout: 90 * time.Second,
			MaxResponseHeaderBytes: answerBytes, DisableCompression: true, // nothing in an answer but its status is looked at
		}
		o.Transport = s.own
	}
	s.pusher, s.hostile = newPusher(o), o.Hostile
	if err := s.load(); err != nil {
		return nil, err
	}
	s.sweeping.Go(s.sweep)
	return s, nil
}

// Register puts the services Publisher, Subscriber and SchemaService (which answers that it is not implemented) on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	pubsubpb.RegisterPublisherServer(r, publisher{s: s})
	pubsubpb.RegisterSubscriberServer(r, subscriber{s: s})
	pubsubpb.RegisterSchemaServiceServer(r, pubsubpb.UnimplementedSchemaServiceServer{})
}

// Close ends streams and calls of Pull, waits for the pushes that are under way as long as ctx allows, and writes what is not yet written.
// Until the pushes are through, messages may still be published. Close does not stop the gRPC server: do that next.
func (s *Server) Close(ctx context.Context) error {
	var err error
	s.closeOnce.Do(func() {
		close(s.stopping)
		for _, sub := range s.allSubscriptions() {
			sub.stop()
		}
		err = s.pusher.drain(ctx)
		s.sweeping.Wait()
		for _, sub := range s.allSubscriptions() {
			sub.saveProgressNow()
		}
		s.log.close()
		if s.own != nil {
			s.own.CloseIdleConnections()
		}
	})
	return err
}

func (s *Server) allSubscriptions() []*subscription {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*subscription, 0, len(s.subs))
	for _, sub := range s.subs {
		all = append(all, sub)
	}
	return all
}

func (s *Server) topic(name topicName) (*topic, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.topics[name]; t != nil {
		return t, nil
	}
	return nil, notFound(string(name))
}

func (s *Server) subscription(name subscriptionName) (*subscription, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if sub := s.subs[name]; sub != nil {
		return sub, nil
	}
	return nil, notFound(string(name))
}
