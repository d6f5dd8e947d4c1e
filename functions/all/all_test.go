package all_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/functions/all"
	"github.com/callout-dev/callout/shared/host"
	"github.com/callout-dev/callout/shared/queue"
)

var update = flag.Bool("update", false, "write infra/functions.json anew")

const golden = "../../infra/functions.json"

// deployable is a function as infra/functions.json tells it to whoever sets up the cloud.
type deployable struct {
	Name        string       `json:"name"`
	Trigger     host.Trigger `json:"trigger"`
	Paths       []string     `json:"paths"`
	Topics      []string     `json:"topics,omitempty"` // those whose subscriptions push to the paths, in the same order
	Concurrency int          `json:"concurrency,omitempty"`
}

func TestFunctionsJSONIsTheTable(t *testing.T) {
	var list struct {
		Functions []deployable `json:"functions"`
	}
	for _, f := range all.Functions() {
		list.Functions = append(list.Functions, deployable{f.Name, f.Trigger, f.Paths, f.Topics, f.Concurrency})
	}
	got, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not what the table says; go test ./functions/all -update writes it (-want +got):\n%s", golden, diff)
	}
}

// Every function is whole: it has what its trigger calls for, no path twice, and its topics are ours.
func TestTable(t *testing.T) {
	topics := map[string]bool{}
	for _, topic := range queue.Topics() {
		topics[string(topic)] = true
	}
	names, paths := map[string]bool{}, map[string]bool{}
	for _, f := range all.Functions() {
		if names[f.Name] || f.Name == "" || len(f.Paths) == 0 {
			t.Errorf("function %q: no name, the name of another one, or no paths", f.Name)
		}
		names[f.Name] = true
		for _, p := range f.Paths {
			if paths[p] {
				t.Errorf("path %s belongs to two functions", p)
			}
			paths[p] = true
			if (f.Trigger == host.Event) != strings.HasPrefix(p, "/push/") {
				t.Errorf("%s: path %s does not fit its trigger", f.Name, p)
			}
		}
		switch f.Trigger {
		case host.HTTP:
			if f.HTTP == nil || f.Event != nil || len(f.Topics) != 0 {
				t.Errorf("%s is not a whole HTTP function", f.Name)
			}
		case host.Event:
			if f.Event == nil || f.HTTP != nil || len(f.Topics) != len(f.Paths) {
				t.Errorf("%s is not a whole event function", f.Name)
			}
			for _, topic := range f.Topics {
				if !topics[topic] {
					t.Errorf("%s: there is no topic %q", f.Name, topic)
				}
			}
		default:
			t.Errorf("%s: trigger %q", f.Name, f.Trigger)
		}
	}
}

func TestSelect(t *testing.T) {
	one, err := all.Select("deliver")
	if err != nil || len(one) != 1 || one[0].Name != "deliver" {
		t.Errorf("deliver: %v %v", one, err)
	}
	every, err := all.Select("")
	if err != nil || len(every) != len(all.Functions()) {
		t.Errorf("all: %d %v", len(every), err)
	}
	if _, err := all.Select("delivr"); err == nil || !strings.Contains(err.Error(), `"deliver"`) {
		t.Errorf("a name that is none: %v", err)
	}
}
