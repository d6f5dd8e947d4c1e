package console

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	actionv2 "github.com/callout-dev/callout/shared/gen/zitadel/action/v2"
)

// keyForm is a public key to be added: what a target's JWE payloads are encrypted to.
type keyForm struct {
	PEM, Expires string
	Problems     problems
}

func addKey(v *visit) error {
	f := keyForm{PEM: v.form("pem"), Expires: v.form("expires"), Problems: problems{}}
	request := &actionv2.AddPublicKeyRequest{TargetId: v.id(), PublicKey: []byte(f.PEM)}
	if f.Expires != "" {
		day, err := time.Parse(time.DateOnly, f.Expires)
		if err != nil {
			f.Problems["expires"] = "This must be a day such as 2031-12-31."
		}
		request.ExpirationDate = timestamppb.New(day)
	}
	if len(f.Problems) == 0 {
		_, err := v.actions().AddPublicKey(v.ctx(), request)
		if err == nil {
			return v.done(targetPath(v.id()), note{Text: "The key is there. Activate it to have payloads encrypted to it."})
		}
		var ok bool
		if f.Problems, ok = refused(err, "pem", "expires"); !ok {
			return err
		}
	}
	p, err := readTarget(v)
	if err != nil {
		return err
	}
	p.Key = f
	return v.again("target", p.Name, p)
}

// changeKey activates, deactivates or removes a public key.
func changeKey(v *visit) error {
	id, key := v.id(), v.r.PathValue("key")
	var err error
	var said string
	switch v.r.PathValue("command") {
	case "activate":
		_, err = v.actions().ActivatePublicKey(v.ctx(), &actionv2.ActivatePublicKeyRequest{TargetId: id, KeyId: key})
		said = "The key is the active one."
	case "deactivate":
		_, err = v.actions().DeactivatePublicKey(v.ctx(), &actionv2.DeactivatePublicKeyRequest{TargetId: id, KeyId: key})
		said = "The key is not active any more."
	case "remove":
		_, err = v.actions().RemovePublicKey(v.ctx(), &actionv2.RemovePublicKeyRequest{TargetId: id, KeyId: key})
		said = "The key is removed."
	default:
		return errNoPage
	}
	if err != nil {
		return err
	}
	return v.done(targetPath(id), note{Text: said})
}
