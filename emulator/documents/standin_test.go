package documents

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// standIn is what runs in the place of a command that documents have.
type standIn struct {
	// why the command itself is not run.
	why string
	// do runs something in its place, or says what is wrong with it.
	do func(args []string) error
}

// standIns are all of them: a command that is not here runs as it is, or fails the test.
var standIns = map[string]standIn{
	"go":            {"it compiles what is compiled already, and runs all tests", goCommand},
	"callout":       {"it is the command line client, as go install ./scripts/callout would have it", calloutCommand},
	"git":           {"the commands run beside a copy of the tree, which has no history", gitCommand},
	"scripts/check": {"it runs this test", nothing},
	"tofu":          {"it wants an account of Google's", tofuCommand},
	"gcloud":        {"it wants an account of Google's", gcloudCommand},
	"kubectl":       {"it wants a cluster", kubectlCommand},
}

// The process that these run in is the tests' own program, under another name; TestMain comes here.
const (
	binariesVariable = "CALLOUT_DOCUMENTS_BINARIES"
	portsVariable    = "CALLOUT_DOCUMENTS_PORTS"
	treeVariable     = "CALLOUT_DOCUMENTS_TREE"
)

func TestMain(m *testing.M) {
	for name, s := range standIns {
		if filepath.Base(os.Args[0]) != filepath.Base(name) || os.Getenv(treeVariable) == "" {
			continue
		}
		if err := s.do(os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "stand-in for %s %s: %v\n", name, strings.Join(os.Args[1:], " "), err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "callout-documents-")
	if err == nil {
		err = os.Setenv(binariesVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func nothing(args []string) error {
	if len(args) > 0 {
		return errors.New("it takes no arguments")
	}
	return nil
}

// become runs a program of ours in the place of this process.
func become(name string, args ...string) error {
	path := filepath.Join(os.Getenv(binariesVariable), name)
	return syscall.Exec(path, append([]string{name}, args...), os.Environ())
}

// flagsOnly has a program read its flags, and say which there are.
func flagsOnly(name string, args []string) error {
	out, err := exec.Command(filepath.Join(os.Getenv(binariesVariable), name), append(args, "-help")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func goCommand(args []string) error {
	if len(args) < 2 {
		return errors.New("not looked at")
	}
	switch args[0] {
	case "test":
		return goTest(args[1:])
	case "install":
		if args[1] != "./scripts/callout" {
			return errors.New("no program for people")
		}
		return nil
	case "run":
		return goRun(args[1], args[2:])
	}
	return errors.New("not looked at")
}

func goRun(path string, args []string) error {
	if info, err := os.Stat(filepath.Join(os.Getenv(treeVariable), path)); err != nil || !info.IsDir() {
		return errors.New("there is no such folder")
	}
	name := filepath.Base(path)
	switch path {
	case "./scripts/callout":
		return calloutCommand(args)
	case "./scripts/bench": // minutes of load
		return flagsOnly(name, args)
	case "./scripts/image": // minutes of compiling, which its own tests do
		fmt.Println("sha256:" + strings.Repeat("0", 64))
		return flagsOnly(name, args)
	case "./scripts/gen", "./scripts/gen/knative": // they write into the tree, and scripts/check and a test of theirs run them
		return nothing(args)
	case "./emulator", "./functions", "./scripts/capacity":
		return become(name, args...)
	}
	if !strings.HasPrefix(path, "./scripts/examples/") {
		return errors.New("not looked at")
	}
	ports := portsFromEnvironment()
	for flag, port := range map[string]map[string]string{
		"ip-allow-list":     {"host": "9101", "target": "9102"},
		"custom-claims":     {"host": "9111", "target": "9112", "party": "9113"},
		"audit-log":         {"host": "9121", "target": "9122"},
		"user-provisioning": {"host": "9131", "target": "9132", "directory": "9133"},
	}[name] {
		args = append([]string{"-" + flag, "127.0.0.1:" + ports[port]}, args...)
	}
	return become(name, args...)
}

func calloutCommand(args []string) error {
	if slices.Contains(args, "listen") && !slices.Contains(args, "--addr") && !slices.Contains(args, "--help") {
		args = append(args, "--addr", "127.0.0.1:"+portsFromEnvironment()["9000"])
	}
	return become("callout", args...)
}

func portsFromEnvironment() map[string]string {
	ports := map[string]string{}
	for entry := range strings.FieldsSeq(os.Getenv(portsVariable)) {
		documented, real, _ := strings.Cut(entry, "=")
		ports[documented] = real
	}
	return ports
}

// testFlags are the go command's, and whether a value comes behind.
var testFlags = map[string]bool{"v": false, "race": false, "short": false, "artifacts": false, "run": true, "bench": true, "benchtime": true, "timeout": true,
	"shuffle": true, "outputdir": true, "count": true, "fuzz": true, "fuzztime": true}

// goTest looks at what the tests would be asked: packages, patterns that name some, and flags that there are.
func goTest(args []string) error {
	var sources []byte
	patterns, own := map[string]string{}, []string{}
	packages := 0
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "-")
		if !isFlag {
			found, err := testSources(args[i])
			if err != nil {
				return err
			}
			packages, sources = packages+1, append(sources, found...)
			continue
		}
		name, value, hasValue := strings.Cut(name, "=")
		takes, known := testFlags[name]
		switch {
		case !known:
			own = append(own, name)
		case takes && !hasValue:
			if i++; i == len(args) {
				return fmt.Errorf("-%s wants a value", name)
			}
			value = args[i]
		}
		patterns[name] = value
	}
	if packages == 0 {
		return errors.New("no packages")
	}
	for flag, kind := range map[string]string{"run": "(?:Test|Fuzz|Example)", "bench": "Benchmark", "fuzz": "Fuzz"} {
		if pattern := patterns[flag]; pattern != "" && pattern != "-" && !matchesOne(sources, pattern, kind) {
			return fmt.Errorf("-%s %s names none", flag, pattern)
		}
	}
	for _, name := range own {
		if !regexp.MustCompile(`flag\.\w+\("` + regexp.QuoteMeta(name) + `"`).Match(sources) {
			return fmt.Errorf("no test has a flag -%s", name)
		}
	}
	return nil
}

// testSources are the test files of a package, or of those below it.
func testSources(pattern string) ([]byte, error) {
	dir, below := strings.CutSuffix(pattern, "/...")
	dir = filepath.Join(os.Getenv(treeVariable), dir)
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != dir && !below {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s has no tests", pattern)
	}
	var all []byte
	for _, f := range files {
		text, readErr := os.ReadFile(f)
		all, err = append(all, text...), errors.Join(err, readErr)
	}
	return all, err
}

func matchesOne(sources []byte, pattern, kind string) bool {
	first, _, _ := strings.Cut(pattern, "/")
	wanted, err := regexp.Compile(first)
	if err != nil {
		return false
	}
	for _, found := range regexp.MustCompile(`(?m)^func (`+kind+`\w*)\(`).FindAllSubmatch(sources, -1) {
		if wanted.Match(found[1]) {
			return true
		}
	}
	return false
}

func gitCommand(args []string) error {
	switch text := strings.Join(args, " "); {
	case text == "rev-parse HEAD":
		fmt.Println(strings.Repeat("0", 40))
		return nil
	case text == "status --porcelain":
		return nil
	case strings.HasPrefix(text, "clone https://github.com/callout-dev/callout"):
		return nil
	}
	return errors.New("not looked at")
}

// tofuCommand wants resources and variables that infra/gcp has.
func tofuCommand(args []string) error {
	dir := "."
	if len(args) > 0 && strings.HasPrefix(args[0], "-chdir=") {
		dir, args = strings.TrimPrefix(args[0], "-chdir="), args[1:]
	}
	if len(args) == 0 || !slices.Contains([]string{"init", "apply", "plan", "test", "output"}, args[0]) {
		return errors.New("not looked at")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil || len(files) == 0 {
		return errors.New("there is nothing of it in this folder")
	}
	has := map[string]bool{}
	settings, _ := filepath.Glob(filepath.Join(dir, "*.tfvars")) // fails for bad patterns alone
	for _, file := range append(files, settings...) {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parsed, problems := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
		if problems.HasErrors() {
			return problems
		}
		body := parsed.Body.(*hclsyntax.Body)
		for _, b := range body.Blocks {
			has[strings.Join(append([]string{b.Type}, b.Labels...), ".")] = true
		}
		for name := range body.Attributes {
			if filepath.Ext(file) == ".tfvars" && !has["variable."+name] {
				return fmt.Errorf("there is no variable %s", name)
			}
		}
	}
	for _, arg := range args[1:] {
		if target, ok := strings.CutPrefix(arg, "-target="); ok && !has["resource."+target] {
			return fmt.Errorf("there is no resource %s", target)
		}
	}
	return nil
}

func gcloudCommand(args []string) error {
	if len(args) < 4 || !slices.Equal(args[:3], []string{"secrets", "versions", "add"}) {
		return errors.New("not looked at")
	}
	return mentioned("infra/gcp", `"`+args[3]+`"`)
}

func kubectlCommand(args []string) error {
	text := strings.Join(args, " ")
	switch {
	case strings.HasPrefix(text, "apply -k "):
		_, err := os.Stat(filepath.Join(args[2], "kustomization.yaml"))
		return err
	case text == "create namespace callout", strings.HasPrefix(text, "-n callout create secret generic callout --from-literal=seal-keys=k1:"):
		return mentioned("infra/knative", "callout")
	case strings.HasPrefix(text, "-n callout port-forward svc/"):
		return mentioned("infra/knative", "name: "+strings.TrimPrefix(args[3], "svc/"))
	}
	return errors.New("not looked at")
}

// mentioned wants a text in a file of a folder.
func mentioned(dir, text string) error {
	files, err := filepath.Glob(filepath.Join(os.Getenv(treeVariable), dir, "*"))
	for _, f := range files {
		if content, err := os.ReadFile(f); err == nil && strings.Contains(string(content), text) {
			return nil
		}
	}
	return errors.Join(err, fmt.Errorf("nothing in %s is called %s", dir, text))
}

func TestStandIns(t *testing.T) {
	t.Setenv(treeVariable, root)
	t.Chdir(root)
	t.Setenv(treeVariable, ".")
	tests := []struct {
		command, err string
	}{
		{"go test ./...", ""},
		{"go test -race ./shared/signature/...", ""},
		{"go test ./shared/signature -run TestVectors", ""},
		{"go test ./shared/signature -run TestVectors/x -v", ""},
		{"go test ./shared/signature -run=TestNoSuchThing", "names none"},
		{"go test ./emulator/faults -timeout 60m -report", ""},
		{"go test ./emulator/faults -rapport", "-rapport"},
		{"go test ./functions/console -run - -bench . -benchtime 20x", ""},
		{"go test ./shared/proto", "no tests"},
		{"go test ./nowhere", "nowhere"},
		{"go test", "not looked at"},
		{"go run ./scripts/nothing", "no such folder"},
		{"go run ./scripts/gen", ""},
		{"go build ./...", "not looked at"},
		{"scripts/check", ""},
		{"tofu -chdir=infra/gcp apply -target=google_secret_manager_secret.seal_keys", ""},
		{"tofu -chdir=infra/gcp apply -target=google_secret_manager_secret.moon", "moon"},
		{"tofu apply", "nothing of it"},
		{"gcloud secrets versions add callout-seal-keys --data-file=-", ""},
		{"gcloud secrets versions add callout-moon", "callout-moon"},
		{"kubectl apply -k infra/knative", ""},
		{"kubectl apply -k infra/gcp", "kustomization"},
		{"kubectl -n callout port-forward svc/callout-emulator 8082", ""},
		{"kubectl -n callout port-forward svc/moon 8082", "moon"},
		{"kubectl get pods", "not looked at"},
	}
	for _, tt := range tests {
		words := strings.Fields(tt.command)
		err := standIns[words[0]].do(words[1:])
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: got %v, want %q", tt.command, err, tt.err)
		}
	}
	for name := range maps.Keys(standIns) {
		if standIns[name].why == "" || standIns[name].do == nil {
			t.Errorf("%s has no reason", name)
		}
	}
}
