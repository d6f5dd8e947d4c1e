package access

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
)

// Choice is what the user said; what is empty, they did not say. Token, ServiceAccount, ClientID and Client are ways to say who is
// calling: the first of them that is there counts.
type Choice struct {
	// Data is the folder of local.json.
	Data        string
	API, Issuer string
	// Token is an access token.
	Token string
	// ServiceAccount is the path of a key file.
	ServiceAccount         string
	ClientID, ClientSecret string
	// Client names one of local.json's clients.
	Client string
	// WithoutAPI: a token is wanted, and nothing is called with it.
	WithoutAPI bool
}

// ChoiceError says that what the user said cannot be.
type ChoiceError struct{ Text string }

func (e *ChoiceError) Error() string { return e.Text }

func choiceErrorf(format string, args ...any) error {
	return &ChoiceError{Text: fmt.Sprintf(format, args...)}
}

// Settings say where the API is and how to get a token for it.
type Settings struct {
	// API has no slash at its end.
	API    string
	Issuer string
	// Who prints as the caller in errors.
	Who string

	token   string
	client  Client
	account *serviceAccount
}

// Settle completes what the user said with local.json, which it reads only where something is missing. The error is a *ChoiceError, a
// *MissingError, or says which file is wrong. A secret of local.json is never meant for an issuer or an API that is not local.json's.
func (c Choice) Settle() (Settings, error) {
	s := Settings{API: c.API, Issuer: c.Issuer}
	own := c.Token != "" || c.ServiceAccount != "" || c.ClientID != "" || c.ClientSecret != ""
	var local Local
	if s.API == "" && !c.WithoutAPI || c.Token == "" && s.Issuer == "" || !own {
		var err error
		local, err = ReadLocal(c.Data)
		if missing, ok := errors.AsType[*MissingError](err); ok {
			return Settings{}, c.wants(missing, own)
		}
		if err != nil {
			return Settings{}, err
		}
		if s.API == "" {
			s.API = local.API
		}
		if s.Issuer == "" {
			s.Issuer = local.Issuer
		}
	}
	s.API = strings.TrimRight(s.API, "/")
	if err := checkURL(s.API); err != nil && !(c.WithoutAPI && s.API == "") {
		return Settings{}, choiceErrorf("--api %q: %v", c.API, err)
	}
	if err := c.identify(&s, local); err != nil {
		return Settings{}, err
	}
	if s.token != "" {
		return s, nil
	}
	if err := checkURL(s.Issuer); err != nil {
		return Settings{}, choiceErrorf("--issuer %q: %v", c.Issuer, err)
	}
	if u, err := url.Parse(s.Issuer); err == nil && u.Scheme == "http" && !isLoopback(u) {
		return Settings{}, choiceErrorf("--issuer %q: http is for loopback only, because secrets go there", s.Issuer)
	}
	return s, nil
}

// wants adds what else must be said, where something was.
func (c Choice) wants(missing *MissingError, own bool) error {
	if c.API == "" && c.Issuer == "" && !own {
		return missing
	}
	if c.API == "" && !c.WithoutAPI {
		missing.Wants = append(missing.Wants, "--api")
	}
	if c.Issuer == "" && c.Token == "" {
		missing.Wants = append(missing.Wants, "--issuer")
	}
	if !own {
		missing.Wants = append(missing.Wants, "who is calling (--client-id, --service-account or --token)")
	}
	return missing
}

// identify says who is calling.
func (c Choice) identify(s *Settings, local Local) error {
	switch {
	case c.Token != "":
		s.Who, s.token = "the given token", c.Token
		return nil
	case c.ServiceAccount != "":
		account, err := readServiceAccount(c.ServiceAccount)
		s.Who, s.account = "service account "+account.UserID, &account
		return err
	case c.ClientID != "" && c.ClientSecret != "":
		s.Who, s.client = "client "+c.ClientID, Client{ID: c.ClientID, Secret: c.ClientSecret}
		return nil
	case c.ClientID != "":
		return choiceErrorf("a client's id needs its secret: --client-secret or CALLOUT_CLIENT_SECRET")
	case c.ClientSecret != "":
		return choiceErrorf("a client's secret needs its id: --client-id or CALLOUT_CLIENT_ID")
	}
	path := filepath.Join(c.Data, "local.json")
	client, ok := local.Clients[c.Client]
	if !ok || client.Secret == "" {
		return choiceErrorf("--client %q: %s has no such client with a secret; there are admin, viewer and nobody", c.Client, path)
	}
	if s.Issuer != local.Issuer || isForeign(s.API, local.API) {
		return choiceErrorf("the clients of %s are for %s alone: for another API or issuer give --client-id and --client-secret, --service-account or --token", path, local.API)
	}
	s.Who, s.client = "client "+client.ID, client
	return nil
}

// isForeign says whether an API is not the local one. Other names of this machine may be a proxy before it.
func isForeign(api, local string) bool {
	u, err := url.Parse(api)
	return api != strings.TrimRight(local, "/") && (err != nil || !isLoopback(u))
}

func isLoopback(u *url.URL) bool {
	return u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}

// checkURL wants the address of a service.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("it must be http://HOST[:PORT] or https://HOST[:PORT]")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("it must not hold credentials, a query or a fragment")
	}
	return nil
}
