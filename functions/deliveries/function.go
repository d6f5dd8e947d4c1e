package deliveries

import (
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/ledger"
)

func init() { functions.HTTP("deliveries", host.FrameworkHTTP(Function())) }

// Function is the deployable.
func Function() host.Function {
	return host.Function{
		Name:    "deliveries",
		Trigger: host.HTTP,
		Paths: []string{
			"/v1/deliveries", "/v1/deliveries/", "/v1/deliveries:redeliver", "/v1/events/", "/v1/targets", "/v1/targets/",
			"/callout.v1.DeliveryService/",
		},
		HTTP: func(c *env.Clients) (http.Handler, error) {
			border := api.Border{Guard: c.Guard, Log: c.Log}
			return border.ServeDeliveries(&Operations{
				Log: c.Ledger, Changer: c.Ledger, Valves: c.Ledger, Configuration: c.Store, Queue: c.Queue,
				Rules: Rules{
					Schedule: ledger.Schedule(c.Config.RetrySchedule), Retention: c.Config.Retention,
					KeepUnmatched: c.Config.LogUnmatched, Shards: c.Config.Shards,
				},
				Logger: c.Log,
			})
		},
	}
}
