package command

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/callout-dev/callout/scripts/callout/access"
	"github.com/callout-dev/callout/shared/backup"
)

func (a *app) restoreCommand() *cobra.Command {
	var verify bool
	cmd := &cobra.Command{
		Use:   "restore FILE|-",
		Short: "Make a data folder of a backup",
		Long: `Make the data folder --data of a backup. The folder must not exist, or be empty; nothing is overwritten, and nothing is left if the file is not a whole
backup. A folder of a restore that was killed has a store and no file FORMAT: no emulator starts from it; remove it.

What is restored is the same installation, with the same keys, clients and secrets: what was to be delivered when the backup was made is delivered, also what
the original has delivered since. So never let both run. A backup of a newer format than this program knows is refused. Older data is upgraded by the emulator
that starts from it, and an emulator that is older than the data says so and does not start.

With --verify the file is only read and checked against its sums.`,
		Example: `  callout restore callout-20261124T020840Z.tar.zst --verify
  callout restore callout-20261124T020840Z.tar.zst --data /var/lib/callout`,
		Args: cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, args []string) error {
			if verify {
				return a.verify(ctx, args[0])
			}
			return a.restore(ctx, args[0])
		}),
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "restore nothing; say what is in the file and whether it is whole")
	return cmd
}

func (a *app) verify(ctx context.Context, name string) error {
	m, err := a.readBackup(ctx, name, "checking", func(from io.Reader) (backup.Manifest, error) { return backup.Read(from, nil) })
	if err != nil {
		return err
	}
	return a.tell(a.Out, name, m)
}

func (a *app) restore(ctx context.Context, name string) error {
	choice, err := access.Choice{Data: a.flags.data}.Complete(a.Getenv)
	if err != nil {
		return err
	}
	m, err := a.readBackup(ctx, name, "restoring", func(from io.Reader) (backup.Manifest, error) { return backup.Restore(from, choice.Data) })
	if err != nil {
		return err
	}
	if err := a.tell(a.Out, name, m); err != nil || a.forMachines() {
		return err
	}
	fmt.Fprintf(a.Out, "It is restored into %s.\n", choice.Data)
	if !m.SealKey.Included {
		fmt.Fprintf(a.Out, "Before the start, put the seal key into %s (mode 0600), or give it in CALLOUT_SEAL_KEYS; the server checks it.\n", filepath.Join(choice.Data, "seal.key"))
	}
	_, err = fmt.Fprintf(a.Out, "Start it with -data %s%s, and never beside the original.\n", choice.Data, addresses(m))
	return err
}

// addresses is the flag with which tokens that were given stay good.
func addresses(m backup.Manifest) string {
	u, err := url.Parse(m.Issuer)
	if err != nil || u.Port() == "" {
		return ""
	}
	return " -issuer " + u.Host + " (tokens are good for that address alone)"
}

func (a *app) readBackup(ctx context.Context, name, what string, read func(io.Reader) (backup.Manifest, error)) (backup.Manifest, error) {
	file, size, err := a.open(name)
	if err != nil {
		return backup.Manifest{}, usageErrorf("%v", err)
	}
	defer file.Close()
	bar := a.transfer(size, what)
	from := &guarded{ctx: ctx, from: file, came: func(n int) { _ = bar.Add(n) }}
	m, err := read(from)
	_ = bar.Clear()
	return m, from.cause(err)
}
