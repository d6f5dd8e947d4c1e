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
	source   = "shared/proto"
	output   = "shared/gen"
	inModule = "module=github.com/callout-dev/callout/shared/gen"
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
		{"protoc-gen-go", inModule},
		{"protoc-gen-go-grpc", inModule + ",require_unimplemented_servers=false"},
		{"protoc-gen-connect-go", inModule + ",simple"},
	}
	for _, rules := range rest {
		plugins = append(plugins, plugin{"protoc-gen-grpc-gateway", inModule + ",grpc_api_configuration=" + filepath.Join(source, rules)})
	}
	for _, p := range plugins {
		if err := p.run(ctx, files, names); err != nil {
			return fmt.Errorf("%s: %w", p.tool, err)
		}
	}
	return openapi(ctx, files, names)
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
	response, err := p.ask(ctx, withImports(files), names)
	if err != nil {
		return err
	}
	for _, f := range response.File {
		if err := write(f.GetName(), []byte(f.GetContent())); err != nil {
			return err
		}
	}
	return nil
}

// ask sends files to the plugin, to generate from those of these names.
func (p plugin) ask(ctx context.Context, files []*descriptorpb.FileDescriptorProto,
	names []string) (*pluginpb.CodeGeneratorResponse, error) {
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{FileToGenerate: names, Parameter: &p.parameter, ProtoFile: files})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", p.tool)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(answer, &response); err != nil {
		return nil, err
	}
	if response.Error != nil {
		return nil, fmt.Errorf("%s", *response.Error)
	}
	return &response, nil
}

func write(name string, content []byte) error {
	path := filepath.Join(output, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
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
