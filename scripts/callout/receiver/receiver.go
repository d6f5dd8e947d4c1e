package receiver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// MaxBody is the largest body that is read, in bytes.
const MaxBody = 1 << 20

// Receiver is an http.Handler that takes calls on every path.
type Receiver struct {
	Keys *Keyring
	// Status answers calls that verify.
	Status int
	// Report is told of every request before it is answered, one after the other.
	Report func(Arrival)

	mu sync.Mutex
}

// Arrival is one request.
type Arrival struct {
	Time time.Time
	// Target is whose key signed; empty where the signature does not verify, or the key came without a name.
	Target string
	// Refused says why the request was not taken; nil if it was.
	Refused error
	// Status is what it is answered with.
	Status int
	// WebhookID, Delivery and Attempt are headers of the request, empty where it has none.
	WebhookID, Delivery, Attempt string
	// Body is as it came: JSON, a JWS or a JWE. Of a body that is too large, nothing.
	Body []byte
}

// ServeHTTP verifies, reports and answers with an empty body, which leaves the payload of a restCall as it is.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	a := r.take(w, request)
	r.mu.Lock()
	r.Report(a)
	r.mu.Unlock()
	if a.Refused != nil {
		http.Error(w, a.Refused.Error(), a.Status)
		return
	}
	w.WriteHeader(a.Status)
}

func (r *Receiver) take(w http.ResponseWriter, request *http.Request) Arrival {
	h := request.Header
	a := Arrival{Time: time.Now(), Status: r.Status, WebhookID: h.Get("webhook-id"), Delivery: h.Get("callout-delivery"), Attempt: h.Get("callout-attempt")}
	if request.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		a.Status, a.Refused = http.StatusMethodNotAllowed, fmt.Errorf("calls are made with POST, not %s", request.Method)
		return a
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, MaxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		a.Status, a.Refused = http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", MaxBody)
		return a
	}
	if err != nil {
		a.Status, a.Refused = http.StatusBadRequest, errors.New("the body broke off")
		return a
	}
	a.Body = body
	if a.Target, err = r.Keys.Verify(request.Context(), h, body); err != nil {
		a.Status, a.Refused = http.StatusUnauthorized, err
	}
	return a
}
