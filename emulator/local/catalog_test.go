package local_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/callout-dev/callout/emulator/local"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

const catalogService = "callout.v1.CatalogService"

// catalogREST is what the CatalogService's methods are over REST.
func (i *installation) catalogREST(t *testing.T, h header, method, request string) said {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(request), &fields); err != nil {
		t.Fatal(request, err)
	}
	host, _ := fields["host"].(string)
	delete(fields, "host")
	verb, path, body := http.MethodPut, "/v1/catalog/"+host, []byte(nil)
	switch method {
	case "ListCatalog":
		verb, path = http.MethodGet, "/v1/catalog?host="+host
	case "RemoveCatalog":
		verb = http.MethodDelete
	default:
		body, _ = json.Marshal(fields)
	}
	response, answer := i.post(t, verb, path, h, "application/json", body)
	return saidByREST(t, response, answer)
}

// catalogFaces are the service's protocols.
func (i *installation) catalogFaces(t *testing.T) []face {
	return append([]face{{"REST", "v1", i.catalogREST}}, i.procedures(t, catalogService, "v1")...)
}

func texts(values any) (all []string) {
	elements, _ := values.([]any)
	for _, e := range elements {
		all = append(all, e.(string))
	}
	return all
}

// TestCatalogLife: names that a host sets may be conditions from then on, and are listed, sorted; what it no longer sets may not.
func TestCatalogLife(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, i *installation) {
		token, viewer, nobody := i.token(t, "admin"), i.token(t, "viewer"), i.token(t, "nobody")
		actions := i.faces(t)[0]
		target := actions.do(t, token, "CreateTarget", `{"name":"t","restWebhook":{},"timeout":"5s","endpoint":"`+endpoint()+`"}`)["id"].(string)
		setFunction := `{"condition":{"function":{"name":"preorder"}},"targets":["` + target + `"]}`
		for _, f := range i.catalogFaces(t) {
			if refused := actions.call(t, token, "SetExecution", setFunction); !strings.Contains(refused.json, "PUT /v1/catalog/{host}") {
				t.Errorf("%s: the refusal does not name the way out: %s", f, refused.json)
			}
			f.do(t, token, "SetCatalog", `{"host":"shop","functions":["preorder","after"],"methods":["/acme.v1.Orders/Create"],"events":["order.created"]}`)
			actions.do(t, token, "SetExecution", setFunction)
			actions.do(t, token, "SetExecution", strings.Replace(setFunction, `"targets"`, `"was"`, 1)) // removes it

			all := f.do(t, viewer, "ListCatalog", `{}`)
			methods := texts(actions.do(t, nobody, "ListExecutionMethods", `{}`)["methods"])
			services := texts(actions.do(t, nobody, "ListExecutionServices", `{}`)["services"])
			functions := texts(actions.do(t, nobody, "ListExecutionFunctions", `{}`)["functions"])
			want(t, f, "methods", texts(all["methods"]), methods)
			want(t, f, "services", texts(all["services"]), services)
			want(t, f, "functions", texts(all["functions"]), functions)
			if !slices.IsSorted(methods) || !slices.Contains(methods, "/acme.v1.Orders/Create") || !slices.Contains(services, "acme.v1.Orders") || !slices.IsSorted(functions) {
				t.Errorf("%s: the lists are %v %v", f, services, functions)
			}
			hosts := list(all, "hosts")
			want(t, f, "hosts", "shop 2 1 1 1", strings.Join([]string{column(hosts, "host"), column(hosts, "functions"), column(hosts, "methods"), column(hosts, "services"), column(hosts, "events")}, " "))
			want(t, f, "the host's own", []string{"after", "preorder"}, texts(f.do(t, viewer, "ListCatalog", `{"host":"shop"}`)["functions"]))

			typo := strings.Replace(setFunction, `{"function":{"name":"preorder"}}`, `{"event":{"event":"order.creatd"}}`, 1)
			want(t, f, "a typo in a namespace that is known now", codes.NotFound, actions.call(t, token, "SetExecution", typo).code)

			first := f.do(t, token, "SetCatalog", `{"host":"shop","events":["order.created"]}`)
			want(t, f, "the same again", first, f.do(t, token, "SetCatalog", `{"host":"shop","events":["order.created"]}`))
			want(t, f, "a function of before", codes.NotFound, actions.call(t, token, "SetExecution", setFunction).code)

			for what, refused := range map[string]said{
				"a viewer":          f.call(t, viewer, "SetCatalog", `{"host":"shop","events":["a"]}`),
				"a viewer, removal": f.call(t, viewer, "RemoveCatalog", `{"host":"shop"}`),
			} {
				want(t, f, what, codes.PermissionDenied, refused.code)
			}
			want(t, f, "nobody", codes.NotFound, f.call(t, nobody, "ListCatalog", `{}`).code)
			want(t, f, "without a token", codes.Unauthenticated, f.call(t, "", "ListCatalog", `{}`).code)
			want(t, f, "an unknown host", codes.NotFound, f.call(t, token, "ListCatalog", `{"host":"other"}`).code)
			malformed := f.call(t, token, "SetCatalog", `{"host":"shop","methods":["/a.A/M","M"]}`)
			want(t, f, "a malformed method", codes.InvalidArgument, malformed.code)
			if !strings.Contains(malformed.json, "methods[1]") {
				t.Errorf("%s: the refusal does not name the field: %s", f, malformed.json)
			}

			if f.do(t, token, "RemoveCatalog", `{"host":"shop"}`)["deletionDate"] == nil {
				t.Errorf("%s: no date of removal", f)
			}
			want(t, f, "removed already", map[string]any{}, f.do(t, token, "RemoveCatalog", `{"host":"shop"}`))
			actions.do(t, token, "SetExecution", strings.Replace(typo, `"targets"`, `"was"`, 1)) // the namespace is new again
		}
	})
}

// TestCatalogBySet: a set of file descriptors of some MiB is taken, and the catalogue is that of one instance.
func TestCatalogBySet(t *testing.T) {
	instances := func(c *local.Config) { c.Environ = []string{"CALLOUT_INSTANCES=a.example=a", "CALLOUT_CATALOG=strict"} }
	inBubble(t, instances, func(t *testing.T, i *installation) {
		at := func(host string) tenant {
			return tenant{t, i, map[string]string{"authorization": "Bearer " + i.token(t, "admin"), "Host": host}}
		}
		file := protodesc.ToFileDescriptorProto(calloutv1.File_callout_v1_event_service_proto)
		file.Package, file.Options = new("acme.v1"), &descriptorpb.FileOptions{JavaPackage: new(strings.Repeat("x", 3<<20))}
		file.Service[0].Method[0].InputType, file.Service[0].Method[0].OutputType = new(".acme.v1.PublishRequest"), new(".acme.v1.PublishResponse")
		file.MessageType[0].Field[0].TypeName = new(".acme.v1.Event")
		raw, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}})
		if err != nil {
			t.Fatal(err)
		}
		owner, procedure := at("a.example"), "/"+catalogService+"/"
		owner.must(procedure+"SetCatalog", map[string]any{"host": "h", "fileDescriptorSet": raw})
		condition := map[string]any{"condition": map[string]any{"request": map[string]any{"method": "/acme.v1.EventService/Publish"}}}
		owner.must("/zitadel.action.v2.ActionService/SetExecution", condition)
		if status, text := at("b.example").call("/zitadel.action.v2.ActionService/SetExecution", condition); status != http.StatusNotFound {
			t.Errorf("another instance: %d %s", status, text)
		}
		if hosts := list(owner.must(procedure+"ListCatalog", nil), "hosts"); column(hosts, "describedServices") != "1" {
			t.Errorf("hosts are %v", hosts)
		}
	})
}
