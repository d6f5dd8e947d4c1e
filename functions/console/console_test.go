package console_test

import (
	"net/http"
	"testing"
)

func TestTargetLife(t *testing.T) {
	run(t, "admin", func(s *site) {
		id := s.target("orders")
		s.has(s.get(http.StatusOK, "/console/targets/"+id), "orders")
	})
}
