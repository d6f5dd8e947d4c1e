package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/errs"
)

// maxTypes is how many hosts' message types are kept ready.
const maxTypes = 32

// Catalogues know which hosts have described their messages.
type Catalogues interface {
	// Describer finds the host that has described a method's messages; false where none has.
	Describer(ctx context.Context, instance action.InstanceID, fullMethod string) (action.HostVersion, bool, error)
	// Types gives a host's FileDescriptorSet: NotFound if it was replaced, and then Describer finds the new one.
	Types(ctx context.Context, instance action.InstanceID, v action.HostVersion) ([]byte, error)
}

// Messages tells whether JSON is a message of a method. It may be used by many at once.
type Messages struct {
	catalogues Catalogues
	types      *lru.Cache[typesOf, *protoregistry.Files]
}

// typesOf names a host's message types; the same ones never change.
type typesOf struct {
	instance action.InstanceID
	host     action.HostName
	version  string
}

// NewMessages makes one.
func NewMessages(catalogues Catalogues) *Messages {
	types, err := lru.New[typesOf, *protoregistry.Files](maxTypes)
	if err != nil {
		panic(err) // a size that is not positive
	}
	return &Messages{catalogues: catalogues, types: types}
}

// Check says whether a target's answer can be the message that its hook is about: with a field that the message does not have it cannot
// (actions-v2.md section 5.2). Where no host has described the method, anything can.
func (m *Messages) Check(ctx context.Context, h engine.Hook, answer json.RawMessage) error {
	method, err := m.method(ctx, h)
	if errs.Is(err, errs.NotFound) { // replaced since the last look
		method, err = m.method(ctx, h)
	}
	if err != nil || method == nil {
		return err
	}
	message := method.Input()
	if h.Kind == action.Response {
		message = method.Output()
	}
	return protojson.Unmarshal(answer, dynamicpb.NewMessage(message))
}

func (m *Messages) method(ctx context.Context, h engine.Hook) (protoreflect.MethodDescriptor, error) {
	host, described, err := m.catalogues.Describer(ctx, h.Instance, h.FullMethod)
	if err != nil || !described {
		return nil, err
	}
	files, err := m.files(ctx, h.Instance, host)
	if err != nil {
		return nil, err
	}
	name := strings.ReplaceAll(strings.TrimPrefix(h.FullMethod, "/"), "/", ".")
	found, err := files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("types of host %s: %w", host.Host, err)
	}
	method, _ := found.(protoreflect.MethodDescriptor)
	return method, nil
}

func (m *Messages) files(ctx context.Context, instance action.InstanceID, v action.HostVersion) (*protoregistry.Files, error) {
	key := typesOf{instance, v.Host, v.Version}
	if files, ok := m.types.Get(key); ok {
		return files, nil
	}
	raw, err := m.catalogues.Types(ctx, instance, v)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("types of host %s: %w", v.Host, err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("types of host %s: %w", v.Host, err)
	}
	m.types.Add(key, files)
	return files, nil
}
