package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/store"
)

// resealLine is after how many documents a line says how far it has come, where no bar does.
const resealLine = 5000

func (a *app) resealCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "reseal",
		Short: "Seal all secrets at rest anew under the first of CALLOUT_SEAL_KEYS",
		Long: `Seal all secrets at rest, the signing keys of targets and the web keys of instances, anew under the first of CALLOUT_SEAL_KEYS. It works on the database and
not through the API, and reads the environment of the functions: GOOGLE_CLOUD_PROJECT, CALLOUT_DATABASE, CALLOUT_SEAL_KEYS, and
FIRESTORE_EMULATOR_HOST for a server on this machine. It can be broken off and run again, while everything else runs on.

To replace the key k1 by k2, with every process restarted at each of the first two steps:
  1. CALLOUT_SEAL_KEYS=k1:…,k2:…  everybody opens what k2 seals
  2. CALLOUT_SEAL_KEYS=k2:…,k1:…  everybody seals with k2
  3. callout reseal               with the keys of step 2
  4. callout reseal --dry-run     all values must be under k2, and all must open
  5. CALLOUT_SEAL_KEYS=k2:…

A value that cannot be opened is named by its document and stays as it is, and the command has failed.`,
		Example: "  callout reseal --dry-run\n  callout reseal",
		Args:    cobra.NoArgs,
		RunE:    a.run(func(ctx context.Context, _ []string) error { return a.reseal(ctx, dryRun) }),
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing; tell how many values are under which key id")
	return cmd
}

func (a *app) reseal(ctx context.Context, dryRun bool) error {
	database, err := a.database(ctx)
	if err != nil {
		return err
	}
	next := resealLine
	bar := a.progress("resealing", -1)
	result, err := database.Store.Reseal(ctx, store.Reseal{
		DryRun: dryRun,
		Unreadable: func(document string, err error) {
			_ = bar.Clear() // a bar that cannot be drawn is no reason to stop
			a.complain(document + ": " + err.Error())
		},
		Progress: func(r store.Resealed) {
			_ = bar.Set(r.Documents)
			if r.Documents >= next && !a.Terminal {
				fmt.Fprintf(a.Err, "%d documents read\n", r.Documents)
				next = r.Documents + resealLine
			}
		},
	})
	_ = bar.Clear()
	if err == nil || result.Documents > 0 { // what fails at once has nothing to count
		err = errors.Join(err, a.showReseal(result, dryRun))
	}
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	if err = errors.Join(err, database.Close()); err == nil && result.Unreadable > 0 {
		err = fmt.Errorf("%d values cannot be opened: their keys are not among CALLOUT_SEAL_KEYS, or they were changed", result.Unreadable)
	}
	return err
}

// database opens the database that the environment names.
func (a *app) database(ctx context.Context) (*env.Clients, error) {
	config, err := env.Read(a.Environ)
	if err == nil && (config.Project == "" || config.SealKeys == "") {
		err = errors.New("GOOGLE_CLOUD_PROJECT and CALLOUT_SEAL_KEYS must be set")
	}
	if err != nil {
		return nil, usageErrorf("the environment: %v", err)
	}
	var network env.Network
	if network.Firestore, err = a.service(config.FirestoreHost); err != nil {
		return nil, err
	}
	return env.OpenDatabase(ctx, config, network, slog.New(slog.DiscardHandler))
}

// service reaches one of Google's services through the network of this process, where it has one of its own; nil otherwise.
func (a *app) service(host string) (*grpc.ClientConn, error) {
	if a.Dial == nil || host == "" {
		return nil, nil
	}
	dial := func(ctx context.Context, address string) (net.Conn, error) { return a.Dial(ctx, "tcp", address) }
	return grpc.NewClient("passthrough:///"+host, grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func (a *app) showReseal(r store.Resealed, dryRun bool) error {
	if a.forMachines() {
		text, err := json.Marshal(struct {
			Documents  int            `json:"documents"`
			Keys       map[string]int `json:"keys"`
			Stale      int            `json:"stale"`
			Unreadable int            `json:"unreadable"`
			DryRun     bool           `json:"dryRun"`
		}{r.Documents, r.Keys, r.Stale, r.Unreadable, dryRun})
		if err != nil {
			return err
		}
		return a.showJSON(text)
	}
	rows := [][]string{{"KEY ID", "VALUES FOUND"}}
	for _, id := range slices.Sorted(maps.Keys(r.Keys)) {
		shown := id
		if id == "" {
			shown = "none"
		}
		rows = append(rows, []string{shown, strconv.Itoa(r.Keys[id])})
	}
	if err := a.show(nil, rows); err != nil {
		return err
	}
	done := "sealed anew"
	if dryRun {
		done = "to be sealed anew"
	}
	_, err := fmt.Fprintf(a.Out, "%d documents, %d values %s, %d cannot be opened\n", r.Documents, r.Stale, done, r.Unreadable)
	return err
}
