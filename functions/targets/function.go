package targets

import (
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
)

func init() { functions.HTTP("targets", host.FrameworkHTTP(Function())) }

// Function is the deployable.
func Function() host.Function {
	return host.Function{
		Name:    "targets",
		Trigger: host.HTTP,
		Paths: []string{
			"/zitadel.action.v2.ActionService/", "/zitadel.action.v2beta.ActionService/",
			"/v2/actions/targets", "/v2/actions/targets/", "/v2beta/actions/targets", "/v2beta/actions/targets/",
		},
		Needs: []env.Need{env.Secrets},
		HTTP: func(c *env.Clients) (http.Handler, error) {
			border := api.Border{Guard: c.Guard, Log: c.Log}
			return border.ServeTargets(&Operations{
				Store: c.Store, Ledger: c.Ledger, Queue: c.Queue, Egress: c.Egress, Log: c.Log, HideSigningKeys: c.Config.HideSigningKeys,
			})
		},
	}
}
