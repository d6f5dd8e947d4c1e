package firestore_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	apiv1 "cloud.google.com/go/firestore/apiv1"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	server "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/storage"
)

// ours says whether the suite runs against a server that it started, and so may rely on what only ours does.
var ours = os.Getenv("FIRESTORE_EMULATOR_HOST") == ""

func project() string {
	if p := os.Getenv("FIRESTORE_PROJECT"); p != "" {
		return p
	}
	return "conformance"
}

// database is a server with a client of each kind, and a place in it that no other test uses.
type database struct {
	*firestore.Client
	raw  *apiv1.Client
	name string // projects/…/databases/(default)
	root *firestore.CollectionRef
}

var places atomic.Int64

func start(t testing.TB) *database { return startWith(t, server.Options{History: time.Minute}) }

func startWith(t testing.TB, o server.Options) *database {
	t.Helper()
	conn := dial(t, o)
	ctx := context.Background()
	client, err := firestore.NewClient(ctx, project(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := apiv1.NewClient(ctx, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	place := fmt.Sprintf("place-%d-%d", time.Now().UnixNano(), places.Add(1))
	return &database{client, raw, "projects/" + project() + "/databases/(default)", client.Collection("conformance").Doc(place).Collection("c")}
}

func dial(t testing.TB, o server.Options) *grpc.ClientConn {
	t.Helper()
	if !ours {
		conn, err := grpc.NewClient(os.Getenv("FIRESTORE_EMULATOR_HOST"), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	if o.Store == nil {
		store, err := storage.Open(storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		o.Store = store
	}
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(11 << 20))
	s.Register(g)
	l := memnet.Listen("firestore")
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///firestore", grpc.WithContextDialer(l.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
		grpc.WithInitialWindowSize(1<<16)) // the client, in the same process, would take up to 16 MiB unasked
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		g.Stop()
		<-served
		s.Close()
	})
	return conn
}
