package api_test

import (
	"context"
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/engine"
	"github.com/callout-dev/callout/shared/errs"
)

// describing is a catalogue of one host, with one method. It knows of a new version when it was asked for the types of the old one.
type describing struct {
	version string
	sets    map[string][]byte
	reads   int
}

func (d *describing) Describer(_ context.Context, _ action.InstanceID, method string) (action.HostVersion, bool, error) {
	return action.HostVersion{Host: "a", Version: d.version}, method == "/a.A/M", nil
}

func (d *describing) Types(_ context.Context, _ action.InstanceID, v action.HostVersion) ([]byte, error) {
	d.reads++
	if set, ok := d.sets[v.Version]; ok {
		return set, nil
	}
	for d.version = range d.sets {
	}
	return nil, errs.Newf(errs.NotFound, "replaced")
}

// set describes a.A/M: it takes a message with a field of that name, and gives one with none.
func set(t *testing.T, field string) []byte {
	t.Helper()
	raw, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: new("a.proto"), Package: new("a"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: new("In"), Field: []*descriptorpb.FieldDescriptorProto{{
			Name: new(field), Number: new(int32(1)), Type: new(descriptorpb.FieldDescriptorProto_TYPE_INT64),
		}}}, {Name: new("Out")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("A"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: new("M"), InputType: new(".a.In"), OutputType: new(".a.Out")},
		}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestMessagesOfAHost(t *testing.T) {
	d := &describing{version: "1", sets: map[string][]byte{"1": set(t, "first")}}
	messages := api.NewMessages(d)
	rows := func(field string) {
		t.Helper()
		for _, row := range []struct {
			kind   action.Kind
			method string
			answer string
			ok     bool
		}{
			{action.Request, "/a.A/M", `{}`, true}, {action.Request, "/a.A/M", `{"` + field + `":"9007199254740993"}`, true}, {action.Request, "/a.A/M", `{"other":1}`, false},
			{action.Request, "/a.A/M", `{"` + field + `":{}}`, false}, {action.Request, "/a.A/M", `[]`, false},
			{action.Response, "/a.A/M", `{}`, true}, {action.Response, "/a.A/M", `{"` + field + `":1}`, false}, {action.Request, "/b.B/M", `{"other":1}`, true},
		} {
			err := messages.Check(t.Context(), engine.Hook{Kind: row.kind, FullMethod: row.method}, json.RawMessage(row.answer))
			if (err == nil) != row.ok {
				t.Errorf("%s of %s, %s: %v", row.kind, row.method, row.answer, err)
			}
		}
	}
	rows("first")
	if d.reads != 1 {
		t.Errorf("read %d times", d.reads)
	}
	d.version, d.sets = "2", map[string][]byte{"3": set(t, "third")} // replaced, and again before anybody looked
	rows("third")
}
