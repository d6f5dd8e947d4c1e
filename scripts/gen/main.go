// Command gen writes shared/gen from shared/proto: `go run ./scripts/gen`. It compiles the definitions itself and runs the plugins
// that go.mod pins as tools, so it needs Go and nothing else.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	source = "shared/proto"
	output = "shared/gen"
	module = "github.com/callout-dev/callout/shared/gen"
)

// plugin is a generator and its parameters.
type plugin struct {
	tool, parameter string
}

func main() {
	if err := generate(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(ctx context.Context) error {
	names, err := sources(".proto")
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{source}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, names...)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(output); err != nil {
		return err
	}
	rest, err := sources("http.yaml")
	if err != nil {
		return err
	}
	plugins := []plugin{
		{"protoc-gen-go", ""},
		{"protoc-gen-go-grpc", "require_unimplemented_servers=false"},
		{"protoc-gen-connect-go", "simple"},
	}
	for _, rules := range rest {
		plugins = append(plugins, plugin{"protoc-gen-grpc-gateway", "grpc_api_configuration=" + filepath.Join(source, rules)})
	}
	for _, p := range plugins {
		if err := p.run(ctx, files, names); err != nil {
			return fmt.Errorf("%s: %w", p.tool, err)
		}
	}
	return nil
}

// sources lists the files of the definitions whose names end so.
func sources(suffix string) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(source), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, suffix) {
			names = append(names, path)
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

// run sends the compiled files to the plugin and writes what it answers.
func (p plugin) run(ctx context.Context, files linker.Files, names []string) error {
	parameter := "module=" + module
	if p.parameter != "" {
		parameter += "," + p.parameter
	}
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: names,
		Parameter:      &parameter,
		ProtoFile:      withImports(files),
	})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", p.tool)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(answer, &response); err != nil {
		return err
	}
	if response.Error != nil {
		return fmt.Errorf("%s", *response.Error)
	}
	for _, f := range response.File {
		path := filepath.Join(output, f.GetName())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// withImports lists files and all they import, every file after its imports, as plugins expect.
func withImports(files linker.Files) []*descriptorpb.FileDescriptorProto {
	var out []*descriptorpb.FileDescriptorProto
	seen := map[string]bool{}
	var visit func(protoreflect.FileDescriptor)
	visit = func(f protoreflect.FileDescriptor) {
		if seen[f.Path()] {
			return
		}
		seen[f.Path()] = true
		for i := range f.Imports().Len() {
			visit(f.Imports().Get(i).FileDescriptor)
		}
		out = append(out, protoutil.ProtoFromFileDescriptor(f))
	}
	for _, f := range files {
		visit(f)
	}
	return out
}
