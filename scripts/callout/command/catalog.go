package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

// maxCatalogFile bounds what is read of a file: source info, which is not sent, may be most of it.
const maxCatalogFile = 64 << 20

func (a *app) catalogList() *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the hosts that have set names, or the names of one",
		Long:  "List the hosts that have set names, or the names of one. With -o json, all names, the built-in ones among them.",
		Example: `  callout catalog list
  callout catalog list --host orders`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error { return a.listCatalog(ctx, host) }),
	}
	cmd.Flags().StringVar(&host, "host", "", "the names that this host has set")
	return cmd
}

func (a *app) listCatalog(ctx context.Context, host string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	answer, err := c.catalog.ListCatalog(ctx, &calloutv1.ListCatalogRequest{Host: host})
	if err != nil {
		return err
	}
	if host != "" {
		rows := [][]string{{"KIND", "NAME"}}
		for _, list := range []struct {
			kind  string
			names []string
		}{{"service", answer.GetServices()}, {"method", answer.GetMethods()}, {"event", answer.GetEvents()}, {"function", answer.GetFunctions()}} {
			for _, name := range list.names {
				rows = append(rows, []string{list.kind, name})
			}
		}
		return a.show(answer, rows)
	}
	rows := [][]string{{"HOST", "SERVICES", "DESCRIBED", "METHODS", "EVENTS", "FUNCTIONS", "CHANGED"}}
	for _, h := range answer.GetHosts() {
		row := []string{h.GetHost()}
		for _, n := range []int32{h.GetServices(), h.GetDescribedServices(), h.GetMethods(), h.GetEvents(), h.GetFunctions()} {
			row = append(row, strconv.Itoa(int(n)))
		}
		rows = append(rows, append(row, moment(h.GetChangeDate())))
	}
	return a.show(answer, rows)
}

// catalogFiles are what a host's names come from.
type catalogFiles struct{ names, descriptors string }

func (a *app) catalogSet() *cobra.Command {
	var files catalogFiles
	cmd := &cobra.Command{
		Use:   "set HOST",
		Short: "Replace a host's names by those of a file, a set of file descriptors, or both",
		Long: `Replace a host's names by those of a file, a set of file descriptors, or both.

The file of names is JSON: {"services":[],"methods":[],"events":[],"functions":[]}, each of which may be absent; "-" is the standard input.
The descriptors are what protoc --include_imports --descriptor_set_out=FILE or buf build -o FILE.binpb writes.`,
		Example: `  callout catalog set orders --names names.json
  callout catalog set orders --descriptors orders.binpb`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error { return a.setCatalog(ctx, args[0], files) }),
	}
	cmd.Flags().StringVar(&files.names, "names", "", "JSON file of names")
	cmd.Flags().StringVar(&files.descriptors, "descriptors", "", "file of a FileDescriptorSet")
	return cmd
}

func (a *app) setCatalog(ctx context.Context, host string, files catalogFiles) error {
	request, err := a.catalogRequest(files)
	if err != nil {
		return err
	}
	request.Host = host
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	answer, err := c.catalog.SetCatalog(ctx, request)
	if err != nil {
		return err
	}
	return a.show(answer, [][]string{{"host", host}, {"set", moment(answer.GetSetDate())}})
}

func (a *app) catalogRequest(files catalogFiles) (*calloutv1.SetCatalogRequest, error) {
	request := &calloutv1.SetCatalogRequest{}
	if files.names == "" && files.descriptors == "" {
		return nil, usageErrorf("give --names, --descriptors or both")
	}
	if files.names != "" {
		text, err := a.readFile(files.names)
		if err != nil {
			return nil, err
		}
		if !json.Valid(text) {
			return nil, fmt.Errorf("%s is not JSON", files.names)
		}
		if err := protojson.Unmarshal(text, request); err != nil {
			return nil, fmt.Errorf("%s: %w", files.names, err)
		}
		if request.GetHost() != "" || len(request.GetFileDescriptorSet()) > 0 {
			return nil, fmt.Errorf("%s: only services, methods, events and functions stand in a file of names", files.names)
		}
	}
	if files.descriptors == "" {
		return request, nil
	}
	raw, err := a.readFile(files.descriptors)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(raw, &set); err != nil || len(set.GetFile()) == 0 {
		return nil, fmt.Errorf("%s is not a FileDescriptorSet", files.descriptors)
	}
	for _, f := range set.GetFile() {
		f.SourceCodeInfo = nil // comments, which may be most of it
	}
	request.FileDescriptorSet, err = proto.Marshal(&set)
	return request, err
}

// readFile reads a file, or "-", the standard input.
func (a *app) readFile(name string) ([]byte, error) {
	in := a.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxCatalogFile+1))
	if err == nil && len(text) > maxCatalogFile {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

func (a *app) catalogRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove HOST",
		Short:   "Remove a host's names; executions that are set stay",
		Example: "  callout catalog remove orders",
		Args:    cobra.ExactArgs(1),
		RunE:    a.run(a.removeCatalog),
	}
}

func (a *app) removeCatalog(ctx context.Context, args []string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	answer, err := c.catalog.RemoveCatalog(ctx, &calloutv1.RemoveCatalogRequest{Host: args[0]})
	if err != nil {
		return err
	}
	if answer.GetDeletionDate() == nil {
		return a.show(answer, [][]string{{"host", args[0]}, {"removed", "it had set no names"}})
	}
	return a.show(answer, [][]string{{"host", args[0]}, {"removed", moment(answer.GetDeletionDate())}})
}
