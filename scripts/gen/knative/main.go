// Command knative writes the parts of infra/knative that follow from the table of functions: `go run ./scripts/gen/knative`. It is beside
// scripts/gen, and not in it, because it holds all functions and with them the code that scripts/gen makes.
package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/host"
)

const output = "infra/knative"

//go:embed functions.yaml.tmpl
var functions string

//go:embed routes.yaml.tmpl
var routes string

func main() {
	if err := generate(output); err != nil {
		fmt.Fprintln(os.Stderr, "gen/knative:", err)
		os.Exit(1)
	}
}

// generate writes the files into a folder.
func generate(into string) error {
	for name, text := range map[string]string{"functions.yaml": functions, "routes.yaml": routes} {
		content, err := render(name, text, services(all.Functions()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(into, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// service is one Knative Service. An event function has one for each of its paths, so that retries stand in nobody's way.
type service struct {
	Name, Function string
	Paths          []path
	// Secrets and Push are the function's needs; CallsTargets says that it calls customers and waits for them.
	Secrets, Push, CallsTargets bool
	// Concurrency is how many requests one instance takes at once, Timeout how long one may take, in seconds; Least and Most are instances.
	Concurrency, Timeout, Least, Most int
}

// path is what goes to a service. Type is of the Gateway API.
type path struct {
	Type, Value string
}

func services(functions []host.Function) []service {
	var out []service
	for _, f := range functions {
		s := service{Name: f.Name, Function: f.Name, Concurrency: 80, Timeout: 60, Most: 10}
		for _, need := range f.Needs {
			s.Secrets, s.Push = s.Secrets || need == env.Secrets, s.Push || need == env.Push
		}
		if f.Concurrency > 0 {
			s.Concurrency = f.Concurrency
		}
		switch f.Name {
		case "invoke": // a hook stands in the way of somebody's request: one instance is always there
			s.CallsTargets, s.Concurrency, s.Timeout, s.Least = true, 250, 300, 1
		case "deliver": // it waits for targets: many at once
			s.CallsTargets, s.Concurrency = true, 500
		case "sweep": // while it sweeps, another tick only makes it sweep longer
			s.Most = 1
		}
		if f.Trigger == host.HTTP {
			for _, p := range f.Paths {
				s.Paths = append(s.Paths, pathOf(p))
			}
			out = append(out, s)
			continue
		}
		for _, p := range f.Paths {
			s.Name, s.Paths, s.Timeout = strings.TrimPrefix(p, "/push/"), []path{pathOf(p)}, 600
			out = append(out, s)
		}
	}
	return out
}

// pathOf makes a path of http.ServeMux one of the Gateway API.
func pathOf(pattern string) path {
	if below, ok := strings.CutSuffix(pattern, "/"); ok {
		return path{"PathPrefix", below + "/"}
	}
	return path{"Exact", pattern}
}

func render(name, text string, services []service) ([]byte, error) {
	t, err := template.New(name).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, services)
	return out.Bytes(), err
}
