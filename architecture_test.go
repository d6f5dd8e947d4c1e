package callout_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/callout-dev/callout/"

// listed is a package of ours. Imports are those of its code without tests; Deps are all that its binary would hold.
type listed struct {
	ImportPath, Dir, Name  string
	GoFiles, Imports, Deps []string
}

// name is the path within the module.
func (p listed) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []listed {
	t.Helper()
	all, err := listing()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// listing asks the go command once: it takes a second or two.
var listing = sync.OnceValues(func() ([]listed, error) {
	var stderr bytes.Buffer
	list := exec.Command("go", "list", "-json=ImportPath,Dir,Name,GoFiles,Imports,Deps", "./...")
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &stderr)
	}
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		return nil, fmt.Errorf("go list: only %d packages", len(all))
	}
	return all, nil
})

// under says whether a path is one of the roots or lies below it.
func under(p string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return p == root || strings.HasPrefix(p, root+"/") })
}

// ours gives the module's packages among imports, by their names.
func ours(imports []string) (names []string) {
	for _, i := range imports {
		if name, ok := strings.CutPrefix(i, module); ok {
			names = append(names, name)
		}
	}
	return names
}

// home says where a dependency may be imported, within functions/ and shared/.
type home struct {
	dependency string
	in         []string
	// exceptions are packages of the dependency that others may import too, and why.
	exceptions map[string][]string
}

var handlers = []string{"functions/publish", "functions/dispatch", "functions/deliver", "functions/sweep"}

// homes are those of architecture.md section 2. The longest dependency that fits an import decides; one that fits none has no home.
var homes = []home{
	{dependency: "cloud.google.com/go/firestore", in: []string{"shared/store", "shared/ledger", "shared/env"}},
	{dependency: "google.golang.org/api", in: []string{"shared/store", "shared/ledger", "shared/env"}}, // options and iterators of Google's clients
	{dependency: "cloud.google.com/go/pubsub", in: []string{"shared/queue", "shared/env"}},
	{dependency: "connectrpc.com/connect", in: []string{"shared/api", "shared/hook", "shared/gen", "functions/console"}},
	{dependency: "connectrpc.com/grpcreflect", in: []string{"shared/api"}},
	{dependency: "connectrpc.com/cors", in: []string{"shared/host"}},
	{dependency: "github.com/rs/cors", in: []string{"shared/host"}},
	{dependency: "github.com/grpc-ecosystem/grpc-gateway", in: []string{"shared/api", "shared/gen"}},
	{dependency: "google.golang.org/grpc", in: []string{"shared/api", "shared/hook", "shared/gen"}, exceptions: map[string][]string{
		// Connections to Firestore and Pub/Sub; and what the clients of the API are made for.
		"google.golang.org/grpc":                      {"shared/env", "functions/console"},
		"google.golang.org/grpc/credentials/insecure": {"shared/env"},
		// What the clients' errors are, and the codes in bodies of refusals.
		"google.golang.org/grpc/codes":  {"shared/store", "shared/ledger", "shared/queue", "shared/env", "shared/host"},
		"google.golang.org/grpc/status": {"shared/store", "shared/ledger", "shared/queue", "shared/env"},
	}},
	{dependency: "google.golang.org/protobuf", in: []string{"shared/api", "shared/hook", "shared/gen"}, exceptions: map[string][]string{
		// The ledger writes Firestore's messages itself, and the store reads its feed with them.
		"google.golang.org/protobuf/types/known/timestamppb": {"shared/ledger", "shared/store", "functions/console"},
		"google.golang.org/protobuf/types/known/wrapperspb":  {"shared/ledger", "shared/store"},
		// The console is a client of the API, as hosts are.
		"google.golang.org/protobuf/encoding/protojson":     {"functions/console"},
		"google.golang.org/protobuf/proto":                  {"functions/console"},
		"google.golang.org/protobuf/types/known/durationpb": {"functions/console"},
		"google.golang.org/protobuf/types/known/structpb":   {"functions/console"},
	}},
	{dependency: "google.golang.org/genproto", in: []string{"shared/gen", "shared/api"}},
	{dependency: "github.com/GoogleCloudPlatform/functions-framework-go", in: []string{"shared/host", "functions"}}, // there in function.go: see below
	{dependency: "github.com/cloudevents/sdk-go/v2", in: append([]string{"shared/host", "shared/queue", "shared/hook"}, handlers...)},
	{dependency: "github.com/go-jose/go-jose/v4", in: []string{"shared/payload", "shared/signature/envelope", "shared/seal", "shared/auth", "functions/keys"}},
	{dependency: "github.com/coreos/go-oidc/v3", in: []string{"shared/auth"}},
	{dependency: "golang.org/x/oauth2", in: []string{"shared/auth", "shared/env", "shared/hook"}},
	{dependency: "github.com/caarlos0/env/v11", in: []string{"shared/env"}},
	{dependency: "github.com/hashicorp/golang-lru/v2", in: []string{"functions/deliver", "shared/auth", "shared/api", "shared/store"}},
	// Of metrics, others know the methods of telemetry.Metrics alone.
	{dependency: "go.opentelemetry.io/otel", in: []string{"shared/telemetry"}, exceptions: map[string][]string{
		// Who begins a span says of what kind it is, and what it is about.
		"go.opentelemetry.io/otel/attribute": {"shared/call", "shared/host", "shared/queue"},
		"go.opentelemetry.io/otel/trace":     {"shared/call", "shared/host", "shared/queue"},
	}},
	{dependency: "github.com/klauspost/compress", in: []string{"shared/backup"}},
	{dependency: "golang.org/x/net", in: []string{"shared/engine"}},
	{dependency: "golang.org/x/time", in: []string{"shared/auth"}},
	{dependency: "golang.org/x/sync", in: []string{"shared", "functions"}}, // as good as the standard library
}

func homeOf(dependency string) (home, bool) {
	var found home
	for _, h := range homes {
		if under(dependency, h.dependency) && len(h.dependency) > len(found.dependency) {
			found = h
		}
	}
	return found, found.dependency != ""
}

func isStandard(dependency string) bool {
	first, _, _ := strings.Cut(dependency, "/")
	return !strings.Contains(first, ".")
}

func TestEveryDependencyHasOneHome(t *testing.T) {
	for _, p := range packages(t) {
		if !under(p.name(), "functions", "shared") {
			continue
		}
		for _, i := range p.Imports {
			if isStandard(i) || strings.HasPrefix(i, module) {
				continue
			}
			h, ok := homeOf(i)
			if !ok {
				t.Errorf("%s imports %s, which has no home in the list", p.name(), i)
			} else if !under(p.name(), h.in...) && !under(p.name(), h.exceptions[i]...) {
				t.Errorf("%s imports %s, whose home is %s", p.name(), i, strings.Join(h.in, ", "))
			}
		}
	}
}

// rule says of some packages what of ours they may import.
type rule struct {
	name string
	of   func(name string) bool
	may  func(name, imported string) bool
}

func anyOf(roots ...string) func(string) bool {
	return func(name string) bool { return under(name, roots...) }
}

func only(roots ...string) func(string, string) bool {
	return func(name, imported string) bool { return under(imported, roots...) }
}

// isFunction says whether a package is one function, or part of one.
func isFunction(name string) bool {
	return strings.HasPrefix(name, "functions/") && !under(name, "functions/all")
}

var rules = []rule{
	{"a function imports no other", isFunction, func(name, imported string) bool {
		return under(imported, "shared") || under(imported, path.Join("functions", strings.Split(name, "/")[1]))
	}},
	{"the list of functions imports functions and what they are made of", anyOf("functions/all"), only("functions", "shared")},
	{"the image imports the list, never a function", func(name string) bool { return name == "functions" }, only("functions/all", "shared")},
	{"shared imports neither functions nor the emulator", anyOf("shared"), only("shared")},
	{"only the emulator imports the emulator", func(name string) bool { return !under(name, "emulator") }, func(_, imported string) bool { return !under(imported, "emulator") }},
	{"what knows no domain imports nothing of ours", anyOf("shared/signature", "shared/egress", "shared/seal", "shared/logging", "shared/errs"), func(string, string) bool { return false }},
	{"the domain imports its neighbours", anyOf("shared/action"), only("shared/errs", "shared/logging")},
	{"what is kept in memory knows neither the store nor the ledger", anyOf("shared/routing", "shared/catalogue", "shared/keys"), only("shared/action", "shared/errs", "shared/logging")},
	{"the services of the emulator know nothing of Callout", anyOf("emulator/firestore", "emulator/pubsub", "emulator/issuer", "emulator/memnet", "emulator/storage"),
		func(name, imported string) bool {
			return under(imported, "shared/errs", "shared/logging", "emulator/memnet", "emulator/storage", strings.Join(strings.Split(name, "/")[:2], "/"))
		}},
	{"generated types stop at the border", func(name string) bool {
		return !under(name, "shared/gen", "shared/api", "shared/hook", "functions/console", "scripts") // the console is a client of the API
	},
		func(_, imported string) bool { return !under(imported, "shared/gen") }},
	{"generated code imports generated code", anyOf("shared/gen"), only("shared/gen")},
	{"hosts' middleware imports generated code alone", anyOf("shared/hook"), only("shared/gen", "shared/hook")},
}

func TestImportsOfOurs(t *testing.T) {
	all := packages(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, p := range all {
				if !r.of(p.name()) {
					continue
				}
				for _, i := range ours(p.Imports) {
					if !r.may(p.name(), i) {
						t.Errorf("%s imports %s", p.name(), i)
					}
				}
			}
		})
	}
}

// TestWhatBinariesHold looks at all dependencies, not at imports alone.
func TestWhatBinariesHold(t *testing.T) {
	pure := []string{"shared/action", "shared/errs", "shared/logging", "shared/signature", "shared/egress"}
	for _, p := range packages(t) {
		held := ours(p.Deps)
		for _, d := range held {
			if under(p.name(), "functions", "shared") && under(d, "emulator") {
				t.Errorf("%s holds %s", p.name(), d)
			}
			if under(p.name(), "shared") && under(d, "functions") {
				t.Errorf("%s holds %s", p.name(), d)
			}
		}
		if !slices.Contains(pure, p.name()) {
			continue
		}
		for _, d := range p.Deps {
			// The standard library's own copies of golang.org/x lie under vendor/.
			if !isStandard(d) && !strings.HasPrefix(d, module) {
				t.Errorf("%s needs more than the standard library: %s", p.name(), d)
			}
		}
	}
}

// testOnly are dependencies that tests have, and no binary of ours: what checks the infrastructure, the pages and the documents is not what runs.
var testOnly = []string{"github.com/chromedp", "github.com/hashicorp/hcl", "github.com/yuin/goldmark", "github.com/zclconf/go-cty", "k8s.io", "knative.dev", "mvdan.cc/sh",
	"sigs.k8s.io"}

func TestWhatTestsAloneHold(t *testing.T) {
	for _, p := range packages(t) {
		for _, d := range p.Deps {
			if under(d, testOnly...) {
				t.Errorf("%s holds %s, which is for tests", p.name(), d)
			}
		}
	}
}

// TestFunctionsFrameworkIsInOneFile: a function can do without it.
func TestFunctionsFrameworkIsInOneFile(t *testing.T) {
	registered := 0
	for _, p := range packages(t) {
		if !under(p.name(), "functions") {
			continue
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range file.Imports {
				dependency, _ := strconv.Unquote(i.Path.Value)
				if !under(dependency, "github.com/GoogleCloudPlatform/functions-framework-go") {
					continue
				}
				registered++
				if name != "function.go" || !isFunction(p.name()) {
					t.Errorf("%s/%s imports the framework", p.name(), name)
				}
			}
		}
	}
	if registered < 6 {
		t.Errorf("%d functions are registered", registered)
	}
}

// TestNames: packages are nouns of one word, in lower case, and none is a drawer.
func TestNames(t *testing.T) {
	for _, p := range packages(t) {
		if under(p.name(), "shared/gen") || p.Name == "main" {
			continue
		}
		base := path.Base(p.ImportPath)
		if drawers := []string{"util", "utils", "common", "helpers", "helper", "models", "base", "misc"}; slices.Contains(drawers, p.Name) || p.Name != strings.ToLower(p.Name) || strings.Contains(p.Name, "_") {
			t.Errorf("%s is named %s", p.name(), p.Name)
		}
		if p.Name != base && p.ImportPath+"/" != module && p.ImportPath != strings.TrimSuffix(module, "/") {
			t.Errorf("%s is named %s", p.name(), p.Name)
		}
	}
}
