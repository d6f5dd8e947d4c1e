// Package auth says who is calling and what they may do (callout.md section 2).
package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/errs"
)

// Permission is the right to do one sort of thing.
type Permission string

// The permissions.
const (
	TargetRead     Permission = "action.target.read"
	TargetWrite    Permission = "action.target.write"
	TargetDelete   Permission = "action.target.delete"
	ExecutionRead  Permission = "action.execution.read"
	ExecutionWrite Permission = "action.execution.write"
	HookInvoke     Permission = "action.hook.invoke"
	EventPublish   Permission = "action.event.publish"
	DeliveryRead   Permission = "action.delivery.read"
	DeliveryWrite  Permission = "action.delivery.write"
	CatalogRead    Permission = "action.catalog.read"
	CatalogWrite   Permission = "action.catalog.write"
)

func permissions() []Permission {
	return []Permission{TargetRead, TargetWrite, TargetDelete, ExecutionRead, ExecutionWrite, HookInvoke, EventPublish,
		DeliveryRead, DeliveryWrite, CatalogRead, CatalogWrite}
}

// Roles says in which claim of a token roles stand and what each permits. As JSON: {"claim":"…","roles":{"NAME":["permission",…]}}.
type Roles struct {
	Claim string                  `json:"claim"`
	Table map[string][]Permission `json:"roles"`
}

// DefaultRoles is the reference's claim and its two roles, with Callout's own permissions added.
func DefaultRoles() Roles {
	return Roles{
		Claim: "urn:zitadel:iam:org:project:roles",
		Table: map[string][]Permission{
			"IAM_OWNER":        permissions(),
			"IAM_OWNER_VIEWER": {TargetRead, ExecutionRead, DeliveryRead, CatalogRead},
		},
	}
}

// UnmarshalText reads CALLOUT_ROLES; what is left out is as in DefaultRoles, an unknown permission is an error.
func (r *Roles) UnmarshalText(text []byte) error {
	type document Roles // without this method, or the decoder would want a JSON text for it
	var read document
	if err := json.Unmarshal(text, &read); err != nil {
		return fmt.Errorf(`want {"claim":"…","roles":{"NAME":["permission",…]}}: %w`, err)
	}
	for role, granted := range read.Table {
		for _, p := range granted {
			if !slices.Contains(permissions(), p) {
				return fmt.Errorf("role %s: there is no permission %q", role, p)
			}
		}
	}
	*r = DefaultRoles()
	if read.Claim != "" {
		r.Claim = read.Claim
	}
	if read.Table != nil {
		r.Table = read.Table
	}
	return nil
}

// read finds the roles in a token's claims: an object whose keys are roles, or an array of names.
func (r Roles) read(claims map[string]json.RawMessage) ([]string, error) {
	raw, ok := claims[r.Claim]
	if !ok {
		return nil, nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err == nil {
		var names []string
		for name := range object {
			names = append(names, name)
		}
		slices.Sort(names)
		return names, nil
	}
	var names []string
	if err := json.Unmarshal(raw, &names); err != nil {
		return nil, errors.New("the roles claim is neither an object nor an array of names")
	}
	return names, nil
}

// identity reads what tokens of both kinds say. A scope that is no text is none.
func (r Roles) identity(subject string, claims map[string]json.RawMessage) (identity, error) {
	roles, err := r.read(claims)
	if err != nil {
		return identity{}, err
	}
	who := identity{subject: subject, roles: roles}
	if raw, ok := claims["scope"]; ok && json.Unmarshal(raw, &who.scope) != nil {
		who.scope = ""
	}
	return who, nil
}

// Caller is who is calling, and on which instance.
type Caller struct {
	// Subject is the caller's id at the issuer.
	Subject  string
	Instance action.InstanceID
	Roles    []string
	// table is what roles permit, and scopes what the token itself does.
	table  map[string][]Permission
	scopes []Permission
}

// Caller is somebody with these roles.
func (r Roles) Caller(subject string, instance action.InstanceID, roles ...string) Caller {
	return Caller{Subject: subject, Instance: instance, Roles: roles, table: r.Table}
}

// Errors of actions-v2.md section 3.4.
var (
	errNoToken      = errs.New(errs.Unauthenticated, "", "auth header missing")
	errToken        = errs.New(errs.Unauthenticated, "AUTH-7fs1e", "Token is invalid")
	errNoPermission = errs.New(errs.PermissionDenied, "AUTH-AWfge", "No matching permissions found")
	errNoMembership = errs.New(errs.NotFound, "AUTHZ-cdgFk", "membership not found")
	errIssuer       = errs.New(errs.Unavailable, "", "the token could not be checked: its issuer does not answer; try again")
)

// Allow is nil if the caller has the permission, NotFound if they have no role at all and PermissionDenied otherwise, as the
// reference answers.
func (c Caller) Allow(p Permission) error {
	switch {
	case c.has(p):
		return nil
	case len(c.Roles) == 0 && len(c.scopes) == 0:
		return errNoMembership
	default:
		return errNoPermission
	}
}

func (c Caller) has(p Permission) bool {
	for _, role := range c.Roles {
		if slices.Contains(c.table[role], p) {
			return true
		}
	}
	return slices.Contains(c.scopes, p)
}
