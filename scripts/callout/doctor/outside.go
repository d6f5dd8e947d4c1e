package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// answer is one of the API or the issuer.
type answer struct {
	status int
	body   []byte
	took   time.Duration
}

// get asks without a token, and notes whose clock says what.
func (p *Patient) get(ctx context.Context, whose, address string) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return answer{}, err
	}
	client := &http.Client{Transport: p.Network, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	took := time.Since(began)
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		p.clocks = append(p.clocks, clock{whose: whose, ahead: ahead(date, began, took)})
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return answer{response.StatusCode, body, took}, err
}

// failure is the finding for who did not answer.
func (p *Patient) failure(err error) Finding {
	message, next := p.Explain(err)
	return failed(next, "%s", message)
}

// api asks whether it is there.
func api(ctx context.Context, p *Patient) Finding {
	a, err := p.get(ctx, "the API", p.API+"/health")
	if err != nil {
		return p.failure(err)
	}
	var health struct{ Status, Version string }
	if a.status != http.StatusOK || json.Unmarshal(a.body, &health) != nil || health.Status != "ok" {
		return failed("Is --api the address of a Callout API? If a proxy stands before it, does that pass /health on?",
			"%s/health answers %d, and not as Callout does", p.API, a.status)
	}
	p.reached = true
	said := fmt.Sprintf("%s answers in %s", p.API, a.took.Round(time.Millisecond))
	if health.Version != "" {
		said += ", version " + health.Version
	}
	if u, err := url.Parse(p.API); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return warning("Use https: tokens travel in the clear.", "%s", said)
	}
	return fine("%s", said)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// issuer asks who vouches for callers, and with which keys.
func issuer(ctx context.Context, p *Patient) Finding {
	if p.Issuer == "" && p.known() {
		p.Issuer = p.Config.Issuer
	}
	if p.Issuer == "" {
		return skipped("nobody said which issuer: --issuer names it")
	}
	const next = "Check the issuer's URL: it is the one that stands in its discovery document, and in CALLOUT_ISSUER."
	a, err := p.get(ctx, "the issuer", strings.TrimSuffix(p.Issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return p.failure(err)
	}
	var document struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
		Tokens string `json:"token_endpoint"`
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body, &document) != nil || document.Issuer == "" {
		return failed(next, "%s has no discovery document: its /.well-known/openid-configuration answers %d", p.Issuer, a.status)
	}
	if document.Issuer != p.Issuer {
		return failed(next, "%s calls itself %q, so that no token of it is taken", p.Issuer, oneLine(document.Issuer))
	}
	if document.Keys == "" || document.Tokens == "" {
		return failed("The issuer must publish both.", "%s names no jwks_uri or no token_endpoint", p.Issuer)
	}
	a, err = p.get(ctx, "the issuer", document.Keys)
	if err != nil {
		return p.failure(err)
	}
	usable, all, err := keysIn(a)
	switch {
	case err != nil:
		return failed("The functions cannot check a token before it answers with keys.", "%s: %v", oneLine(document.Keys), err)
	case usable == 0:
		return failed("Let the issuer sign with RS256, PS256, ES256 or EdDSA.", "%s publishes %s, and none that tokens may be signed with", p.Issuer, count(all, "key"))
	}
	return fine("%s answers, with %s", p.Issuer, count(usable, "key"))
}

// keysIn counts the keys of a JWKS that are good for signatures which the functions take, and all.
func keysIn(a answer) (usable, all int, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body, &set) != nil {
		return 0, 0, fmt.Errorf("it answers %d, and no keys", a.status)
	}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil || !key.IsPublic() || !key.Valid() || key.Use == "enc" {
			continue
		}
		switch key.Algorithm {
		case "", string(jose.RS256), string(jose.PS256), string(jose.ES256), string(jose.EdDSA):
			usable++
		}
	}
	return usable, len(set.Keys), nil
}

// payloadKeys asks for the keys that receivers verify JWTs with. The first is made with the first target that wants one.
func payloadKeys(ctx context.Context, p *Patient) Finding {
	if !p.reached {
		return skipped("the API does not answer")
	}
	a, err := p.get(ctx, "the API", p.API+"/oauth/v2/keys")
	if err != nil {
		return p.failure(err)
	}
	usable, all, err := keysIn(a)
	switch {
	case err != nil:
		return failed("Does the function keys run, and does the path /oauth/v2/keys lead there? Receivers of JWTs cannot verify them.", "%s/oauth/v2/keys: %v", p.API, err)
	case usable < all:
		return failed("Look at the log of the function keys.", "%d of %d keys cannot be read", all-usable, all)
	case all == 0:
		return fine("none yet: the first is made with the first target whose payload is jwt or jwe")
	}
	return fine("%d published", all)
}
