package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	calloutv1 "github.com/callout-dev/callout/shared/gen/callout/v1"
)

func (a *app) webKeyRotate() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Publish the next key, which signs after an hour",
		Long: `Publish the next key, which signs after an hour. Where one waits for its time already, nothing changes. The former key stays published
until nothing that it has signed can be on its way. Keys that are 90 days old are rotated without this.`,
		Example: "  callout web-key rotate",
		Args:    cobra.NoArgs,
		RunE:    a.run(func(ctx context.Context, _ []string) error { return a.rotateWebKeys(ctx) }),
	}
}

func (a *app) rotateWebKeys(ctx context.Context) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	answer, err := c.keys.RotateKeys(ctx, &calloutv1.RotateKeysRequest{})
	if err != nil {
		return err
	}
	rows := [][]string{{"KEY", "ALGORITHM", "CREATED", "SIGNS", "PUBLISHED UNTIL"}}
	for _, k := range answer.GetKeys() {
		rows = append(rows, []string{
			k.GetKeyId(), k.GetAlgorithm(), moment(k.GetCreationDate()), moment(k.GetSigningDate()), moment(k.GetExpirationDate()),
		})
	}
	return a.show(answer, rows)
}

func (a *app) webKeyList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the keys that receivers verify payloads with, as everybody sees them",
		Example: "  callout web-key list",
		Args:    cobra.NoArgs,
		RunE:    a.run(func(ctx context.Context, _ []string) error { return a.listWebKeys(ctx) }),
	}
}

// keySet is a JWKS, as far as it is shown.
type keySet struct {
	Keys []struct {
		ID        string `json:"kid"`
		Kind      string `json:"kty"`
		Algorithm string `json:"alg"`
	} `json:"keys"`
}

func (a *app) listWebKeys(ctx context.Context) error {
	settings, err := a.settle(false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, settings.API+"/oauth/v2/keys", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: a.network, CheckRedirect: noRedirect}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	document, err := io.ReadAll(io.LimitReader(response.Body, maxIssuerAnswer))
	if err != nil {
		return err
	}
	var set keySet
	if err := json.Unmarshal(document, &set); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/oauth/v2/keys answers %s, and no keys", settings.API, response.Status)
	}
	if a.forMachines() {
		return a.showJSON(document)
	}
	rows := [][]string{{"KEY", "KIND", "ALGORITHM"}}
	for _, k := range set.Keys {
		rows = append(rows, []string{k.ID, k.Kind, k.Algorithm})
	}
	return a.showTable(rows)
}
