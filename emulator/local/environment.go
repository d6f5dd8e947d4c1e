package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/callout-dev/callout/shared/env"
	"github.com/callout-dev/callout/shared/seal"
)

const (
	// sealKeyFile holds the key that seals secrets at rest.
	sealKeyFile  = "seal.key"
	sealVariable = "CALLOUT_SEAL_KEYS"
	// issuerFile is the issuer's, written on the first start.
	issuerFile = "issuer.json"
)

// own are the variables that name services: an installation on one machine sets them itself.
var own = []string{"PORT", "FUNCTION_TARGET", "GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "CALLOUT_DATABASE",
	"CALLOUT_ISSUER", "CALLOUT_AUDIENCE", "CALLOUT_INTROSPECTION_CLIENT_ID", "CALLOUT_INTROSPECTION_CLIENT_SECRET",
	"CALLOUT_PUSH_ISSUER", "CALLOUT_PUSH_AUDIENCE", "CALLOUT_PUSH_ACCOUNTS", "CALLOUT_EGRESS_ALLOW",
	"CALLOUT_URL", "CALLOUT_CONSOLE_CLIENT_ID"}

// environment is the configuration of the functions of this process.
func (g *ground) environment(c Config) (env.Config, error) {
	variables := map[string]string{}
	for _, entry := range c.Environ {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}
	allow := strings.Trim(c.EgressAllow+","+variables["CALLOUT_EGRESS_ALLOW"], ",")
	for _, name := range own {
		delete(variables, name)
	}
	if variables[sealVariable] == "" {
		variables[sealVariable] = g.sealKey
	}
	variables["GOOGLE_CLOUD_PROJECT"] = Project
	variables["CALLOUT_ISSUER"] = g.issuerURL
	variables["CALLOUT_AUDIENCE"] = Audience
	variables["CALLOUT_PUSH_ISSUER"] = g.issuerURL
	variables["CALLOUT_PUSH_AUDIENCE"] = PushAudience
	variables["CALLOUT_PUSH_ACCOUNTS"] = PushAccount
	variables["CALLOUT_EGRESS_ALLOW"] = allow
	variables["CALLOUT_URL"] = g.apiURL
	variables["CALLOUT_CONSOLE_CLIENT_ID"] = g.issuer.Clients()["console"].ID
	var environ []string
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	config, err := env.Read(environ)
	if err != nil {
		return config, fmt.Errorf("configuration: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	config.Telemetry.Local = true
	return config, nil
}

// sealKey reads the key from the data folder, or makes it on the first start; without a folder it lives as long as the process. It must
// be called before the issuer writes its file, by which a first start is told from one whose key was lost. Where the environment gives the
// keys, the file is not needed.
func sealKey(c Config) (string, error) {
	given := slices.ContainsFunc(c.Environ, func(v string) bool {
		name, value, _ := strings.Cut(v, "=")
		return name == sealVariable && value != ""
	})
	if given {
		return "", nil
	}
	if c.Data == "" {
		return seal.NewKey("k1"), nil
	}
	path := filepath.Join(c.Data, sealKeyFile)
	text, err := os.ReadFile(path)
	if err == nil {
		key := strings.TrimSpace(string(text))
		if _, err := seal.New(key); err != nil {
			return "", fmt.Errorf("%s: %w; put the right key back: without it the secrets in the data cannot be read", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(c.Data, issuerFile)); err == nil {
		return "", fmt.Errorf("%s is missing, and the data was sealed with it; put it back, or give the keys in %s", path, sealVariable)
	}
	key := seal.NewKey("k1")
	return key, writeFile(path, []byte(key+"\n"))
}

// Environment lists the variables, NAME=value, that functions in other processes need. The seal key is named by its file.
func (l *Local) Environment() []string {
	seal := `CALLOUT_SEAL_KEYS="$(cat ` + filepath.Join(filepath.Dir(l.File), sealKeyFile) + `)"`
	if l.config.Data == "" {
		seal = "CALLOUT_SEAL_KEYS=… # any: with -data= secrets live as long as the functions"
	}
	return []string{
		"GOOGLE_CLOUD_PROJECT=" + Project,
		"FIRESTORE_EMULATOR_HOST=" + l.Info.Firestore,
		"PUBSUB_EMULATOR_HOST=" + l.Info.PubSub,
		"CALLOUT_ISSUER=" + l.Info.Issuer,
		"CALLOUT_AUDIENCE=" + Audience,
		"CALLOUT_PUSH_ISSUER=" + l.Info.Issuer,
		"CALLOUT_PUSH_AUDIENCE=" + PushAudience,
		"CALLOUT_PUSH_ACCOUNTS=" + PushAccount,
		"CALLOUT_EGRESS_ALLOW=" + l.config.EgressAllow,
		"CALLOUT_URL=" + l.ground.apiURL,
		"CALLOUT_CONSOLE_CLIENT_ID=" + l.Info.Clients["console"].ID,
		seal,
	}
}
