package ledger_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	firestore "cloud.google.com/go/firestore/apiv1"
	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	server "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/infra"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
)

const databaseName = "projects/p/databases/(default)"

// database is an embedded one with production's indexes, that refuses what production would refuse.
type database struct {
	*ledger.Ledger
	client *firestore.Client
	// commit stands between the client and each commit, if a test sets it.
	commit func(invoke func() error) error
}

// withDatabase runs a test in a bubble: its clock stands before all times of the tests, so nothing expires unless a test says so.
func withDatabase(test func(*testing.T, *database)) func(*testing.T) {
	return func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, openDatabase(t)) })
	}
}

func openDatabase(t *testing.T) *database {
	t.Helper()
	store, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := server.ParseIndexes(infra.FirestoreIndexes())
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Store: store, Indexes: indexes, Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(11 << 20))
	s.Register(g)
	l := memnet.Listen("firestore")
	served := make(chan struct{})
	go func() { defer close(served); _ = g.Serve(l) }()
	d := &database{}
	conn, err := grpc.NewClient("passthrough:///firestore", grpc.WithContextDialer(l.DialAddr), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(d.intercept))
	if err != nil {
		t.Fatal(err)
	}
	d.client, err = firestore.NewClient(context.Background(), option.WithGRPCConn(conn), option.WithTelemetryDisabled())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.client.Close()
		g.Stop()
		<-served
		s.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	d.Ledger = ledger.New(d.client, databaseName, rules(time.Second), logging.Discard())
	return d
}

func (d *database) intercept(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoker grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	invoke := func() error { return invoker(ctx, method, request, reply, conn, options...) }
	if _, commits := request.(*firestorepb.CommitRequest); commits && d.commit != nil {
		return d.commit(invoke)
	}
	return invoke()
}

// put writes documents, by their path below the instance "default", as they stand in the database.
func (d *database) put(t *testing.T, documents map[string]map[string]any) {
	t.Helper()
	var writes []*firestorepb.Write
	for path, fields := range documents {
		doc := &firestorepb.Document{Name: databaseName + "/documents/instances/default/" + path, Fields: map[string]*firestorepb.Value{}}
		for name, v := range fields {
			doc.Fields[name] = stored(t, v)
		}
		writes = append(writes, &firestorepb.Write{Operation: &firestorepb.Write_Update{Update: doc}})
	}
	for len(writes) > 0 {
		n := min(len(writes), 400)
		if _, err := d.client.Commit(t.Context(), &firestorepb.CommitRequest{Database: databaseName, Writes: writes[:n]}); err != nil {
			t.Fatal(err)
		}
		writes = writes[n:]
	}
}
