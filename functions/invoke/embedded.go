package invoke

import (
	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/env"
)

// Embedded runs hooks in the process of a host that has opened clients of its own: an Engine for package shared/hook, for one instance.
func Embedded(c *env.Clients, instance action.InstanceID) api.Embedded {
	return api.Embedded{Operations: operations(c), Instance: instance}
}

func operations(c *env.Clients) *Operations {
	return &Operations{
		Messages: api.NewMessages(c.Catalogues),
		Engine: engine.Engine{
			Routes: c.Routes, Caller: c.Caller, Queue: c.Queue.PublishAddressed, Headers: c.Config.ForwardHeaders, Metrics: c.Metrics, Log: c.Log,
		},
	}
}
