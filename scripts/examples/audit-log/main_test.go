package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/callout-dev/callout/emulator/local/localtest"
	"github.com/callout-dev/callout/scripts/examples/setup"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

func open(t *testing.T, l *localtest.Installation) *setup.Installation {
	t.Helper()
	address, err := setup.Local(l.Data)
	if err != nil {
		t.Fatal(err)
	}
	i, err := setup.Open(t.Context(), address, l.Client)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// wantLogged compares what the entries of a file are about, without their order.
func wantLogged(t *testing.T, file string, want ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range bytes.Lines(text) {
		var e struct {
			Call struct {
				Method string `json:"fullMethod"`
				Event  string `json:"event_type"`
			} `json:"call"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, e.Call.Method+e.Call.Event)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}

// redeliver has every delivery made once more, and sees to it that it is.
func redeliver(t *testing.T, i *setup.Installation, l *localtest.Installation, want int) {
	t.Helper()
	client := &http.Client{Transport: &oauth2.Transport{Source: i.Tokens, Base: l.Client.Transport}}
	deliveries := calloutv1connect.NewDeliveryServiceClient(client, i.API)
	found, err := deliveries.SearchDeliveries(t.Context(), &calloutv1.SearchDeliveriesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.GetDeliveries()) != want {
		t.Errorf("%d deliveries", len(found.GetDeliveries()))
	}
	for _, d := range found.GetDeliveries() {
		if _, err := deliveries.RedeliverDelivery(t.Context(), &calloutv1.RedeliverDeliveryRequest{Id: d.GetId()}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Minute)
	for _, old := range found.GetDeliveries() {
		d, err := deliveries.GetDelivery(t.Context(), &calloutv1.GetDeliveryRequest{Id: old.GetId()})
		if err != nil || d.GetState() != "delivered" || d.GetAttemptCount() != old.GetAttemptCount()+1 {
			t.Errorf("%v, %v", d, err)
		}
	}
}

func TestEverythingIsLoggedOnceAndNobodyWaits(t *testing.T) {
	localtest.Run(t, func(t *testing.T, l *localtest.Installation) {
		e := example{host: "127.0.0.1:9121", target: "127.0.0.1:9122", file: filepath.Join(t.TempDir(), "audit.jsonl")}
		i := open(t, l)
		program, err := e.start(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		l.Serve(t, e.host, program.Serves[e.host])
		call := func(method string) {
			t.Helper()
			began := time.Now()
			response, err := l.Client.Post("http://"+e.host+method, "application/json", strings.NewReader(`{"userName":"kim"}`))
			if err != nil {
				t.Fatal(err)
			}
			if response.Body.Close(); response.StatusCode != http.StatusNoContent || time.Since(began) > 100*time.Millisecond {
				t.Errorf("%s: %d after %s", method, response.StatusCode, time.Since(began))
			}
		}

		t.Log("the target hangs, and nobody waits for it")
		called, hang := make(chan bool, 100), make(chan bool)
		stop := l.Serve(t, e.target, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			called <- true
			<-hang
		}))
		call(addUser)
		call(login)
		for range 4 {
			<-called
		}
		stop()
		close(hang)

		t.Log("it works, and gets what it has missed")
		stop = l.Serve(t, e.target, program.Serves[e.target])
		time.Sleep(10 * time.Minute)
		all := []string{addUser, "user.human.added", "user.created", "login.succeeded"}
		wantLogged(t, e.file, all...)

		t.Log("it is told everything again")
		redeliver(t, i, l, len(all))
		wantLogged(t, e.file, all...)

		t.Log("it is told everything again after a crash that has torn the last line")
		stop()
		text, err := os.ReadFile(e.file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(e.file, text[:len(text)-20], 0o600); err != nil {
			t.Fatal(err)
		}
		if program, err = e.start(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		l.Serve(t, e.target, program.Serves[e.target])
		redeliver(t, i, l, len(all))
		wantLogged(t, e.file, all...)
	})
}

// TestTheCatalogueKnowsUserCreated from the host alone.
func TestTheCatalogueKnowsUserCreated(t *testing.T) {
	localtest.Run(t, func(t *testing.T, l *localtest.Installation) {
		i := open(t, l)
		target, err := i.Target(t.Context(), &actionv2.CreateTargetRequest{
			Name: "any", Endpoint: "http://127.0.0.1:9122/", Timeout: durationpb.New(time.Second),
			TargetType: &actionv2.CreateTargetRequest_RestAsync{RestAsync: &actionv2.RESTAsync{}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := i.On(t.Context(), target.ID, setup.Event("user.created")); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("before: %v", err)
		}
		if err := i.Events(t.Context(), "audit-log", "user.created"); err != nil {
			t.Fatal(err)
		}
		if err := i.On(t.Context(), target.ID, setup.Event("user.created")); err != nil {
			t.Errorf("after: %v", err)
		}
	})
}
