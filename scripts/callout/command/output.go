package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/scripts/callout/terminal"
	"github.com/callout-dev/callout/shared/action"
)

// show prints an answer: its JSON or YAML, or the rows that people want to see, the first of which is the header.
func (a *app) show(answer proto.Message, rows [][]string) error {
	if a.forMachines() {
		text, err := protojson.Marshal(answer)
		if err != nil {
			return err
		}
		return a.showJSON(text)
	}
	return a.showTable(rows)
}

// showTable prints rows in columns.
func (a *app) showTable(rows [][]string) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = terminal.Line(cell)
			if i < len(rows[0]) && rows[0][i] == stateHeader || i == 1 && row[0] == "state" { // all cells of the column, the header too: they stay in line
				cells[i] = a.paint.Paint(stateColours[cell], cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}

// stateHeader is the header of a column of states.
const stateHeader = "STATE"

// stateColours are those of the states of deliveries and of targets; what is not among them, like a delivery that is pending, is plain.
var stateColours = map[string]terminal.Colour{
	string(action.Delivered): terminal.Green, string(action.Retrying): terminal.Yellow, string(action.Dead): terminal.Red, string(action.Skipped): terminal.Grey,
	"active": terminal.Green, "paused": terminal.Yellow,
}

// forMachines says whether answers are printed as they are, and not as a table.
func (a *app) forMachines() bool { return a.output.value != "table" }

// showJSON prints JSON text in one form, whichever white space it came with, or the same as a YAML document.
func (a *app) showJSON(text []byte) error {
	var out bytes.Buffer
	if a.output.value == "yaml" {
		document, err := asYAML(text)
		if err != nil {
			return err
		}
		out.WriteString("---\n") // several may follow each other
		out.Write(document)
	} else {
		if err := json.Indent(&out, text, "", "  "); err != nil {
			return err
		}
		out.WriteByte('\n')
	}
	_, err := a.Out.Write(out.Bytes())
	return err
}

// asYAML writes JSON, which is YAML already, in YAML's own style, its fields in the same order.
func asYAML(text []byte) ([]byte, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	if err := plain(&node); err != nil {
		return nil, err
	}
	return yaml.Marshal(&node)
}

// plain takes JSON's style away, and quotes from all but what some reader of YAML could take for something else than text, such as "yes".
func plain(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode && node.Style == yaml.DoubleQuotedStyle {
		text, err := yaml.Marshal(node.Value)
		if err != nil || bytes.ContainsAny(text[:1], `"'|>`) {
			return err
		}
	}
	node.Style = 0
	for _, n := range node.Content {
		if err := plain(n); err != nil {
			return err
		}
	}
	return nil
}

// moment prints a time of the API; what never was is "-".
func moment(t *timestamppb.Timestamp) string {
	if t == nil || t.AsTime().IsZero() {
		return "-"
	}
	return t.AsTime().Format(time.RFC3339)
}
