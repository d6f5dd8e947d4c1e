package auth_test

import (
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/callout-dev/callout/shared/auth"
	"github.com/callout-dev/callout/shared/errs"
)

func TestPermissions(t *testing.T) {
	const roles = "urn:zitadel:iam:org:project:roles"
	tests := []struct {
		name   string
		scopes bool
		edit   func(map[string]any)
		// What the permission to write targets comes to, and to read them.
		write, read errs.Kind
	}{
		{"owner", false, with("x", 1), "", ""},
		{"owner in an array", false, with(roles, []string{"IAM_OWNER"}), "", ""},
		{"viewer", false, with(roles, map[string]any{"IAM_OWNER_VIEWER": nil}), errs.PermissionDenied, ""},
		{"a role without permissions", false, with(roles, []string{"ORG_OWNER"}), errs.PermissionDenied, errs.PermissionDenied},
		{"no roles claim", false, without(roles), errs.NotFound, errs.NotFound},
		{"roles that are null", false, with(roles, nil), errs.NotFound, errs.NotFound},
		{"no role in it", false, with(roles, map[string]any{}), errs.NotFound, errs.NotFound},
		{"a role in another case", false, with(roles, []string{"iam_owner"}), errs.PermissionDenied, errs.PermissionDenied},
		{"a scope, where scopes count for nothing", false, func(c map[string]any) { delete(c, roles); c["scope"] = "action.target.write" }, errs.NotFound, errs.NotFound},
		{"a scope, where they count", true, func(c map[string]any) { delete(c, roles); c["scope"] = "openid action.target.write" }, "", errs.PermissionDenied},
		{"a scope that is no permission", true, func(c map[string]any) { delete(c, roles); c["scope"] = "action.target action.*" }, errs.NotFound, errs.NotFound},
		{"a scope that is a list", true, func(c map[string]any) { delete(c, roles); c["scope"] = []string{"action.target.write"} }, errs.NotFound, errs.NotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withIssuer(t, func(t *testing.T, _ *issuer, client *http.Client) {
				g := guard(client)
				g.ScopePermissions = tt.scopes
				caller, err := g.Authenticate(t.Context(), "Bearer "+sign(t, jose.RS256, keys()["rsa"], "rsa", claimSet(tt.edit)), "")
				if err != nil {
					t.Fatal(err)
				}
				ids := map[errs.Kind]string{errs.PermissionDenied: "AUTH-AWfge", errs.NotFound: "AUTHZ-cdgFk"}
				ctx := auth.WithCaller(t.Context(), caller)
				_, err = auth.Require(ctx, auth.TargetWrite)
				wantError(t, err, tt.write, ids[tt.write])
				_, err = auth.Require(ctx, auth.TargetRead)
				wantError(t, err, tt.read, ids[tt.read])
				if who, err := auth.Authenticated(ctx); err != nil || who.Subject != "user-1" {
					t.Errorf("got %+v, %v", who, err)
				}
			})
		})
	}
	_, err := auth.Require(t.Context(), auth.TargetRead)
	wantError(t, err, errs.Unauthenticated, "")
}

func TestDefaultRoles(t *testing.T) {
	table := auth.DefaultRoles().Table
	viewer := []auth.Permission{"action.target.read", "action.execution.read", "action.delivery.read", "action.catalog.read"}
	owner := []auth.Permission{"action.target.read", "action.target.write", "action.target.delete", "action.execution.read", "action.execution.write", "action.hook.invoke",
		"action.event.publish", "action.delivery.read", "action.delivery.write", "action.catalog.read", "action.catalog.write"}
	if diff := cmp.Diff(map[string][]auth.Permission{"IAM_OWNER": owner, "IAM_OWNER_VIEWER": viewer}, table); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRolesFromText(t *testing.T) {
	tests := []struct {
		text string
		want func(*auth.Roles)
	}{
		{`{}`, func(*auth.Roles) {}},
		{`{"claim":"roles"}`, func(r *auth.Roles) { r.Claim = "roles" }},
		{`{"roles":{"A":["action.event.publish"]}}`, func(r *auth.Roles) { r.Table = map[string][]auth.Permission{"A": {auth.EventPublish}} }},
		{`{"roles":{}}`, func(r *auth.Roles) { r.Table = map[string][]auth.Permission{} }},
	}
	for _, tt := range tests {
		want, got := auth.DefaultRoles(), auth.Roles{}
		tt.want(&want)
		if err := got.UnmarshalText([]byte(tt.text)); err != nil {
			t.Errorf("%s: %v", tt.text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
	for _, text := range []string{``, `[]`, `{"roles":[]}`, `{"roles":{"A":"x"}}`, `{"roles":{"A":["action.target.everything"]}}`} {
		if err := new(auth.Roles).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s: taken", text)
		}
	}
}
