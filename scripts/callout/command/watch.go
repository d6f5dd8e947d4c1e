package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/callout-dev/callout/scripts/callout/terminal"
)

const (
	watchPace = 2 * time.Second
	// minWatchPace keeps a forgotten terminal from being a burden.
	minWatchPace = time.Second
)

// look asks the API and prints what it says.
type look func(ctx context.Context, c *connection, args []string) error

// watchable makes a command of a look, which --watch repeats.
func (a *app) watchable(cmd *cobra.Command, look look) *cobra.Command {
	var watch bool
	var pace time.Duration
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "look again and again until interrupted; elsewhere than on a terminal, print what has changed")
	cmd.Flags().DurationVar(&pace, "interval", watchPace, "how long --watch waits between looks, 1s at the least")
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		switch {
		case !watch && cmd.Flags().Changed("interval"):
			return usageErrorf("--interval goes with --watch")
		case pace < minWatchPace:
			return usageErrorf("--interval must be at least %s", minWatchPace)
		}
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		if !watch {
			return look(ctx, c, args)
		}
		w := &watcher{app: a, title: strings.Join(append([]string{cmd.CommandPath()}, args...), " "), pace: pace,
			look: func(ctx context.Context) error { return look(ctx, c, args) }}
		return w.run(ctx)
	})
	return cmd
}

// watcher repeats a look.
type watcher struct {
	*app
	title string
	pace  time.Duration
	look  func(ctx context.Context) error

	screen *terminal.Screen // nil where nothing can be redrawn
	shown  string           // what the last good look printed
	failed bool             // the last look
}

// run looks until ctx ends, which is no error, and until a look fails for good.
func (w *watcher) run(ctx context.Context) error {
	if w.Screen {
		w.screen = &terminal.Screen{Out: w.Out, Rows: w.rows}
		defer func() {
			w.screen.End()
			fmt.Fprint(w.Out, w.shown) // the last one stays
		}()
	}
	ticker := time.NewTicker(w.pace)
	defer ticker.Stop()
	for first := true; ; first = false {
		text, err := w.capture(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && (first || !isPassing(err)) {
			return err
		}
		if err := w.tell(text, err); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *watcher) rows() int {
	if w.Rows == nil {
		return 0
	}
	return w.Rows()
}

// capture gives what a look prints.
func (w *watcher) capture(ctx context.Context) (string, error) {
	out := w.Out
	defer func() { w.Out = out }()
	var text bytes.Buffer
	w.Out = &text
	err := w.look(ctx)
	return text.String(), err
}

// isPassing says whether the same look may succeed soon.
func isPassing(err error) bool {
	if _, ok := errors.AsType[*url.Error](err); ok { // nobody answers
		return true
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeResourceExhausted, connect.CodeAborted:
		return true
	}
	return false
}

// tell shows what a look printed, or beside what the last good one did, why it failed.
func (w *watcher) tell(text string, failure error) error {
	state := fmt.Sprintf("every %s, %s", w.pace, time.Now().Format(time.TimeOnly))
	if failure != nil {
		text = w.shown
		state, _ = w.explain(failure)
	}
	fresh := text != w.shown || w.shown == ""
	w.shown = text
	switch {
	case w.screen != nil:
		head := w.paint.Paint(terminal.Grey, w.title+"  "+state)
		if failure != nil {
			head = w.paint.Paint(terminal.Red, w.title+"  "+state)
		}
		return w.screen.Draw(append([]string{head, ""}, strings.Split(strings.TrimSuffix(text, "\n"), "\n")...))
	case failure != nil:
		if !w.failed {
			w.complain(state + "; looking again")
		}
		w.failed = true
		return nil
	}
	w.failed = false
	if !fresh {
		return nil
	}
	_, err := fmt.Fprint(w.Out, text)
	return err
}
