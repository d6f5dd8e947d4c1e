package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/callout-dev/callout/scripts/callout/feed"
)

// refusedLine is a line that was not accepted, for programs.
type refusedLine struct {
	Line    int    `json:"line"`
	Message string `json:"message"`
}

func (a *app) eventImport() *cobra.Command {
	var keepGoing bool
	var source string
	cmd := &cobra.Command{
		Use:   "import FILE|-",
		Short: "Publish the events of a file, one JSON object a line",
		Long: `Publish the events of a file, one JSON object a line: {"type","subject","data"}, a CloudEvent, or an event in the shape that targets receive
({"event_type","event_payload",…}). A line without an id is given one that follows from its content, so that importing a file again,
after mending or extending it, delivers only what is new (within the seven days that an event is known for).

The import stops at the first line that is refused, unless --keep-going, and has failed in both cases.`,
		Example: `  callout event import events.jsonl
  zcat events.jsonl.gz | callout event import - --keep-going`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error { return a.importFile(ctx, args[0], source, keepGoing) }),
	}
	cmd.Flags().BoolVar(&keepGoing, "keep-going", false, "go on after lines that are refused")
	cmd.Flags().StringVar(&source, "source", "callout-import", "source of CloudEvents that name none; it is part of what makes two events the same")
	return cmd
}

func (a *app) importFile(ctx context.Context, path, source string, keepGoing bool) error {
	if source == "" {
		return usageErrorf("--source must not be empty")
	}
	file, size, err := a.open(path)
	if err != nil {
		return usageErrorf("%v", err)
	}
	defer file.Close()
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	bar := a.progress("importing", size, progressbar.OptionShowBytes(true))
	clear := func() { _ = bar.Clear() } // a bar that cannot be drawn is no reason to stop
	lines := []refusedLine{}
	job := feed.Import{
		Client:    a.feed(c, clear),
		KeepGoing: keepGoing,
		Refused: func(line int, message string) {
			clear()
			a.complain(fmt.Sprintf("line %d: %s", line, message))
			if a.forMachines() {
				lines = append(lines, refusedLine{line, message})
			}
		},
		Progress: func(read int64) { _ = bar.Set64(read) },
	}
	result, err := job.Run(ctx, feed.NewReader(file, source))
	clear()
	if err == nil || result != (feed.Result{}) { // what fails at once has nothing to count
		err = errors.Join(err, a.showImport(result, lines))
	}
	switch {
	case err != nil:
		return err
	case result.Refused > 0 && !keepGoing:
		return fmt.Errorf("stopped at the refused line; mend it and import the file again: what was accepted is not delivered twice")
	case result.Refused > 0:
		return fmt.Errorf("%d lines were refused", result.Refused)
	}
	return nil
}

func (a *app) showImport(result feed.Result, lines []refusedLine) error {
	if !a.forMachines() {
		_, err := fmt.Fprintf(a.Out, "%d accepted, %d refused\n", result.Accepted, result.Refused)
		return err
	}
	text, err := json.Marshal(struct {
		Accepted int           `json:"accepted"`
		Refused  []refusedLine `json:"refused"`
	}{result.Accepted, lines})
	if err != nil {
		return err
	}
	return a.showJSON(text)
}

// open gives a file and its size, -1 where nobody knows.
func (a *app) open(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(a.In), -1, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return f, -1, nil
	}
	return f, info.Size(), nil
}
