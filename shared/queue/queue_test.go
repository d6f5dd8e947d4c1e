package queue

import (
	"bytes"
	"testing"
)

func TestFit(t *testing.T) {
	small, large := Message{Data: []byte("x")}, Message{Data: bytes.Repeat([]byte("x"), 4<<20)}
	many := make([]Message, 1500)
	tests := []struct {
		name     string
		messages []Message
		want     int
	}{
		{"one", []Message{small}, 1},
		{"as many as a request takes", many, maxMessages},
		{"two large ones", []Message{large, large, large}, 2},
		{"one that is too large goes alone, and is refused by the service", []Message{{Data: bytes.Repeat([]byte("x"), 11<<20)}, small}, 1},
		{"attributes count", []Message{{Attributes: map[string]string{"a": string(bytes.Repeat([]byte("x"), 6<<20))}}, large}, 1},
	}
	for _, tt := range tests {
		if got := fit(tt.messages); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
