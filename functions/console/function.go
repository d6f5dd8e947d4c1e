package console

import (
	"net/http"
	"strings"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
)

func init() { functions.HTTP("console", host.FrameworkHTTP(Function())) }

// Function is the deployable.
func Function() host.Function {
	return host.Function{
		Name:    "console",
		Trigger: host.HTTP,
		Paths:   []string{"/console", "/console/"},
		Needs:   []env.Need{env.Secrets}, // it seals cookies and sessions
		Pages:   true,
		HTTP: func(c *env.Clients) (http.Handler, error) {
			console := &Console{
				Sessions: c.Store, Sealer: c.Sealer, API: c.API, URL: c.Config.URL, Instance: c.Guard.Instance, Log: c.Log,
				Known: func(host string) bool { _, ok := c.Config.Instances[strings.ToLower(host)]; return ok },
			}
			if c.Party != nil {
				console.Party = c.Party
			}
			return console.Handler()
		},
	}
}
