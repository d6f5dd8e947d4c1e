package sweep

import (
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/queue"
)

func init() { functions.CloudEvent("sweep", host.FrameworkEvent(Function())) }

// Function is the deployable.
func Function() host.Function {
	return host.Function{
		Name:    "sweep",
		Trigger: host.Event,
		Paths:   []string{"/push/sweep"},
		Topics:  []string{string(queue.Ticks)},
		Needs:   []env.Need{env.Push, env.Secrets}, // it makes web keys, and seals them
		Event: func(c *env.Clients) (host.EventFunc, error) {
			s := &Sweeper{
				Routes: c.Routes, Ledger: c.Ledger, Queue: c.Queue, Outbox: c.Store, Removals: c.Store, WebKeys: c.Store,
				Stopping: c.Stopping, Metrics: c.Metrics, Log: c.Log,
			}
			return s.Handle, nil
		},
	}
}
