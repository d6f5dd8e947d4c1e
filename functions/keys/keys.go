// Package keys is the function that publishes web keys, for receivers to verify payloads with, and rotates them when it is told to. That
// they rotate by themselves is the sweeper's business.
package keys

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/api"
	"github.com/callout-dev/callout/shared/auth"
)

// Published knows the keys to verify with.
type Published interface {
	Published(ctx context.Context, instance action.InstanceID) (action.WebKeys, error)
}

// Rotation adds keys.
type Rotation interface {
	// AddWebKey publishes a further key if they want one, and gives the keys as they are then.
	AddWebKey(ctx context.Context, instance action.InstanceID, want func(action.WebKeys, time.Time) bool) (action.WebKeys, error)
}

// Operations are those of api.Keys.
type Operations struct {
	Published Published
	Rotation  Rotation
	// Instance picks the instance of a request's host.
	Instance func(host string) action.InstanceID
	Log      *slog.Logger
}

// RotateKeys publishes the next key, unless one waits for its time already.
func (o *Operations) RotateKeys(ctx context.Context, caller auth.Caller) (action.WebKeys, error) {
	keys, err := o.Rotation.AddWebKey(ctx, caller.Instance, action.WebKeys.Settled)
	if err != nil {
		return nil, err
	}
	o.Log.InfoContext(ctx, "web keys rotated by hand", "instance", caller.Instance, "user", caller.Subject, "keys", len(keys))
	return keys.Published(time.Now()), nil
}

// KeySet is the JWKS of a host's instance. One without keys must not be kept: the first one signs at once.
func (o *Operations) KeySet(ctx context.Context, host string) ([]byte, time.Duration, error) {
	keys, err := o.Published.Published(ctx, o.Instance(host))
	if err != nil {
		return nil, 0, err
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public, KeyID: string(k.ID), Algorithm: k.Algorithm, Use: "sig"})
	}
	age := action.WebKeySetAge
	if len(keys) == 0 {
		age = 0
	}
	document, err := json.Marshal(set)
	return document, age, err
}

// discovery is as much of OpenID Connect Discovery as there is of it here.
type discovery struct {
	Issuer        string   `json:"issuer"`
	KeySet        string   `json:"jwks_uri"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
}

// Discovery says where the keys are.
func (o *Operations) Discovery(origin string) ([]byte, time.Duration, error) {
	document, err := json.Marshal(discovery{
		Issuer: origin, KeySet: origin + api.PathKeySet,
		Algorithms: []string{action.RS256}, ResponseTypes: []string{}, SubjectTypes: []string{"public"},
	})
	return document, action.WebKeySetAge, err
}
