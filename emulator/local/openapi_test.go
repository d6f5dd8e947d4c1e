package local_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/gen/openapi"
	"github.com/callout-dev/callout/shared/host"
)

// operations are those of the description, as "POST /v1/events".
func operations(t *testing.T) []string {
	t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	var names []string
	ids := map[string]string{}
	for path, item := range document.Paths {
		for method, operation := range item {
			name := strings.ToUpper(method) + " " + path
			if same := ids[operation.OperationID]; same != "" {
				t.Errorf("%s and %s have one id", name, same)
			}
			ids[operation.OperationID] = name
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestOpenAPIIsValid(t *testing.T) {
	document, err := libopenapi.NewDocument(openapi.Document)
	if err != nil {
		t.Fatal(err)
	}
	if version := document.GetVersion(); version != "3.1.0" {
		t.Errorf("version %q", version)
	}
	v, problems := validator.NewValidator(document)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if valid, problems := v.ValidateDocument(); !valid {
		for _, p := range problems {
			t.Errorf("%s: %s: %v", p.Message, p.Reason, p.SchemaValidationErrors)
		}
	}
}

// byHand are the operations that no gateway serves.
var byHand = []string{"POST /v1/events", "POST /v1/hooks:invoke", "GET /oauth/v2/keys", "GET /.well-known/openid-configuration"}

var (
	registered = regexp.MustCompile(`mux\.Handle\(http\.Method(\w+), pattern_\w+,(?s:.*?)runtime\.WithHTTPPathPattern\("([^"]+)"\)`)
	anything   = regexp.MustCompile(`\{(\w+)=[^}]*\}`)
)

// TestOpenAPIHasEveryPath: what the gateways register and what is served by hand is described, and nothing else is.
func TestOpenAPIHasEveryPath(t *testing.T) {
	registrations := map[string]bool{}
	err := filepath.WalkDir("../../shared/gen", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".pb.gw.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range registered.FindAllStringSubmatch(string(text), -1) {
			registrations[strings.ToUpper(found[1])+" "+anything.ReplaceAllString(found[2], "{$1}")] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(byHand)
	for name := range registrations {
		want = append(want, name)
	}
	slices.Sort(want)
	described := operations(t)
	if diff := cmp.Diff(want, described); diff != "" {
		t.Errorf("served and described (-want +got):\n%s", diff)
	}
	rest := func(p string) bool { return !strings.Contains(strings.Split(p, "/")[1], ".") }
	for _, f := range all.Functions() {
		for _, p := range f.Paths {
			isDescribed := func(operation string) bool { return strings.HasPrefix(operation[strings.Index(operation, " ")+1:], p) }
			if f.Trigger == host.HTTP && !f.Pages && rest(p) && !slices.ContainsFunc(described, isDescribed) {
				t.Errorf("%s serves %s, of which nothing is described", f.Name, p)
			}
		}
	}
}

// TestOpenAPIIsServed without a token, and each operation that it describes is there.
func TestOpenAPIIsServed(t *testing.T) {
	i := start(t, nil)
	response, err := i.client.Get(i.Info.API + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/json" || string(text) != string(openapi.Document) {
		t.Errorf("%d %s %d bytes, %v", response.StatusCode, response.Header.Get("Content-Type"), len(text), err)
	}
	api := caller{i.Info.API, i.as(t.Context(), "admin")}
	if status, _ := api.call(t, "POST", "/openapi.json", "application/json", nil); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", status)
	}
	placeholder := regexp.MustCompile(`\{\w+\}`)
	for _, operation := range operations(t) {
		method, path, _ := strings.Cut(operation, " ")
		status, answer := api.call(t, method, placeholder.ReplaceAllString(path, "none"), "application/json", map[string]any{})
		if message := answer["message"]; status >= 500 || message == "Not Found" || message == "Method Not Allowed" {
			t.Errorf("%s: %d %v", operation, status, answer)
		}
	}
}
