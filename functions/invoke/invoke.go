// Package invoke is the function that calls targets at a point of a host's request: before it is handled, before it is answered, or inside a
// function.
package invoke

import (
	"context"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/engine"
)

// Types knows the messages of methods, where a host has described them: nil where none has.
type Types interface {
	Method(ctx context.Context, instance action.InstanceID, fullMethod string) (protoreflect.MethodDescriptor, error)
}

// Operations are those of api.Hooks.
type Operations struct {
	Types  Types
	Engine engine.Engine
}

// Run runs a hook. Where a host has described its messages, no target's answer becomes one that it is not (actions-v2.md section 5.2).
func (o *Operations) Run(ctx context.Context, h engine.Hook) (engine.Result, error) {
	if h.Kind != action.Function {
		h.Check = func(answer json.RawMessage) error { return o.check(ctx, h, answer) }
	}
	return o.Engine.Run(ctx, h)
}

func (o *Operations) check(ctx context.Context, h engine.Hook, answer json.RawMessage) error {
	method, err := o.Types.Method(ctx, h.Instance, h.FullMethod)
	if err != nil || method == nil {
		return err
	}
	message := method.Input()
	if h.Kind == action.Response {
		message = method.Output()
	}
	return protojson.Unmarshal(answer, dynamicpb.NewMessage(message))
}
