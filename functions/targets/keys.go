package targets

import (
	"context"
	"time"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
)

// AddKey stores a key that is not active yet.
func (o *Operations) AddKey(ctx context.Context, caller auth.Caller, target action.TargetID, k action.PublicKey) (action.PublicKey, error) {
	return o.Store.By(caller.Subject).AddPublicKey(ctx, caller.Instance, target, k)
}

// ActivateKey makes a key the active one, in place of another, and says when it became so.
func (o *Operations) ActivateKey(ctx context.Context, caller auth.Caller, target action.TargetID, id action.PublicKeyID) (time.Time, error) {
	return o.Store.By(caller.Subject).ActivatePublicKey(ctx, caller.Instance, target, id)
}

// DeactivateKey says when the key was changed last.
func (o *Operations) DeactivateKey(ctx context.Context, caller auth.Caller, target action.TargetID, id action.PublicKeyID) (time.Time, error) {
	return o.Store.By(caller.Subject).DeactivatePublicKey(ctx, caller.Instance, target, id)
}

// RemoveKey says when the key was removed: the zero time if there never was one.
func (o *Operations) RemoveKey(ctx context.Context, caller auth.Caller, target action.TargetID, id action.PublicKeyID) (time.Time, error) {
	return o.Store.By(caller.Subject).RemovePublicKey(ctx, caller.Instance, target, id)
}

// ListKeys gives a page and how many keys of the target match in all.
func (o *Operations) ListKeys(ctx context.Context, caller auth.Caller, target action.TargetID, q action.PublicKeyQuery) ([]action.PublicKey, int, error) {
	return o.Store.ListPublicKeys(ctx, caller.Instance, target, q)
}
