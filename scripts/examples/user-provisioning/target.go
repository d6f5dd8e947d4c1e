package main

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/callout-dev/callout/shared/signature"
)

// provisioner creates accounts in the other system.
type provisioner struct {
	// accounts is the URL where that system creates them.
	accounts string
	client   *http.Client
}

// take acknowledges an event when its account is there, and else has Callout send it again. The webhook-id, which repeats have in common,
// is the key by which the other system knows a repeat. It is one step there, so that nothing can go wrong between creating and remembering.
// For a system that takes no such key, ask it first whether it has an account of that user.
func (p provisioner) take(w http.ResponseWriter, r *http.Request, body []byte) {
	var event struct {
		UserID  string `json:"aggregateID"`
		Payload struct {
			UserName string `json:"userName"`
		} `json:"event_payload"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	text, _ := json.Marshal(account{ExternalID: event.UserID, UserName: event.Payload.UserName}) // texts always can be
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, p.accounts, bytes.NewReader(text))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", r.Header.Get(signature.HeaderID))
	response, err := p.client.Do(request)
	if err != nil {
		http.Error(w, "the other system is away", http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		http.Error(w, "the other system answered "+response.Status, http.StatusBadGateway)
	}
}
