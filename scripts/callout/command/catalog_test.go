package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/callout-dev/callout/shared/action"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// write puts a file beside local.json.
func (w *world) write(name string, content []byte) string {
	w.t.Helper()
	path := filepath.Join(w.data, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) descriptors() string {
	w.t.Helper()
	raw, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{
		protodesc.ToFileDescriptorProto(calloutv1.File_callout_v1_catalog_service_proto)}})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.write("set.binpb", raw)
}

func TestCatalog(t *testing.T) {
	inWorld(t, func(w *world) {
		names := w.write("names.json", []byte(`{"events":["order.created"],"functions":["preorder"],"methods":["/a.A/M"]}`))
		if out := w.ok("catalog", "set", "orders", "--names", names); out != "host  orders\nset   2000-01-01T00:00:00Z\n" {
			t.Errorf("printed %q", out)
		}
		want := action.Names{Services: []string{"a.A"}, Methods: []string{"/a.A/M"}, Events: []string{"order.created"}, Functions: []string{"preorder"}}
		if diff := cmp.Diff(want, w.catalog.hosts["orders"].Names); diff != "" {
			t.Errorf("set (-want +got):\n%s", diff)
		}
		if got, want := w.ok("catalog", "list", "--host", "orders"), "KIND      NAME\nservice   a.A\nmethod    /a.A/M\nevent     order.created\nfunction  preorder\n"; got != want {
			t.Errorf("printed %s", got)
		}
		w.ok("catalog", "set", "orders", "--descriptors", w.descriptors())
		wantSaid(t, strings.Join(strings.Fields(w.ok("catalog", "list")), " "), "orders 1 1 3 0 0 2000-01-01T00:00:00Z")
		if r := w.runWith(`{"events":["a.b"]}`, "catalog", "set", "in", "--names", "-"); r.code != 0 || len(w.catalog.hosts["in"].Names.Events) != 1 {
			t.Errorf("from the standard input: %v", r)
		}
		wantSaid(t, w.ok("catalog", "remove", "orders"), "removed  2000-01-01T00:00:00Z")
		wantSaid(t, w.ok("catalog", "remove", "orders"), "it had set no names")
	})
}

func TestCatalogRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		set := func(args ...string) []string { return append([]string{"catalog", "set", "h"}, args...) }
		w.fails(2, set(), "--names, --descriptors or both")
		w.fails(2, []string{"catalog", "set"}, "--help")
		w.fails(1, set("--names", filepath.Join(w.data, "none")), "no such file")
		w.fails(1, set("--names", w.write("a", []byte("names"))), "is not JSON")
		w.fails(1, set("--names", w.write("a", []byte(`{"servces":[]}`))), "servces")
		w.fails(1, set("--names", w.write("a", []byte(`{"host":"other"}`))), "only services, methods, events and functions")
		w.fails(1, set("--names", w.write("a", []byte(`{"methods":["M"]}`))), "methods[0]")
		w.fails(1, set("--descriptors", w.write("a", []byte("set"))), "is not a FileDescriptorSet")
		w.fails(1, []string{"catalog", "set", "a b", "--names", w.write("a", []byte(`{"events":["a"]}`))}, "host:")
		if len(w.catalog.hosts) != 0 {
			t.Errorf("set were %v", w.catalog.hosts)
		}
	})
}
