package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/scripts/callout/terminal"
)

// show prints an answer: its JSON, or the rows that people want to see, the first of which is the header.
func (a *app) show(answer proto.Message, rows [][]string) error {
	if a.output.value == "json" {
		text, err := protojson.Marshal(answer)
		if err != nil {
			return err
		}
		return a.showJSON(text)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = terminal.Line(cell)
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	return w.Flush()
}

// showJSON prints JSON text in one form, whichever white space it came with.
func (a *app) showJSON(text []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := a.Out.Write(out.Bytes())
	return err
}

// moment prints a time of the API; what never was is "-".
func moment(t *timestamppb.Timestamp) string {
	if t == nil || t.AsTime().IsZero() {
		return "-"
	}
	return t.AsTime().Format(time.RFC3339)
}
