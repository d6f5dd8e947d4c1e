package issuer

import (
	"errors"
	"sync"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

const (
	// requestLifetime is how long a user may take to sign in, and how long a used code is remembered.
	requestLifetime = 10 * time.Minute
	// codeLifetime is how long a client may take to redeem a code.
	codeLifetime = time.Minute
	// maxRequests bounds the requests in memory; over it the oldest goes.
	maxRequests = 1024
	// maxTries bounds the wrong passwords for one request.
	maxTries = 5
)

var (
	errNoRequest = errors.New("there is no such sign-in, or its time is over")
	errNoCode    = errors.New("there is no such code, or it was used, or its time is over")
)

// request is one authorization request, from the redirect to the sign-in page to the redemption of its code. Values handed out are
// copies.
type request struct {
	id        string
	browser   string // the hash of the cookie of the browser that may sign in
	client    string
	redirect  string
	state     string
	nonce     string
	challenge string // S256
	scopes    []string
	expires   time.Time

	tries    int
	subject  string // who signed in, empty before that
	signedIn time.Time
	code     string

	redeemed bool
	replayed bool
	token    string // the id of the access token that the code gave
	tokenEnd time.Time
}

// The methods below are what the library asks about a request.

func (r request) GetID() string                    { return r.id }
func (r request) GetACR() string                   { return "" }
func (r request) GetAMR() []string                 { return []string{"pwd"} }
func (r request) GetAuthTime() time.Time           { return r.signedIn }
func (r request) GetClientID() string              { return r.client }
func (r request) GetNonce() string                 { return r.nonce }
func (r request) GetRedirectURI() string           { return r.redirect }
func (r request) GetScopes() []string              { return r.scopes }
func (r request) GetState() string                 { return r.state }
func (r request) GetSubject() string               { return r.subject }
func (r request) Done() bool                       { return r.subject != "" }
func (request) GetResponseType() oidc.ResponseType { return oidc.ResponseTypeCode }
func (request) GetResponseMode() oidc.ResponseMode { return oidc.ResponseModeQuery }

// GetAudience is that of the id token: the client alone, so that an id token is never good for the API.
func (r request) GetAudience() []string { return []string{r.client} }

func (r request) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: r.challenge, Method: oidc.CodeChallengeMethodS256}
}

// requests holds what is under way, in memory: a restart ends it, and users sign in again.
type requests struct {
	mu   sync.Mutex
	byID map[string]*request
	code map[string]*request
}

func newRequests() *requests {
	return &requests{byID: map[string]*request{}, code: map[string]*request{}}
}

// add keeps r under a new id.
func (q *requests) add(r request) request {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	var oldest *request
	for _, other := range q.byID {
		switch {
		case !other.expires.After(now):
			q.drop(other)
		case oldest == nil || other.expires.Before(oldest.expires):
			oldest = other
		}
	}
	if len(q.byID) >= maxRequests {
		q.drop(oldest)
	}
	r.id, r.expires = random(), now.Add(requestLifetime)
	q.byID[r.id] = &r
	return r
}

// drop is called with mu held.
func (q *requests) drop(r *request) {
	delete(q.byID, r.id)
	delete(q.code, r.code)
}

// find is called with mu held.
func (q *requests) find(id string) (*request, error) {
	r, ok := q.byID[id]
	if !ok || !r.expires.After(time.Now()) {
		return nil, errNoRequest
	}
	return r, nil
}

// get finds a request that a user may still sign in for, or has just signed in for.
func (q *requests) get(id string) (request, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, err := q.find(id)
	if err != nil || r.redeemed {
		return request{}, errNoRequest
	}
	return *r, nil
}

// failed counts a wrong password; after maxTries the request is over. It returns how many tries are left.
func (q *requests) failed(id string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, err := q.find(id)
	if err != nil {
		return 0
	}
	r.tries++
	if r.tries >= maxTries {
		q.drop(r)
	}
	return maxTries - r.tries
}

// signIn says who the user is. It works once.
func (q *requests) signIn(id, subject string) (request, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, err := q.find(id)
	if err != nil || r.Done() {
		return request{}, errNoRequest
	}
	r.subject, r.signedIn = subject, time.Now()
	return *r, nil
}

func (q *requests) saveCode(id, code string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, err := q.find(id)
	if err != nil || !r.Done() || r.code != "" {
		return errNoRequest
	}
	r.code = code
	q.code[code] = r
	return nil
}

// redeem takes a code, once. A second time it says which token the first one gave, if it did: RFC 6749 section 4.1.2 wants that
// token revoked, because one of the two who had the code is a thief.
func (q *requests) redeem(code string) (r request, stolen bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept, ok := q.code[code]
	if !ok || !kept.expires.After(time.Now()) {
		return request{}, false, errNoCode
	}
	if kept.redeemed {
		kept.replayed = true
		return *kept, kept.token != "", errNoCode
	}
	kept.redeemed = true
	kept.expires = time.Now().Add(requestLifetime)
	if time.Since(kept.signedIn) >= codeLifetime {
		return request{}, false, errNoCode
	}
	return *kept, false, nil
}

// issued notes which token a code gives, or refuses it because the code was replayed meanwhile.
func (q *requests) issued(id, token string, end time.Time) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, err := q.find(id)
	if err != nil || !r.redeemed || r.replayed || r.token != "" {
		return errNoCode
	}
	r.token, r.tokenEnd = token, end
	return nil
}
