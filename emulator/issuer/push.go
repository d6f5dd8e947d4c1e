package issuer

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// maxName bounds an audience or an address in a token for pushes, in bytes.
const maxName = 1024

// Token makes a token with which the embedded Pub/Sub pushes to audience in the name of email, as Google's do: RS256, iss, aud, sub and
// email equal, email_verified, good for an hour. It is an error to ask for an audience that clients get, the API's above all: a push
// token must be good for nothing else. The token is made anew each time (a millisecond of work); keep it until shortly before expiry.
func (i *Issuer) Token(ctx context.Context, audience, email string) (token string, expiry time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return "", time.Time{}, fmt.Errorf("push token: %w", err)
	}
	if err := i.checkPush(audience, email); err != nil {
		return "", time.Time{}, fmt.Errorf("push token: %w", err)
	}
	signer, err := op.SignerFromKey(i.storage.signer(ctx))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("push token: %w", err)
	}
	now := time.Now().Truncate(time.Second)
	expiry = now.Add(tokenLifetime)
	claims := struct {
		jwt.Claims
		AuthorizedParty string `json:"azp"`
		Email           string `json:"email"`
		EmailVerified   bool   `json:"email_verified"`
	}{
		Claims: jwt.Claims{Issuer: i.config.URL, Subject: email, Audience: jwt.Audience{audience}, IssuedAt: jwt.NewNumericDate(now),
			Expiry: jwt.NewNumericDate(expiry)},
		AuthorizedParty: email, Email: email, EmailVerified: true,
	}
	if token, err = jwt.Signed(signer).Claims(claims).Serialize(); err != nil {
		return "", time.Time{}, fmt.Errorf("push token: %w", err)
	}
	return token, expiry, nil
}

func (i *Issuer) checkPush(audience, email string) error {
	if audience == "" || len(audience) > maxName {
		return fmt.Errorf("audience: must have 1 to %d bytes", maxName)
	}
	if slices.Contains(i.config.clientAudiences(), audience) {
		return errors.New("audience: is one that clients get")
	}
	if address, err := mail.ParseAddress(email); err != nil || address.Address != email || len(email) > maxName {
		return errors.New("email: is not an address")
	}
	return nil
}
