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

// settle completes the flags with the environment and local.json.
func (a *app) settle(withoutAPI bool) (access.Settings, error) {
	c, err := a.choice(withoutAPI)
	if err != nil {
		return access.Settings{}, err
	}
	return c.Settle()
}

// choice completes the flags with the environment.
func (a *app) choice(withoutAPI bool) (access.Choice, error) {
	f := a.flags
	return access.Choice{Data: f.data, API: f.api, Issuer: f.issuer, Client: f.client, ClientID: f.clientID, ClientSecret: f.clientSecret,
		ServiceAccount: f.serviceAccount, Token: f.token, WithoutAPI: withoutAPI}.Complete(a.Getenv)
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
