package keys

import (
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
)

func init() { functions.HTTP("keys", host.FrameworkHTTP(Function())) }

// Function is the deployable.
func Function() host.Function {
	return host.Function{
		Name:    "keys",
		Trigger: host.HTTP,
		Paths:   []string{api.PathKeySet, api.PathDiscovery, "/v1/keys:rotate", "/callout.v1.KeyService/"},
		Needs:   []env.Need{env.Secrets}, // it makes keys, and seals them
		HTTP: func(c *env.Clients) (http.Handler, error) {
			border := api.Border{Guard: c.Guard, Log: c.Log}
			return border.ServeKeys(&Operations{Published: c.Keys, Rotation: c.Store, Instance: c.Guard.Instance, Log: c.Log})
		},
	}
}
