package store

import (
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	documents "cloud.google.com/go/firestore/apiv1"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	emulator "github.com/callout-dev/callout/emulator/firestore"
	"github.com/callout-dev/callout/emulator/memnet"
	"github.com/callout-dev/callout/emulator/storage"
	"github.com/callout-dev/callout/infra"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/seal"
)

const here action.InstanceID = "here"

const sealKey = "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// open makes a store on an embedded Firestore that refuses queries without an index.
func open(t testing.TB, hostile *emulator.Hostile) *Store {
	t.Helper()
	kept, err := storage.Open(storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := emulator.ParseIndexes(infra.FirestoreIndexes())
	if err != nil {
		t.Fatal(err)
	}
	server, err := emulator.New(emulator.Options{Store: kept, Indexes: indexes, Strict: true, Hostile: hostile})
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.MaxRecvMsgSize(11 << 20))
	server.Register(g)
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
		server.Close()
		if err := kept.Close(); err != nil {
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
	sealer, err := seal.New(sealKey)
	if err != nil {
		t.Fatal(err)
	}
	return New(high, low, sealer)
}

func newTarget(id action.TargetID) action.Target {
	return action.Target{ID: id, Name: "name of " + string(id), Type: action.Webhook, Timeout: time.Second, Endpoint: "https://192.0.2.1/",
		SigningKeys: []action.SigningKey{{Value: "secret"}}}
}

func (s *Store) mustCreate(t *testing.T, id action.TargetID) action.Target {
	t.Helper()
	created, err := s.CreateTarget(t.Context(), here, newTarget(id))
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func condition(t *testing.T, id action.ExecutionID) action.Condition {
	t.Helper()
	c, err := action.ParseExecutionID(id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
