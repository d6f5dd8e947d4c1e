// Package local is Callout on one machine: the ground (Firestore, Pub/Sub and an OIDC issuer on one durable store) and the functions, in
// one process. The main program and the end-to-end tests use it alike.
package local

import (
	"context"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc"

	"github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/pubsub"
	"github.com/callout-dev/callout/shared/telemetry"
)

// What an installation on one machine calls things.
const (
	Project      = "callout-local"
	Audience     = "callout"
	PushAudience = "callout-push"
	PushAccount  = "pubsub@callout.local"
)

// DefaultEgressAllow is what targets may reach besides public addresses: this machine.
const DefaultEgressAllow = "127.0.0.0/8,::1/128"

// Config says where an installation listens and where its data is (callout.md section 1).
type Config struct {
	// Listen, Firestore, PubSub and Issuer are addresses, HOST:PORT; port 0 picks one. The last three may be empty: then that service
	// opens no port, and this process alone reaches it.
	Listen, Firestore, PubSub, Issuer string
	// Data is the folder of all durable state; empty keeps everything in memory.
	Data string
	// EgressAllow lists addresses that targets may have besides public ones.
	EgressAllow string
	// Functions is the base URL of functions in other processes; empty runs them here.
	Functions string
	// History is how long old versions of documents are kept.
	History time.Duration
	// Environ holds variables, as os.Environ has them; those that name services are not heeded.
	Environ []string
	Log     *slog.Logger

	// For tests: how to listen, how to reach targets, and ready-made keys. Nil means the ordinary way.
	NewListener func(address string) (net.Listener, error)
	Targets     *http.Client
	NewKey      func() (*rsa.PrivateKey, error)
	// DialPush is how pushes reach functions in other processes.
	DialPush  func(ctx context.Context, network, address string) (net.Conn, error)
	Telemetry *telemetry.Telemetry
	// Also for tests: what stands between the functions of this process and their two services, and how these two misbehave.
	Dial             []grpc.DialOption
	HostileFirestore *firestore.Hostile
	HostilePubSub    *pubsub.Hostile
	// MemTableBytes is as in storage.Options.
	MemTableBytes uint64
}

// check refuses what would only fail later.
func (c Config) check() error {
	if c.History < 0 {
		return errors.New("-history must not be negative")
	}
	if c.Functions == "" {
		return nil
	}
	if u, err := url.Parse(c.Functions); err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("-functions must be a base URL like http://127.0.0.1:9000")
	}
	return nil
}

func (c Config) listen(address string) (net.Listener, error) {
	if c.NewListener != nil {
		return c.NewListener(address)
	}
	return net.Listen("tcp", address)
}
