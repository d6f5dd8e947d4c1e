package command

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "token",
		Short: "Print an access token for the API",
		Example: `  curl -H "Authorization: Bearer $(callout token)" http://127.0.0.1:8080/v2/actions/targets/search -d '{}'
  callout token --client viewer
  callout token --service-account key.json --issuer https://id.example.org`,
		Args: cobra.NoArgs,
		RunE: a.run(a.printToken),
	}
}

func (a *app) printToken(ctx context.Context, _ []string) error {
	_, tokens, err := a.tokens(ctx, true)
	if err != nil {
		return err
	}
	token, err := tokens.Token()
	if err != nil {
		return err
	}
	if !a.forMachines() {
		_, err = fmt.Fprintln(a.Out, token.AccessToken)
		return err
	}
	answer := struct {
		AccessToken string     `json:"access_token"`
		TokenType   string     `json:"token_type"`
		Expiry      *time.Time `json:"expiry,omitempty"`
	}{AccessToken: token.AccessToken, TokenType: token.Type()}
	if !token.Expiry.IsZero() {
		expiry := token.Expiry.UTC().Truncate(time.Second)
		answer.Expiry = &expiry
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return a.showJSON(text)
}
