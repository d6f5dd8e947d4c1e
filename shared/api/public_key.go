package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
	filterv2 "github.com/callout-dev/callout/shared/gen/zitadel/filter/v2"
)

// PublicKeys are the operations on the public keys of targets.
type PublicKeys interface {
	// AddKey stores a key that is not active yet.
	AddKey(ctx context.Context, caller auth.Caller, target action.TargetID, k action.PublicKey) (action.PublicKey, error)
	// ActivateKey makes a key the active one, in place of another, and says when it became so.
	ActivateKey(ctx context.Context, caller auth.Caller, target action.TargetID, id action.PublicKeyID) (time.Time, error)
	// DeactivateKey says when the key was changed last.
	DeactivateKey(ctx context.Context, caller auth.Caller, target action.TargetID, id action.PublicKeyID) (time.Time, error)
	// RemoveKey says when the key was removed: the zero time if there never was one.
	RemoveKey(ctx context.Context, caller auth.Caller, target action.TargetID, id action.PublicKeyID) (time.Time, error)
	// ListKeys gives a page and how many keys of the target match in all.
	ListKeys(ctx context.Context, caller auth.Caller, target action.TargetID, q action.PublicKeyQuery) ([]action.PublicKey, int, error)
}

// maxPublicKey is how many bytes a public key's text may have (actions-v2.md section 1.3).
const maxPublicKey = 8192

var errNoID = errs.New(errs.InvalidArgument, "", "ID missing")

func (f *targetFace) AddPublicKey(ctx context.Context, r *actionv2.AddPublicKeyRequest) (*actionv2.AddPublicKeyResponse, error) {
	caller, err := auth.Require(ctx, auth.TargetWrite)
	if err != nil {
		return nil, err
	}
	target, k, err := newPublicKey(r, time.Now())
	if err != nil {
		return nil, err
	}
	k, err = f.operations.AddKey(ctx, caller, target, k)
	if err != nil {
		return nil, err
	}
	return &actionv2.AddPublicKeyResponse{KeyId: string(k.ID), CreationDate: timestamppb.New(k.Created)}, nil
}

func (f *targetFace) ActivatePublicKey(ctx context.Context, r *actionv2.ActivatePublicKeyRequest) (*actionv2.ActivatePublicKeyResponse, error) {
	changed, err := withKey(ctx, "ActivatePublicKeyRequest", r, f.operations.ActivateKey)
	if err != nil {
		return nil, err
	}
	return &actionv2.ActivatePublicKeyResponse{ChangeDate: timestamppb.New(changed)}, nil
}

func (f *targetFace) DeactivatePublicKey(ctx context.Context, r *actionv2.DeactivatePublicKeyRequest) (*actionv2.DeactivatePublicKeyResponse, error) {
	changed, err := withKey(ctx, "DeactivatePublicKeyRequest", r, f.operations.DeactivateKey)
	if err != nil {
		return nil, err
	}
	return &actionv2.DeactivatePublicKeyResponse{ChangeDate: timestamppb.New(changed)}, nil
}

// RemovePublicKey tells the zero time of a key that never was, unlike DeleteTarget (actions-v2.md section 1.4).
func (f *targetFace) RemovePublicKey(ctx context.Context, r *actionv2.RemovePublicKeyRequest) (*actionv2.RemovePublicKeyResponse, error) {
	removed, err := withKey(ctx, "RemovePublicKeyRequest", r, f.operations.RemoveKey)
	if err != nil {
		return nil, err
	}
	return &actionv2.RemovePublicKeyResponse{DeletionDate: timestamppb.New(removed)}, nil
}

// ListPublicKeys answers in the newer of the reference's two shapes: pagination is field 1 and public_keys field 2. In the older one
// public_keys was field 1, and nothing in a request tells whose client sent it. Clients of both read the JSON, over REST and Connect, where
// fields have names. An older client of the binary format gets no keys from it: it must be generated anew, as for the reference itself.
func (f *targetFace) ListPublicKeys(ctx context.Context, r *actionv2.ListPublicKeysRequest) (*actionv2.ListPublicKeysResponse, error) {
	caller, err := auth.Require(ctx, auth.TargetRead)
	if err != nil {
		return nil, err
	}
	target, err := trimmedID("ListPublicKeysRequest", "TargetId", r.GetTargetId())
	if err != nil {
		return nil, err
	}
	q, err := publicKeyQuery(r)
	if err != nil {
		return nil, err
	}
	page, total, err := f.operations.ListKeys(ctx, caller, action.TargetID(target), q)
	if err != nil {
		return nil, err
	}
	response := &actionv2.ListPublicKeysResponse{
		Pagination: &filterv2.PaginationResponse{TotalResult: uint64(total), AppliedLimit: uint64(q.Page.Limit)},
	}
	for _, k := range page {
		response.PublicKeys = append(response.PublicKeys, publicKeyMessage(k))
	}
	return response, nil
}

// oneKey is a request that names one key of a target.
type oneKey interface {
	GetTargetId() string
	GetKeyId() string
}

// withKey checks who is calling and which key is meant, and does something with it.
func withKey(ctx context.Context, message string, r oneKey,
	do func(context.Context, auth.Caller, action.TargetID, action.PublicKeyID) (time.Time, error)) (time.Time, error) {
	caller, err := auth.Require(ctx, auth.TargetWrite)
	if err != nil {
		return time.Time{}, err
	}
	target, err := trimmedID(message, "TargetId", r.GetTargetId())
	if err != nil {
		return time.Time{}, err
	}
	key, err := trimmedID(message, "KeyId", r.GetKeyId())
	if err != nil {
		return time.Time{}, err
	}
	return do(ctx, caller, action.TargetID(target), action.PublicKeyID(key))
}

// trimmedID drops white space around an id, and wants something to be left.
func trimmedID(message, field, value string) (string, error) {
	trimmed := strings.TrimSpace(value)
	if trimmed == "" {
		return "", errNoID
	}
	return trimmed, checkLength(message, field, value, 1, maxID)
}

// newPublicKey checks in the reference's order: ids, expiry, format.
func newPublicKey(r *actionv2.AddPublicKeyRequest, now time.Time) (action.TargetID, action.PublicKey, error) {
	const message = "AddPublicKeyRequest"
	target, err := trimmedID(message, "TargetId", r.GetTargetId())
	if err != nil {
		return "", action.PublicKey{}, err
	}
	if n := len(r.GetPublicKey()); n < 1 || n > maxPublicKey {
		return "", action.PublicKey{}, invalid(message, "PublicKey", fmt.Sprintf("value length must be between 1 and %d bytes, inclusive", maxPublicKey))
	}
	var expires *time.Time
	if r.ExpirationDate != nil {
		if err := r.ExpirationDate.CheckValid(); err != nil {
			return "", action.PublicKey{}, invalid(message, "ExpirationDate", "value is not a valid timestamp")
		}
		at := r.ExpirationDate.AsTime()
		expires = &at
	}
	k, err := action.NewPublicKey(r.GetPublicKey(), expires, now)
	return action.TargetID(target), k, err
}

func publicKeyMessage(k action.PublicKey) *actionv2.PublicKey {
	return &actionv2.PublicKey{
		KeyId: string(k.ID), Active: k.Active, PublicKey: k.PEM, Fingerprint: k.Fingerprint, ExpirationDate: timestamp(k.Expires),
		CreationDate: timestamppb.New(k.Created), ChangeDate: timestamppb.New(k.Changed),
	}
}
