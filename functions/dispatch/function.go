package dispatch

import (
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/queue"
)

func init() { functions.CloudEvent("dispatch", host.FrameworkEvent(Function())) }

// Function is the deployable.
func Function() host.Function {
	return host.Function{
		Name:    "dispatch",
		Trigger: host.Event,
		Paths:   []string{"/push/dispatch"},
		Topics:  []string{string(queue.Events)},
		// It waits for nobody but the database: more at once would only keep a processor from those that wait for targets, which then look slow.
		Concurrency: 32,
		Needs:       []env.Need{env.Push},
		Event: func(c *env.Clients) (host.EventFunc, error) {
			d := &Dispatcher{
				Routes: c.Routes, Ledger: c.Ledger, Queue: c.Queue, KeepUnmatched: c.Config.LogUnmatched, Metrics: c.Metrics, Log: c.Log,
			}
			return d.Handle, nil
		},
	}
}
