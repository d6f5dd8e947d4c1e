package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	actionv2beta "github.com/callout-dev/callout/shared/gen/zitadel/action/v2beta"
)

// TestBetaKnowsNoPayloadType: neither one that a client sends all the same, nor that of a target.
func TestBetaKnowsNoPayloadType(t *testing.T) {
	const rest = `"name":"n","restCall":{"interruptOnError":true},"timeout":"1s","endpoint":"https://a"`
	full := read(t, &actionv2.CreateTargetRequest{}, `{`+rest+`,"payloadType":"PAYLOAD_TYPE_JWT"}`)
	wire, err := proto.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	sent := &actionv2beta.CreateTargetRequest{}
	if err := proto.Unmarshal(wire, sent); err != nil {
		t.Fatal(err)
	}
	got := &actionv2.CreateTargetRequest{}
	if err := convert(sent, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(read(t, &actionv2.CreateTargetRequest{}, `{`+rest+`}`), got, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	target := &actionv2beta.Target{}
	if err := convert(read(t, &actionv2.Target{}, `{"id":"t","payloadType":"PAYLOAD_TYPE_JSON"}`), target); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&actionv2beta.Target{Id: "t"}, target, protocmp.Transform()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBetaIsAPartOfV2: each field of v2beta is one of v2 with the same number, name and kind, which the conversion rests on.
func TestBetaIsAPartOfV2(t *testing.T) {
	for _, file := range []protoreflect.FileDescriptor{actionv2beta.File_zitadel_action_v2beta_action_service_proto, actionv2beta.File_zitadel_action_v2beta_query_proto,
		actionv2beta.File_zitadel_action_v2beta_target_proto, actionv2beta.File_zitadel_action_v2beta_execution_proto} {
		for i := range file.Messages().Len() {
			former := file.Messages().Get(i)
			now := messageOfV2(former.Name())
			if now == nil {
				t.Errorf("v2 has no %s", former.Name())
				continue
			}
			for j := range former.Fields().Len() {
				a := former.Fields().Get(j)
				b := now.Fields().ByNumber(a.Number())
				if b == nil || a.Name() != b.Name() || a.Kind() != b.Kind() || a.Cardinality() != b.Cardinality() || a.HasPresence() != b.HasPresence() {
					t.Errorf("%s is not %v", a.FullName(), b)
				}
			}
		}
	}
}

func messageOfV2(name protoreflect.Name) protoreflect.MessageDescriptor {
	for _, file := range []protoreflect.FileDescriptor{actionv2.File_zitadel_action_v2_action_service_proto, actionv2.File_zitadel_action_v2_query_proto,
		actionv2.File_zitadel_action_v2_target_proto, actionv2.File_zitadel_action_v2_execution_proto} {
		if m := file.Messages().ByName(name); m != nil {
			return m
		}
	}
	return nil
}
