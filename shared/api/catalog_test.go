package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// fakeCatalog takes every part.
type fakeCatalog struct {
	host action.HostName
	part action.HostPart
}

func (f *fakeCatalog) ListCatalog(context.Context, auth.Caller, action.HostName) (action.Names, []action.HostNames, error) {
	return f.part.Names, nil, nil
}

func (f *fakeCatalog) SetCatalog(_ context.Context, _ auth.Caller, host action.HostName, part action.HostPart) (time.Time, error) {
	f.host, f.part = host, part
	return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), nil
}

func (f *fakeCatalog) RemoveCatalog(context.Context, auth.Caller, action.HostName) (time.Time, error) {
	return time.Time{}, nil
}

func catalogHandler(t testing.TB) (http.Handler, *fakeCatalog) {
	t.Helper()
	fake := &fakeCatalog{}
	h, err := Border{Guard: ownerGuard(t), Log: slog.New(slog.DiscardHandler)}.ServeCatalog(fake)
	if err != nil {
		t.Fatal(err)
	}
	return h, fake
}

// ownSet describes the CatalogService itself. Its import of a google.protobuf file is left out.
func ownSet(t testing.TB, change func(*descriptorpb.FileDescriptorProto)) []byte {
	t.Helper()
	file := protodesc.ToFileDescriptorProto(calloutv1.File_callout_v1_catalog_service_proto)
	file.SourceCodeInfo = &descriptorpb.SourceCodeInfo{Location: []*descriptorpb.SourceCodeInfo_Location{{LeadingComments: new("secret comment")}}}
	if change != nil {
		change(file)
	}
	raw, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestHostIsDescribed(t *testing.T) {
	part, err := hostPart(&calloutv1.SetCatalogRequest{Host: "h", Events: []string{"order.created"}, FileDescriptorSet: ownSet(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(part.Described, []string{"callout.v1.CatalogService"}) || !slices.Equal(part.Names.Services, part.Described) ||
		!slices.Contains(part.Names.Methods, "/callout.v1.CatalogService/SetCatalog") || len(part.Names.Methods) != 3 || len(part.Names.Events) != 1 {
		t.Errorf("got %v %v", part.Names, part.Described)
	}
	if strings.Contains(string(part.Types), "secret comment") {
		t.Error("source info is kept")
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(part.Types, &set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.FindDescriptorByName("callout.v1.SetCatalogRequest"); err != nil {
		t.Error(err)
	}
}

func TestCatalogOverREST(t *testing.T) {
	h, fake := catalogHandler(t)
	body, err := json.Marshal(map[string]any{"methods": []string{"/a.A/M"}, "fileDescriptorSet": base64.StdEncoding.EncodeToString(ownSet(t, nil))})
	if err != nil {
		t.Fatal(err)
	}
	wantJSON(t, send(h, http.MethodPut, "/v1/catalog/orders.acme", string(body)), 200, `{"setDate":"2030-01-01T00:00:00Z"}`)
	if fake.host != "orders.acme" || len(fake.part.Names.Methods) != 4 {
		t.Errorf("set was %s %v", fake.host, fake.part.Names)
	}
	wantJSON(t, send(h, http.MethodDelete, "/v1/catalog/orders.acme", ""), 200, `{}`)
}

func TestCatalogRefusals(t *testing.T) {
	base := func(raw []byte) string {
		return `{"fileDescriptorSet":"` + base64.StdEncoding.EncodeToString(raw) + `"}`
	}
	tests := map[string]struct {
		path, body string
		code       int
		says       string
	}{
		"an unknown field":        {"h", `{"servces":["a.A"]}`, 400, `servces`},
		"a wrong type":            {"h", `{"services":"a.A"}`, 400, "services"},
		"a list with a number":    {"h", `{"events":["a",1]}`, 400, "events: want an array of names"},
		"no JSON":                 {"h", `{"services":["a.A"]`, 400, "not JSON"},
		"two values":              {"h", `{"services":["a.A"]}{}`, 400, "not JSON"},
		"nothing":                 {"h", `{}`, 400, "all are empty"},
		"an empty body":           {"h", ``, 400, "all are empty"},
		"a malformed method":      {"h", `{"methods":["/a.A/M","M"]}`, 400, `methods[1]`},
		"no host name":            {"a%20b", `{"services":["a.A"]}`, 400, "host:"},
		"not base64":              {"h", `{"fileDescriptorSet":"%"}`, 400, "fileDescriptorSet"},
		"no descriptor set":       {"h", base([]byte("hello")), 400, "file_descriptor_set: not a google.protobuf.FileDescriptorSet"},
		"a set without a service": {"h", base(ownSet(t, func(f *descriptorpb.FileDescriptorProto) { f.Service = nil })), 400, "file_descriptor_set: it has no service"},
		"a set that lacks an import": {"h", base(ownSet(t, func(f *descriptorpb.FileDescriptorProto) { f.Dependency = append(f.Dependency, "acme/other.proto") })), 400,
			"could not resolve import \\\"acme/other.proto\\\""},
		"a malformed name beside a set": {"h", strings.TrimSuffix(base(ownSet(t, nil)), "}") + `,"events":["a..b"]}`, 400, "events[0]"},
		"a body over the limit":         {"h", strings.Repeat(" ", MaxCatalogBody+1), 413, "larger than"},
	}
	h, fake := catalogHandler(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := send(h, http.MethodPut, "/v1/catalog/"+tt.path, tt.body)
			said := strings.ReplaceAll(w.Body.String(), "\u00a0", " ") // which protobuf's own errors vary
			if w.Code != tt.code || !strings.Contains(said, tt.says) || w.Body.Len() > 2000 {
				t.Errorf("%d %s, want %d with %s", w.Code, said, tt.code, tt.says)
			}
			if fake.host != "" {
				t.Error("it was set")
			}
		})
	}
}

// FuzzPutCatalog: whatever the body is, it is taken or refused, and what is taken could be a condition.
func FuzzPutCatalog(f *testing.F) {
	f.Add([]byte(`{"services":["a.A"],"methods":["/a.A/M"],"events":["order.created"],"functions":["f"]}`))
	f.Add([]byte(`{"fileDescriptorSet":"` + base64.StdEncoding.EncodeToString(ownSet(f, nil)) + `"}`))
	f.Add([]byte(`{"services":null,"x":1}`))
	h, fake := catalogHandler(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		w := send(h, http.MethodPut, "/v1/catalog/h", string(body))
		switch {
		case w.Code == http.StatusOK:
			if err := fake.part.Names.Validate(); err != nil {
				t.Error(err)
			}
		case w.Code != http.StatusBadRequest:
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzDescriptorSet: what is taken is a whole set again, in which each described service has its methods.
func FuzzDescriptorSet(f *testing.F) {
	f.Add(ownSet(f, nil))
	f.Add([]byte("\x0a\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var part action.HostPart
		if describeHost(&part, raw) != nil {
			return
		}
		var again action.HostPart
		if err := describeHost(&again, part.Types); err != nil || len(again.Described) != len(part.Described) || len(again.Names.Methods) != len(part.Names.Methods) {
			t.Errorf("what was kept is not what was taken: %v", err)
		}
	})
}
