package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
	"github.com/callout-dev/callout/shared/gen/callout/v1/calloutv1connect"
)

// MaxCatalogBody is how large a request that sets a host's names may be.
const MaxCatalogBody = 8 << 20

// Catalog are the operations of function executions on the catalogue.
type Catalog interface {
	// ListCatalog gives all names and the hosts that have set some, or for a host that is not "" its own names and itself alone.
	ListCatalog(ctx context.Context, caller auth.Caller, host action.HostName) (action.Names, []action.HostNames, error)
	// SetCatalog replaces a host's part and says when it was set: earlier, if it is the same already.
	SetCatalog(ctx context.Context, caller auth.Caller, host action.HostName, part action.HostPart) (time.Time, error)
	// RemoveCatalog removes a host's part and says when: the zero time if it was not there.
	RemoveCatalog(ctx context.Context, caller auth.Caller, host action.HostName) (time.Time, error)
}

// ServeCatalog serves the CatalogService over all protocols.
func (b Border) ServeCatalog(operations Catalog) (http.Handler, error) {
	face := &catalogFace{operations: operations}
	gateway := b.newGateway(true)
	if err := calloutv1.RegisterCatalogServiceHandlerServer(context.Background(), gateway, face); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	path, procedures := calloutv1connect.NewCatalogServiceHandler(face, b.connectOptions(MaxCatalogBody),
		connect.WithCodec(catalogCodec{strictCodec{name: "json"}}), connect.WithCodec(catalogCodec{strictCodec{name: "json; charset=utf-8"}}))
	mux.Handle(path, onlyMethods(calloutv1.CatalogService_ServiceDesc, procedures))
	mux.Handle("/", bounded(MaxCatalogBody, wellTyped(gateway)))
	return b.Authenticated(mux), nil
}

// checkCatalogJSON names the field that is not of its type, which protojson does not. What else is wrong, protojson tells.
func checkCatalogJSON(text []byte) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(text, &fields) != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var wrong error
		var want string
		switch name {
		case "services", "methods", "events", "functions":
			wrong, want = json.Unmarshal(fields[name], new([]string)), "an array of names"
		case "fileDescriptorSet", descriptorField:
			wrong, want = json.Unmarshal(fields[name], new(string)), "base64"
		}
		if wrong != nil {
			return errs.Newf(errs.InvalidArgument, "%s: want %s", name, want)
		}
	}
	return nil
}

// wellTyped checks bodies for the gateway.
func wellTyped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := ReadBody(w, r, MaxCatalogBody)
		if err == nil {
			err = checkCatalogJSON(body)
		}
		if err != nil {
			WriteError(w, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// catalogCodec is Connect's JSON for the catalogue.
type catalogCodec struct{ strictCodec }

func (c catalogCodec) Unmarshal(data []byte, message any) error {
	if err := checkCatalogJSON(data); err != nil {
		return err
	}
	return c.strictCodec.Unmarshal(data, message)
}

type catalogFace struct{ operations Catalog }

func (f *catalogFace) ListCatalog(ctx context.Context, r *calloutv1.ListCatalogRequest) (*calloutv1.ListCatalogResponse, error) {
	caller, err := auth.Require(ctx, auth.CatalogRead)
	if err != nil {
		return nil, err
	}
	names, hosts, err := f.operations.ListCatalog(ctx, caller, action.HostName(r.GetHost()))
	if err != nil {
		return nil, err
	}
	response := &calloutv1.ListCatalogResponse{Services: names.Services, Methods: names.Methods, Events: names.Events, Functions: names.Functions}
	for _, h := range hosts {
		response.Hosts = append(response.Hosts, &calloutv1.CatalogHost{
			Host: string(h.Host), ChangeDate: timestamppb.New(h.Changed), DescribedServices: int32(len(h.Described)),
			Services: int32(len(h.Names.Services)), Methods: int32(len(h.Names.Methods)),
			Events: int32(len(h.Names.Events)), Functions: int32(len(h.Names.Functions)),
		})
	}
	return response, nil
}

func (f *catalogFace) SetCatalog(ctx context.Context, r *calloutv1.SetCatalogRequest) (*calloutv1.SetCatalogResponse, error) {
	caller, err := auth.Require(ctx, auth.CatalogWrite)
	if err != nil {
		return nil, err
	}
	host := action.HostName(r.GetHost())
	if err := host.Validate(); err != nil {
		return nil, err
	}
	part, err := hostPart(r)
	if err != nil {
		return nil, err
	}
	set, err := f.operations.SetCatalog(ctx, caller, host, part)
	if err != nil {
		return nil, err
	}
	return &calloutv1.SetCatalogResponse{SetDate: timestamppb.New(set)}, nil
}

// hostPart checks the lists first, so that an error in them names their field.
func hostPart(r *calloutv1.SetCatalogRequest) (action.HostPart, error) {
	part := action.HostPart{Names: action.Names{
		Services: slices.Clone(r.GetServices()), Methods: slices.Clone(r.GetMethods()), Events: slices.Clone(r.GetEvents()), Functions: slices.Clone(r.GetFunctions()),
	}}
	if len(r.GetFileDescriptorSet()) == 0 {
		return part, part.Validate()
	}
	if err := part.Names.Validate(); err != nil {
		return part, err
	}
	if err := describeHost(&part, r.GetFileDescriptorSet()); err != nil {
		return part, err
	}
	return part, part.Validate()
}

func (f *catalogFace) RemoveCatalog(ctx context.Context, r *calloutv1.RemoveCatalogRequest) (*calloutv1.RemoveCatalogResponse, error) {
	caller, err := auth.Require(ctx, auth.CatalogWrite)
	if err != nil {
		return nil, err
	}
	host := action.HostName(r.GetHost())
	if err := host.Validate(); err != nil {
		return nil, err
	}
	removed, err := f.operations.RemoveCatalog(ctx, caller, host)
	if err != nil || removed.IsZero() {
		return &calloutv1.RemoveCatalogResponse{}, err
	}
	return &calloutv1.RemoveCatalogResponse{DeletionDate: timestamppb.New(removed)}, nil
}
