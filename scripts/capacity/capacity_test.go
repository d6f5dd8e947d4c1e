package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/table.txt anew")

func TestTable(t *testing.T) {
	golden := filepath.Join("testdata", "table.txt")
	var got bytes.Buffer
	if err := run(nil, &got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("go test ./scripts/capacity -update writes it (-want +got):\n%s", diff)
	}
}

// TestLimits: each limit is reached just above its rate and not below it.
func TestLimits(t *testing.T) {
	c, l := measuredCosts(), published()
	tests := map[string]float64{
		"Firestore: rising index of a shard":   250,
		"Firestore: writes of a database":      10_000.0 / 3,
		"Pub/Sub: bytes pushed in a region":    8_000,
		"Pub/Sub: bytes published in a region": 80_000,
		"Pub/Sub: push window of dispatch":     75_000,
		"Pub/Sub: push window of deliver":      3000 / 0.14,
		"Cloud Run: instances of publish":      20 * 600 / 0.16,
		"Cloud Run: instances of dispatch":     20 * 32 / 0.04, // its places; its processor would do for more
		"Cloud Run: instances of deliver":      40 * 600 / 0.78,
	}
	for name, rate := range tests {
		reached := func(rate float64) bool {
			for _, b := range makePlan(c, l, rate).reached {
				if b.name == name {
					return true
				}
			}
			return false
		}
		if reached(rate*0.999) || !reached(rate*1.001) {
			t.Errorf("%s is not what stops at %.0f/s", name, rate)
		}
	}
	if got := len(bottlenecks(c, l)); got != len(tests) {
		t.Errorf("%d limits, and %d are tried", got, len(tests))
	}
}

// TestSettingsLift: with what is to be set, nothing that can be set stops a rate any more.
func TestSettingsLift(t *testing.T) {
	for _, rate := range []float64{1e3, 1e4, 1e5, 1e6} {
		c, l := measuredCosts(), published()
		p := makePlan(c, l, rate)
		l.indexWrites.value *= p.shards
		for n, f := range []*function{&c.Publish, &c.Dispatch, &c.Deliver} {
			f.Instances = math.Max(f.Instances, p.instances[n])
		}
		for _, b := range makePlan(c, l, rate).reached {
			if strings.HasPrefix(b.name, "Cloud Run") || strings.Contains(b.name, "shard") {
				t.Errorf("%.0f/s: %s still stops at %.0f/s", rate, b.name, b.rate)
			}
		}
	}
}

func TestShards(t *testing.T) {
	for rate, want := range map[float64]string{
		1: "CALLOUT_SHARDS=1", 250: "CALLOUT_SHARDS=1", 251: "CALLOUT_SHARDS=2", 256_000: "CALLOUT_SHARDS=1024",
		256_001: "CALLOUT_SHARDS=513 in each of 2 databases", 1_000_000: "CALLOUT_SHARDS=1000 in each of 4 databases",
	} {
		if got := makePlan(measuredCosts(), published(), rate).shardSetting(); got != want {
			t.Errorf("%.0f/s: %s, want %s", rate, got, want)
		}
	}
}

// TestRamp: 500 operations at first, which are 166 events; half as many more each five minutes.
func TestRamp(t *testing.T) {
	for rate, want := range map[float64]float64{166: 0, 167: 5, 250: 5, 251: 10, 1000: 25} {
		if got := makePlan(measuredCosts(), published(), rate).ramp; got != want {
			t.Errorf("%.0f/s: %.0f min, want %.0f", rate, got, want)
		}
	}
}

// TestEveryLimitHasItsPage, and no number is in doubt without a word.
func TestEveryLimitHasItsPage(t *testing.T) {
	for _, l := range published().all() {
		if l.value <= 0 || l.what == "" || !strings.Contains(l.page, ".google.com/") {
			t.Errorf("%+v", l)
		}
	}
}

// TestDocument: what infra/README.md says of a million events is what is computed here.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../infra/README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := strings.Join(strings.Fields(string(text)), " ")
	const million = 1e6
	b := billFor(million)
	for _, want := range []string{
		fmt.Sprintf("(%.2f, %.2f and %.2f USD for 100,000 writes, reads and deletions)", writePrice, readPrice, deletionPrice),
		fmt.Sprintf("of Pub/Sub (%.0f USD a TiB), as known in %s", bytePrice, priceDate),
		fmt.Sprintf("| messages, %.0f GB |", million*trafficPerEvent/1e9),
		fmt.Sprintf("| %s: %.2f | %s: %.2f | %s: %.2f | %.2f | **%.2f USD**", grouped(million*writesPerEvent), b.writes,
			grouped(million*readsPerEvent), b.reads, grouped(million*deletionsPerEvent), b.deletions, b.messages, b.together()),
	} {
		if !strings.Contains(readme, want) {
			t.Errorf("infra/README.md does not say %q", want)
		}
	}
}

// TestInfra: concurrency and instances are those that infra sets.
func TestInfra(t *testing.T) {
	var table struct {
		Functions []struct {
			Name        string  `json:"name"`
			Concurrency float64 `json:"concurrency"`
		} `json:"functions"`
	}
	text, err := os.ReadFile("../../infra/functions.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	own := map[string]float64{}
	for _, f := range table.Functions {
		own[f.Name] = f.Concurrency
	}
	settings, err := os.ReadFile("../../infra/gcp/locals.tf")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range measuredCosts().functions() {
		found := regexp.MustCompile(`(?s)\n    ` + f.name + ` = \{.*?concurrency = (\d+).*?max = (\d+), cpu = "1"`).FindSubmatch(settings)
		if found == nil {
			t.Errorf("infra/gcp/locals.tf does not set up %s with one vCPU", f.name)
			continue
		}
		concurrency, _ := strconv.ParseFloat(string(found[1]), 64)
		instances, _ := strconv.ParseFloat(string(found[2]), 64)
		if own[f.name] > 0 {
			concurrency = own[f.name]
		}
		if f.Concurrency != concurrency || f.Instances != instances {
			t.Errorf("%s: %g requests at once in %g instances, and infra sets %g in %g", f.name, f.Concurrency, f.Instances, concurrency, instances)
		}
	}
}

// TestCosts: other costs replace those that they name.
func TestCosts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "costs.json")
	tests := []struct {
		name, text, want string
		more             []string
	}{
		{"a slower target", `{"deliver":{"millis":1000,"processorMillis":0.78,"concurrency":500,"instances":40}}`,
			"3,000/s  Pub/Sub: push window of deliver", nil},
		{"no concurrency", `{"deliver":{"concurrency":0}}`, "of deliver must be over 0", nil},
		{"no cost on a machine", `{"machine":{"eventMillis":0}}`, "machine must be over 0", nil},
		{"no JSON", `{`, path, nil},
		{"one machine", `{"machine":{"fixed":0.5,"eventMillis":0.5}}`, "2 processors: 3,000 events/s", []string{"-processors", "2"}},
		{"no machine", `{}`, "over 0", []string{"-processors", "-1"}},
	}
	for _, tt := range tests {
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err := run(append([]string{"-costs", path}, tt.more...), &out)
		if !strings.Contains(out.String()+fmt.Sprint(err), tt.want) {
			t.Errorf("%s: no %q: %v\n%s", tt.name, tt.want, err, &out)
		}
	}
}
