package main

import (
	"encoding/json"
	"net/http"
)

// addClaims answers a call: a claim that depends on what the login system keeps with the user.
func addClaims(w http.ResponseWriter, _ *http.Request, body []byte) {
	var call struct {
		UserMetadata []struct {
			Key   string `json:"key"`
			Value []byte `json:"value"` // base64 in JSON
		} `json:"user_metadata"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	tier := "free"
	for _, m := range call.UserMetadata {
		if m.Key == "plan" {
			tier = string(m.Value)
		}
	}
	type claim struct {
		Key   string `json:"key"`
		Value any    `json:"value"`
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"append_claims":     []claim{{"tier", tier}, {"sub", "somebody else"}}, // the second one is there already: it is not overwritten
		"append_log_claims": []string{"looked up the tier"},
	})
}
