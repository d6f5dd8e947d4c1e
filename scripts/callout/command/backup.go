package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/callout-dev/callout/scripts/callout/access"
	"github.com/callout-dev/callout/shared/backup"
)

const (
	// beginTime is how long the server may take until it sends: it copies the store first, which is quick where files can be linked.
	beginTime = 10 * time.Minute
	// silence is how long nothing may come after that.
	silence = time.Minute
)

func (a *app) backupCommand() *cobra.Command {
	var withoutKey bool
	cmd := &cobra.Command{
		Use:   "backup [FILE|-]",
		Short: "Back up a running installation on this machine",
		Long: `Back up the installation whose data folder --data is, while it runs and goes on: targets, executions, keys, events, deliveries and what is still to be
delivered, as they were when the backup began. FILE must not exist; without one it is callout-TIME.tar.zst in this folder. "-" is the standard output.

The file is read back and checked before it gets its name. It holds the issuer's keys and the clients' secrets in any case, and the seal key too, unless
--without-seal-key, or the server has its keys from CALLOUT_SEAL_KEYS: then keep that key elsewhere, because without it no secret in the backup can be read.
The file is an ordinary archive (tar, zstd) that ends with the sums of its files.

An installation that does not run is backed up by copying its folder.`,
		Example: `  callout backup
  callout backup /backups/monday.tar.zst --without-seal-key
  callout backup - | age -r RECIPIENT > monday.age`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			name := "callout-" + time.Now().UTC().Format("20060102T150405Z") + ".tar.zst"
			if len(args) > 0 {
				name = args[0]
			}
			return a.backup(ctx, name, withoutKey)
		}),
	}
	cmd.Flags().BoolVar(&withoutKey, "without-seal-key", false, "leave the seal key out; the server does not even send it")
	return cmd
}

func (a *app) backup(ctx context.Context, name string, withoutKey bool) error {
	choice, err := access.Choice{Data: a.flags.data}.Complete(a.Getenv)
	if err != nil {
		return err
	}
	server, err := access.ReadBackup(choice.Data)
	if err != nil {
		return err
	}
	if name == "-" {
		if f, ok := a.Out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			return usageErrorf("a backup is not for a terminal: send it to a file or a program")
		}
		m, err := a.fetch(ctx, server, withoutKey, a.Out)
		if err != nil {
			return err
		}
		return a.tell(a.Err, name, m)
	}
	m, err := a.backupTo(ctx, server, withoutKey, name)
	if err != nil {
		return err
	}
	return a.tell(a.Out, name, m)
}

// backupTo makes a file that is a whole backup or is not there at all. Until it is whole it has another name, and what is left under that
// after a kill is to be removed.
func (a *app) backupTo(ctx context.Context, server access.Backup, withoutKey bool, name string) (m backup.Manifest, err error) {
	if _, err := os.Lstat(name); err == nil {
		return m, fmt.Errorf("%s is there already, and a backup overwrites nothing: give another name", name)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*.partial") // made with mode 0600
	if err != nil {
		return m, err
	}
	defer func() { _ = os.Remove(f.Name()) }() // the whole file has its own name by then
	defer f.Close()
	if _, err := a.fetch(ctx, server, withoutKey, f); err != nil {
		return m, err
	}
	if err := f.Sync(); err != nil {
		return m, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return m, err
	}
	back := &guarded{ctx: ctx, from: f, came: func(int) {}}
	m, err = backup.Read(back, nil)
	if err := back.cause(err); err != nil {
		return m, fmt.Errorf("what was written is not what is read back: %w", err)
	}
	if err := place(f.Name(), name); err != nil {
		return m, err
	}
	return m, syncFolder(filepath.Dir(name))
}

// place gives a file its name. A link, unlike renaming, overwrites nothing; where the file system has none, it must be looked first.
func place(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s is there already", to))
	}
	return os.Rename(from, to)
}

// fetch asks for a backup and writes it, and returns only if all of it has come.
func (a *app) fetch(ctx context.Context, server access.Backup, withoutKey bool, to io.Writer) (backup.Manifest, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waiting := time.AfterFunc(beginTime, func() { cancel(errors.New("the server does not answer in time")) })
	defer waiting.Stop()
	address := server.URL
	if withoutKey {
		address += "?sealKey=false"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return backup.Manifest{}, err
	}
	request.Header.Set("Authorization", "Bearer "+server.Token)
	network := a.network.Clone()
	network.Proxy = nil // it is on this machine
	defer network.CloseIdleConnections()
	answer, err := (&http.Client{Transport: network, CheckRedirect: noRedirect}).Do(request)
	if err != nil {
		return backup.Manifest{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return backup.Manifest{}, refusedBackup(answer)
	}
	bar := a.transfer(-1, "backing up")
	from := &guarded{ctx: ctx, from: answer.Body, to: to, came: func(n int) {
		waiting.Reset(silence)
		_ = bar.Add(n) // a bar that cannot be drawn is no reason to stop
	}}
	m, err := backup.Read(from, nil)
	_ = bar.Clear()
	return m, from.cause(err)
}

// transfer is a bar on a terminal and nothing elsewhere, for bytes of which there are size, or -1.
func (a *app) transfer(size int64, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions64(size, progressbar.OptionSetVisibility(a.Terminal && size != 0), progressbar.OptionSetWriter(a.Err),
		progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(40),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

// guarded is a reader that ends with its context, passes on what it reads, says how much has come, and remembers what went wrong with these:
// who reads a backup from it takes that for a damaged backup.
type guarded struct {
	ctx   context.Context
	from  io.Reader
	to    io.Writer // nil: nobody
	came  func(n int)
	wrong error
}

// cause is why reading failed, where that was not what was read; it may have failed though who read has all.
func (g *guarded) cause(err error) error {
	switch {
	case g.wrong != nil:
		return g.wrong
	case err != nil && context.Cause(g.ctx) != nil:
		return context.Cause(g.ctx)
	}
	return err
}

// Read implements io.Reader.
func (g *guarded) Read(p []byte) (int, error) {
	if err := context.Cause(g.ctx); err != nil {
		return 0, err
	}
	n, err := g.from.Read(p)
	if cause := context.Cause(g.ctx); cause != nil {
		return n, cause
	}
	if err != nil && err != io.EOF {
		g.wrong = fmt.Errorf("the backup broke off: %w", err)
		return n, g.wrong
	}
	g.came(n)
	if g.to != nil && n > 0 {
		if _, err := g.to.Write(p[:n]); err != nil {
			g.wrong = err
			return n, err
		}
	}
	return n, err
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
