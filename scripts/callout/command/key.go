package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

func (a *app) keyAdd() *cobra.Command {
	var file string
	var lasts time.Duration
	var activate bool
	cmd := &cobra.Command{
		Use:   "add TARGET --file PEM",
		Short: "Add a public key to a target; prints the key's id",
		Example: `  callout key add demo --file public.pem --activate
  callout key add demo --file next.pem --expires-in 8760h`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&file, "file", "", `PEM file of an RSA or ECDSA public key; "-" is the standard input`)
	cmd.Flags().DurationVar(&lasts, "expires-in", 0, "how long the key is good; without it, for good")
	cmd.Flags().BoolVar(&activate, "activate", false, "make it the active key at once")
	_ = cmd.MarkFlagRequired("file") // fails only for flags that do not exist
	cmd.RunE = a.run(func(ctx context.Context, args []string) error {
		if lasts < 0 || cmd.Flags().Changed("expires-in") && lasts == 0 {
			return usageErrorf("--expires-in must be more than 0s")
		}
		return a.addKey(ctx, args[0], file, lasts, activate)
	})
	return cmd
}

func (a *app) addKey(ctx context.Context, reference, file string, lasts time.Duration, activate bool) error {
	text, err := a.readFile(file)
	if err != nil {
		return err
	}
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	t, err := c.target(ctx, reference)
	if err != nil {
		return err
	}
	request := &actionv2.AddPublicKeyRequest{TargetId: t.GetId(), PublicKey: text}
	if lasts > 0 {
		request.ExpirationDate = timestamppb.New(time.Now().Add(lasts))
	}
	answer, err := c.actions.AddPublicKey(ctx, request)
	if err != nil {
		return err
	}
	rows := [][]string{{"target", shownTarget(t.GetName(), t.GetId())}, {"key", answer.GetKeyId()}, {"created", moment(answer.GetCreationDate())}}
	if activate {
		active, err := c.actions.ActivatePublicKey(ctx, &actionv2.ActivatePublicKeyRequest{TargetId: t.GetId(), KeyId: answer.GetKeyId()})
		if err != nil {
			return fmt.Errorf("key %s was added, and not activated: %w", answer.GetKeyId(), err)
		}
		rows = append(rows, []string{"active since", moment(active.GetChangeDate())})
	}
	return a.show(answer, rows)
}

func (a *app) keyList() *cobra.Command {
	return &cobra.Command{
		Use:     "list TARGET",
		Short:   "List a target's public keys",
		Example: "  callout key list demo",
		Args:    cobra.ExactArgs(1),
		RunE:    a.run(a.listKeys),
	}
}

func (a *app) listKeys(ctx context.Context, args []string) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	t, err := c.target(ctx, args[0])
	if err != nil {
		return err
	}
	list, err := c.listKeys(ctx, t.GetId())
	if err != nil {
		return err
	}
	rows := [][]string{{"KEY", "ACTIVE", "FINGERPRINT", "EXPIRES", "CREATED"}}
	for _, k := range list.GetPublicKeys() {
		active := "no"
		if k.GetActive() {
			active = "yes"
		}
		rows = append(rows, []string{k.GetKeyId(), active, k.GetFingerprint(), moment(k.GetExpirationDate()), moment(k.GetCreationDate())})
	}
	return a.show(list, rows)
}

// listKeys reads all pages, as listTargets does.
func (c *connection) listKeys(ctx context.Context, target string) (*actionv2.ListPublicKeysResponse, error) {
	all := &actionv2.ListPublicKeysResponse{}
	for range maxPages {
		page, err := c.actions.ListPublicKeys(ctx, &actionv2.ListPublicKeysRequest{TargetId: target,
			Pagination: &filterv2.PaginationRequest{Offset: uint64(len(all.PublicKeys)), Limit: pageSize, Asc: true}})
		if err != nil {
			return nil, err
		}
		all.PublicKeys = append(all.PublicKeys, page.GetPublicKeys()...)
		if all.Pagination == nil {
			all.Pagination = page.GetPagination()
		}
		if len(page.GetPublicKeys()) == 0 || uint64(len(all.PublicKeys)) >= page.GetPagination().GetTotalResult() {
			return all, nil
		}
	}
	return nil, fmt.Errorf("there are more than %d keys", maxPages*pageSize)
}

// keyChange is a command on one key: what it does, and what it then says of when.
func (a *app) keyChange(use, short, done string, change func(ctx context.Context, c *connection, target, key string) (proto.Message, *timestamppb.Timestamp, error)) *cobra.Command {
	return &cobra.Command{
		Use:     use + " TARGET KEY",
		Short:   short,
		Example: "  callout key " + use + " demo 3f6d2c",
		Args:    cobra.ExactArgs(2),
		RunE: a.run(func(ctx context.Context, args []string) error {
			c, err := a.connect(ctx)
			if err != nil {
				return err
			}
			t, err := c.target(ctx, args[0])
			if err != nil {
				return err
			}
			answer, at, err := change(ctx, c, t.GetId(), args[1])
			if err != nil {
				return err
			}
			return a.show(answer, [][]string{{"target", shownTarget(t.GetName(), t.GetId())}, {"key", args[1]}, {done, moment(at)}})
		}),
	}
}

func (a *app) keyActivate() *cobra.Command {
	return a.keyChange("activate", "Make a key the target's active one, in place of the one that was", "changed",
		func(ctx context.Context, c *connection, target, key string) (proto.Message, *timestamppb.Timestamp, error) {
			answer, err := c.actions.ActivatePublicKey(ctx, &actionv2.ActivatePublicKeyRequest{TargetId: target, KeyId: key})
			return answer, answer.GetChangeDate(), err
		})
}

func (a *app) keyDeactivate() *cobra.Command {
	return a.keyChange("deactivate", "Leave the target without an active key, if this is the one", "changed",
		func(ctx context.Context, c *connection, target, key string) (proto.Message, *timestamppb.Timestamp, error) {
			answer, err := c.actions.DeactivatePublicKey(ctx, &actionv2.DeactivatePublicKeyRequest{TargetId: target, KeyId: key})
			return answer, answer.GetChangeDate(), err
		})
}

func (a *app) keyRemove() *cobra.Command {
	return a.keyChange("remove", "Remove a key that is not active", "removed",
		func(ctx context.Context, c *connection, target, key string) (proto.Message, *timestamppb.Timestamp, error) {
			answer, err := c.actions.RemovePublicKey(ctx, &actionv2.RemovePublicKeyRequest{TargetId: target, KeyId: key})
			return answer, answer.GetDeletionDate(), err
		})
}
