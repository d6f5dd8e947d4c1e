package main

import (
	"encoding/json"
	"net/http"
	"sync"
)

// account is one of the other system's.
type account struct {
	ExternalID string `json:"externalId"`
	UserName   string `json:"userName"`
}

// directory is the other system, and stands for any: it has accounts in memory, and may be away.
type directory struct {
	mu       sync.Mutex
	away     bool
	accounts []account
	keys     map[string]bool // of requests that have been done
}

func newDirectory() http.Handler {
	d := &directory{keys: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /accounts", d.create)
	mux.HandleFunc("GET /accounts", d.list)
	mux.HandleFunc("POST /away", func(http.ResponseWriter, *http.Request) { d.set(true) })
	mux.HandleFunc("POST /back", func(http.ResponseWriter, *http.Request) { d.set(false) })
	return mux
}

// create makes an account, unless a request with the same key has.
func (d *directory) create(w http.ResponseWriter, r *http.Request) {
	var a account
	key := r.Header.Get("Idempotency-Key")
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil || key == "" {
		http.Error(w, "an account and a key are required", http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.away:
		http.Error(w, "away", http.StatusServiceUnavailable)
	case !d.keys[key]:
		d.keys[key] = true
		d.accounts = append(d.accounts, a)
		w.WriteHeader(http.StatusCreated)
	}
}

func (d *directory) list(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.accounts {
		_ = json.NewEncoder(w).Encode(a)
	}
}

func (d *directory) set(away bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away = away
}
