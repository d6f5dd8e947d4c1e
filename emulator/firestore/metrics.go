package firestore

import (
	"maps"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Metrics are the server's numbers since New.
type Metrics struct {
	Calls        map[Call]int64 // how many calls ended how
	Transactions int            // that run now
	Expired      int64          // documents removed because their time had come
}

// Call is a method of the service and the name of the status its calls ended with, such as {Commit, OK}.
type Call struct{ Method, Code string }

type counts struct {
	mu      sync.Mutex
	calls   map[callKey]int64
	expired int64
}

type callKey struct {
	method string
	code   codes.Code
}

func (c *counts) add(method string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[callKey]int64{}
	}
	c.calls[callKey{method, status.Code(err)}]++
}

// Metrics reads the numbers.
func (s *Server) Metrics() Metrics {
	s.counts.mu.Lock()
	calls, expired := maps.Clone(s.counts.calls), s.counts.expired
	s.counts.mu.Unlock()
	m := Metrics{Calls: make(map[Call]int64, len(calls)), Expired: expired}
	for k, n := range calls {
		m.Calls[Call{k.method, k.code.String()}] = n
	}
	s.transactions.mu.Lock()
	defer s.transactions.mu.Unlock()
	m.Transactions = len(s.transactions.byID)
	return m
}
