package api

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	// Registered, for sets that leave out what every protobuf library has.
	_ "google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

const descriptorField = "file_descriptor_set"

// describeHost adds the services and methods of a FileDescriptorSet to a part, and keeps the set for their message types: without source
// info, and with google.protobuf's own files where it leaves them out. InvalidArgument if it is none, or not whole.
func describeHost(part *action.HostPart, raw []byte) error {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(raw, &set); err != nil {
		return errs.Newf(errs.InvalidArgument, "%s: not a google.protobuf.FileDescriptorSet", descriptorField).Because(err)
	}
	for _, f := range set.File {
		f.SourceCodeInfo = nil
	}
	complete(&set)
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return errs.Newf(errs.InvalidArgument, "%s: %v; it must hold all imports, as protoc --include_imports and buf build write it", descriptorField, err)
	}
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			name := string(service.FullName())
			part.Names.Services = append(part.Names.Services, name)
			part.Described = append(part.Described, name)
			for j := range service.Methods().Len() {
				part.Names.Methods = append(part.Names.Methods, "/"+name+"/"+string(service.Methods().Get(j).Name()))
			}
		}
		return true
	})
	if len(part.Described) == 0 {
		return errs.Newf(errs.InvalidArgument, "%s: it has no service", descriptorField)
	}
	if part.Types, err = (proto.MarshalOptions{Deterministic: true}).Marshal(&set); err != nil {
		return errs.Newf(errs.InvalidArgument, "%s: it cannot be written again", descriptorField).Because(err)
	}
	return nil
}

// complete adds the files of google.protobuf that are imported and not there.
func complete(set *descriptorpb.FileDescriptorSet) {
	there := map[string]bool{}
	for _, f := range set.File {
		there[f.GetName()] = true
	}
	for i := 0; i < len(set.File); i++ { // grows
		for _, name := range set.File[i].GetDependency() {
			known, err := protoregistry.GlobalFiles.FindFileByPath(name)
			if there[name] || err != nil || known.Package() != "google.protobuf" {
				continue
			}
			there[name] = true
			set.File = append(set.File, protodesc.ToFileDescriptorProto(known))
		}
	}
}
