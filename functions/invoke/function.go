package invoke

import (
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
)

func init() { functions.HTTP("invoke", host.FrameworkHTTP(Function())) }

// Function is the deployable.
func Function() host.Function {
	return host.Function{
		Name:    "invoke",
		Trigger: host.HTTP,
		Paths:   []string{"/v1/hooks:invoke", "/callout.v1.HookService/"},
		Needs:   []env.Need{env.Secrets},
		HTTP: func(c *env.Clients) (http.Handler, error) {
			border := api.Border{Guard: c.Guard, Log: c.Log, Limit: auth.NewLimiter(c.Config.RateLimits[auth.LimitInvoke])}
			return border.ServeHooks(operations(c)), nil
		},
	}
}
