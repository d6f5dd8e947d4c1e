package publish

import (
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
)

func init() { functions.HTTP("publish", host.FrameworkHTTP(Function())) }

// Function is the deployable.
func Function() host.Function {
	return host.Function{
		Name:    "publish",
		Trigger: host.HTTP,
		Paths:   []string{"/v1/events", "/callout.v1.EventService/"},
		HTTP: func(c *env.Clients) (http.Handler, error) {
			border := api.Border{Guard: c.Guard, Log: c.Log, Limit: auth.NewLimiter(c.Config.RateLimits[auth.LimitPublish])}
			return border.ServeEvents(&Operations{Queue: c.Queue}, Read), nil
		},
	}
}
