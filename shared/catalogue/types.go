package catalogue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	lru "github.com/hashicorp/golang-lru/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// maxTypes is how many hosts' message types are kept ready.
const maxTypes = 32

// typesOf names a host's message types; the same ones never change.
type typesOf struct {
	instance action.InstanceID
	host     action.HostName
	version  string
}

func newTypes() *lru.Cache[typesOf, *protoregistry.Files] {
	types, err := lru.New[typesOf, *protoregistry.Files](maxTypes)
	if err != nil {
		panic(err) // a size that is not positive
	}
	return types
}

// Method gives the description of a method: nil where no host has given one. FullMethod is /package.Service/Method.
func (k *Keeper) Method(ctx context.Context, instance action.InstanceID, fullMethod string) (protoreflect.MethodDescriptor, error) {
	method, err := k.method(ctx, instance, fullMethod)
	if errs.Is(err, errs.NotFound) { // replaced since the last look
		k.Forget(action.Change{Instance: instance, Kind: action.ChangeCatalogue})
		method, err = k.method(ctx, instance, fullMethod)
	}
	return method, err
}

func (k *Keeper) method(ctx context.Context, instance action.InstanceID, fullMethod string) (protoreflect.MethodDescriptor, error) {
	service, name, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	view, err := k.Of(ctx, instance)
	if err != nil {
		return nil, err
	}
	for _, h := range view.Hosts {
		_, described := slices.BinarySearch(h.Described, service)
		_, has := slices.BinarySearch(h.Names.Methods, fullMethod)
		if !described || !has {
			continue
		}
		files, err := k.files(ctx, instance, h.HostVersion)
		if err != nil {
			return nil, err
		}
		found, err := files.FindDescriptorByName(protoreflect.FullName(service + "." + name))
		if err != nil {
			return nil, fmt.Errorf("types of host %s: %w", h.Host, err)
		}
		method, _ := found.(protoreflect.MethodDescriptor)
		return method, nil
	}
	return nil, nil
}

func (k *Keeper) files(ctx context.Context, instance action.InstanceID, v action.HostVersion) (*protoregistry.Files, error) {
	key := typesOf{instance, v.Host, v.Version}
	if files, ok := k.types.Get(key); ok {
		return files, nil
	}
	raw, err := k.hosts.HostTypes(ctx, instance, v)
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
	k.types.Add(key, files)
	return files, nil
}
