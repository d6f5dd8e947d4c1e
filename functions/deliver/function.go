package deliver

import (
	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/queue"
)

func init() { functions.CloudEvent("deliver", host.FrameworkEvent(Function())) }

// Function is the deployable. Its second path takes what must not stand in the way of first attempts.
func Function() host.Function {
	return host.Function{
		Name:    "deliver",
		Trigger: host.Event,
		Paths:   []string{"/push/deliver", "/push/deliver-slow"},
		Topics:  []string{string(queue.Deliveries), string(queue.DeliveriesSlow)},
		Needs:   []env.Need{env.Secrets, env.Push},
		Event: func(c *env.Clients) (host.EventFunc, error) {
			d := &Deliverer{
				Routes: c.Routes, Ledger: c.Ledger, Queue: c.Queue, Caller: c.Caller, LogBodies: c.Config.LogBodies, Metrics: c.Metrics, Log: c.Log,
				gate: newGate(), desk: make(desk, places),
			}
			return d.Handle, nil
		},
	}
}
