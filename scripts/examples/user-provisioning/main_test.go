package main

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/callout-dev/callout/emulator/local/localtest"
	"github.com/callout-dev/callout/scripts/examples/setup"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// lossy breaks off the answers of a handler, after it has done what it was asked for, while it is on.
type lossy struct {
	http.Handler
	on atomic.Bool
}

func (l *lossy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.Handler.ServeHTTP(w, r)
	if l.on.Load() {
		panic(http.ErrAbortHandler)
	}
}

func TestEveryUserGetsOneAccount(t *testing.T) {
	localtest.Run(t, func(t *testing.T, l *localtest.Installation) {
		e := example{host: "127.0.0.1:9131", target: "127.0.0.1:9132", directory: "127.0.0.1:9133"}
		address, err := setup.Local(l.Data)
		if err != nil {
			t.Fatal(err)
		}
		i, err := setup.Open(t.Context(), address, l.Client)
		if err != nil {
			t.Fatal(err)
		}
		program, err := e.start(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		directory := &lossy{Handler: program.Serves[e.directory]}
		l.Serve(t, e.directory, directory)
		l.Serve(t, e.host, program.Serves[e.host])
		stop := l.Serve(t, e.target, program.Serves[e.target])
		do := func(method, url, body string) string {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+url, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			response, err := l.Client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			text, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode >= 300 {
				t.Fatalf("%s: %s %s, %v", url, response.Status, text, err)
			}
			return string(text)
		}
		add := func(name string) { do("POST", e.host+"/users", `{"userName":"`+name+`"}`) }
		wantAccounts := func(want ...string) {
			t.Helper()
			var got []string
			for line := range strings.Lines(do("GET", e.directory+"/accounts", "")) {
				_, name, _ := strings.Cut(line, `"userName":`)
				got = append(got, strings.Trim(name, "\"}\n"))
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
		}

		add("kim")
		time.Sleep(time.Second)
		wantAccounts("kim")

		t.Log("the host is asked again for the same user")
		add("kim")
		time.Sleep(time.Minute)
		wantAccounts("kim")

		t.Log("the other system is away for ten minutes")
		do("POST", e.directory+"/away", "")
		add("lee")
		time.Sleep(10 * time.Minute)
		wantAccounts("kim")
		do("POST", e.directory+"/back", "")
		time.Sleep(10 * time.Minute)
		wantAccounts("kim", "lee")

		t.Log("the target is away")
		stop()
		add("max")
		time.Sleep(time.Minute)
		wantAccounts("kim", "lee")
		l.Serve(t, e.target, program.Serves[e.target])
		time.Sleep(10 * time.Minute)
		wantAccounts("kim", "lee", "max")

		t.Log("the other system does what it is asked for, and its answers are lost")
		directory.on.Store(true)
		add("noa")
		time.Sleep(time.Minute)
		directory.on.Store(false)
		time.Sleep(10 * time.Minute)
		wantAccounts("kim", "lee", "max", "noa")

		t.Log("everything is delivered again")
		client := &http.Client{Transport: &oauth2.Transport{Source: i.Tokens, Base: l.Client.Transport}}
		deliveries := calloutv1connect.NewDeliveryServiceClient(client, i.API)
		found, err := deliveries.SearchDeliveries(t.Context(), &calloutv1.SearchDeliveriesRequest{})
		if err != nil || len(found.GetDeliveries()) != 4 {
			t.Fatalf("%v, %v", found, err)
		}
		for _, d := range found.GetDeliveries() {
			if d.GetState() != "delivered" {
				t.Errorf("%v", d)
			}
			if _, err := deliveries.RedeliverDelivery(t.Context(), &calloutv1.RedeliverDeliveryRequest{Id: d.GetId()}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		wantAccounts("kim", "lee", "max", "noa")
	})
}
