// Package invoke is the function that calls targets at a point of a host's request: before it is handled, before it is answered, or inside a
// function.
package invoke

import (
	"context"
	"encoding/json"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/engine"
)

// Messages tells whether a target's answer can be the message that its hook is about.
type Messages interface {
	Check(ctx context.Context, h engine.Hook, answer json.RawMessage) error
}

// Operations are those of api.Hooks.
type Operations struct {
	Messages Messages
	Engine   engine.Engine
}

// Run runs a hook. Where a host has described its messages, no target's answer becomes one that it is not.
func (o *Operations) Run(ctx context.Context, h engine.Hook) (engine.Result, error) {
	if h.Kind != action.Function {
		h.Check = func(answer json.RawMessage) error { return o.Messages.Check(ctx, h, answer) }
	}
	return o.Engine.Run(ctx, h)
}
