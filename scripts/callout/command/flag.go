package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/callout-dev/callout/scripts/callout/access"
)

// flags are those that every command has.
type flags struct {
	data, api, issuer, client, clientID, clientSecret, serviceAccount, token string
}

// settle completes the flags with the environment and local.json. What a flag says about who is calling makes the environment's word on
// that count for nothing.
func (a *app) settle(withoutAPI bool) (access.Settings, error) {
	f := a.flags
	c := access.Choice{Data: f.data, API: f.api, Issuer: f.issuer, Client: f.client, ClientID: f.clientID, ClientSecret: f.clientSecret,
		ServiceAccount: f.serviceAccount, Token: f.token, WithoutAPI: withoutAPI}
	if c.Data == "" {
		c.Data = a.Getenv("CALLOUT_DATA")
	}
	if c.Data == "" {
		c.Data = ".callout"
	}
	ways := 0
	for _, said := range []bool{c.Token != "", c.ServiceAccount != "", c.ClientID != "" || c.ClientSecret != "", c.Client != ""} {
		if said {
			ways++
		}
	}
	switch {
	case ways > 1:
		return access.Settings{}, usageErrorf("--token, --service-account, --client-id and --client say who is calling: give one of them")
	case ways == 0:
		c.Token, c.ClientID, c.ClientSecret = a.Getenv("CALLOUT_TOKEN"), a.Getenv("CALLOUT_CLIENT_ID"), a.Getenv("CALLOUT_CLIENT_SECRET")
	case c.ClientID != "" && c.ClientSecret == "":
		c.ClientSecret = a.Getenv("CALLOUT_CLIENT_SECRET")
	case c.ClientSecret != "" && c.ClientID == "":
		c.ClientID = a.Getenv("CALLOUT_CLIENT_ID")
	}
	if c.Client == "" {
		c.Client = "admin"
	}
	return c.Settle()
}

// choice is a flag that takes one of some words.
type choice struct {
	value   string
	allowed []string
}

// String is the word.
func (c *choice) String() string { return c.value }

// Type is what help prints as the flag's value.
func (c *choice) Type() string { return strings.Join(c.allowed, "|") }

// Set takes one of the allowed words.
func (c *choice) Set(value string) error {
	if !slices.Contains(c.allowed, value) {
		return fmt.Errorf("it must be one of %s", strings.Join(c.allowed, ", "))
	}
	c.value = value
	return nil
}

// usageError says that a command was not understood.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usageErrorf(format string, args ...any) error {
	return &usageError{text: fmt.Sprintf(format, args...)}
}

func isUsage(err error) bool {
	_, ours := errors.AsType[*usageError](err)
	_, choice := errors.AsType[*access.ChoiceError](err)
	return ours || choice
}
