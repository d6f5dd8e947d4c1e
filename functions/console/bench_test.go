package console_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/callout-dev/callout/emulator/local"
	"github.com/callout-dev/callout/emulator/local/localtest"
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/ledger"
	"github.com/callout-dev/callout/shared/logging"
)

// BenchmarkPages asks for each page while 100,000 deliveries are on record, all of the last hour. It reports: how fast is the machine's matter
// too, and the aim is less than 50 ms.
func BenchmarkPages(b *testing.B) {
	const free, targets, events = "127.0.0.1:0", 100, 1000
	l, err := local.Start(b.Context(), local.Config{
		Listen: free, Firestore: free, Issuer: free, Data: b.TempDir(), EgressAllow: local.DefaultEgressAllow, Log: logging.Discard(),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close(context.Background()) })
	browser := localtest.NewBrowser(http.DefaultClient)
	if page := browser.SignIn(b, l.Info.API, "/console/", "admin", l.Info.Clients["admin"].Secret); page.Status != http.StatusOK {
		b.Fatal(page.Status, page.Body)
	}
	var ids []action.TargetID
	for i := range targets {
		page := browser.Post(b, l.Info.API+"/console/targets/new", form([]string{"name", fmt.Sprintf("target %03d", i),
			"endpoint", "http://127.0.0.1:9/", "timeout", "5s", "kind", "webhook", "payload", "json"}))
		ids = append(ids, action.TargetID(strings.TrimPrefix(page.URL.Path, "/console/targets/")))
	}
	last := fill(b, l, ids, events)
	for _, path := range []string{
		"/console/", "/console/targets", "/console/targets/" + string(ids[0]), "/console/executions", "/console/executions/new?q=user",
		"/console/executions/edit?condition=event", "/console/deliveries", "/console/deliveries?state=dead",
		"/console/deliveries?type=order.created",
		"/console/deliveries?target=" + string(ids[0]) + "&state=delivered", "/console/deliveries/" + string(last), "/console/explain?id=e-0",
		"/console/try",
	} {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "/console"), "?")
		b.Run(strings.NewReplacer(string(ids[0]), "ID", string(last), "ID").Replace(name)+" "+path[len("/console")+len(name):],
			func(b *testing.B) {
				for b.Loop() {
					if page := browser.Get(b, l.Info.API+path); page.Status != http.StatusOK {
						b.Fatal(page.Status, page.Body)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/page")
			})
	}
}

// fill records finished deliveries of events to all these targets, and gives the id of one.
func fill(b *testing.B, l *local.Local, targets []action.TargetID, events int) (last action.DeliveryID) {
	b.Helper()
	config, err := env.Read([]string{"GOOGLE_CLOUD_PROJECT=" + l.Info.Project, "FIRESTORE_EMULATOR_HOST=" + l.Info.Firestore})
	if err != nil {
		b.Fatal(err)
	}
	clients, err := env.OpenDatabase(b.Context(), config, env.Network{}, logging.Discard())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = clients.Close() }()
	now := time.Now().UTC().Truncate(time.Microsecond)
	for i := range events {
		at := now.Add(-time.Duration(events-i) * 3 * time.Second)
		event := ledger.Event{Instance: action.DefaultInstance, ID: action.EventID(fmt.Sprint("e-", i)), Type: "order.created",
			Body:    []byte(`{"n":1}`),
			Targets: targets, Created: at, Expires: now.Add(240 * time.Hour)}
		var all []action.Delivery
		for k, target := range targets {
			d := action.Delivery{ID: action.DeliveryOf(event.Key(), target), Instance: event.Instance, Event: event.Key(), Target: target,
				EventType: event.Type,
				State:     action.Delivered, Created: at, Changed: at, Expires: event.Expires,
				Attempts: []action.Attempt{{Number: 1, Start: at, Took: time.Duration(k) * time.Millisecond, Status: 200, Outcome: action.Success,
					Answer: "ok"}}}
			if k%10 == 0 {
				d.State, d.Attempts[0].Status, d.Attempts[0].Outcome, d.Attempts[0].Error = action.Dead, 500, action.Failed, action.ErrorStatus
			}
			all, last = append(all, d), d.ID
		}
		if err := clients.Ledger.Accept(b.Context(), event, all, false); err != nil {
			b.Fatal(err)
		}
	}
	return last
}
