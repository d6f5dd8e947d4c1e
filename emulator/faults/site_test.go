package faults_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// behaviour answers a request on the bare connection; false closes it.
type behaviour func(c net.Conn, n int) bool

// site is one target: a listener that speaks as much HTTP as its behaviour wants.
type site struct {
	address  string
	endpoint string
	target   string // its id

	mu       sync.Mutex
	behave   behaviour
	calls    int
	first    map[string]time.Time // when each event came first
	repeated int                  // calls with a delivery that was answered well before
	answered map[string]bool
	goods    int // calls that were answered well
	open     map[net.Conn]bool
	closed   bool
}

func newSite(endpoint string) *site {
	return &site{endpoint: endpoint, behave: well, first: map[string]time.Time{}, answered: map[string]bool{}}
}

// serve answers on a listener until the test ends.
func (s *site) serve(t *testing.T, l net.Listener) {
	t.Helper()
	s.mu.Lock()
	s.open, s.closed = map[net.Conn]bool{}, false
	s.mu.Unlock()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if s.enter(c) {
				all.Go(func() { s.talk(c) })
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.close()
		all.Wait()
	})
}

func (s *site) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return false
	}
	s.open[c] = true
	return true
}

func (s *site) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.open {
		_ = c.Close()
	}
}

func (s *site) talk(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, c)
	}()
	for reader := bufio.NewReader(c); ; {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		behave, n := s.note(r.Header)
		if !behave(c, n) {
			return
		}
	}
}

// note remembers a request, and gives what is to be done with it and its number.
func (s *site) note(h http.Header) (behaviour, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	event, delivery := h.Get("webhook-id"), h.Get("callout-delivery")
	if _, known := s.first[event]; !known {
		s.first[event] = time.Now()
	}
	if s.answered[delivery] {
		s.repeated++
	}
	behave, n := s.behave, s.calls
	return func(c net.Conn, n int) bool {
		spy := &spy{Conn: c}
		keep := behave(spy, n)
		if spy.good {
			s.mu.Lock()
			s.answered[delivery] = true
			s.goods++
			s.mu.Unlock()
		}
		return keep
	}, n
}

// spy sees whether what is written is a success.
type spy struct {
	net.Conn
	good bool
}

func (s *spy) Write(p []byte) (int, error) {
	s.good = s.good || string(p) == okAnswer
	return s.Conn.Write(p)
}

func (s *site) become(b behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behave = b
}

// saw says when each event came first, how many calls there were, and how many of them repeated what had been answered well.
func (s *site) saw() (first map[string]time.Time, calls, repeated int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = make(map[string]time.Time, len(s.first))
	for event, at := range s.first {
		first[event] = at
	}
	return first, s.calls, s.repeated
}

// good is how many calls were answered well.
func (s *site) good() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.goods
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func say(c net.Conn, text string) bool {
	_, err := io.WriteString(c, text)
	return err == nil
}

func well(c net.Conn, _ int) bool { return say(c, okAnswer) }

// answers gives a status.
func answers(status int) behaviour {
	return func(c net.Conn, _ int) bool {
		return say(c, fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, http.StatusText(status)))
	}
}

// hangs says nothing until the caller goes.
func hangs(c net.Conn, _ int) bool {
	_, _ = c.Read(make([]byte, 1))
	return false
}

func resets(net.Conn, int) bool { return false }

// dripsHeader sends a byte of an endless header each second; dripsBody one of an endless body.
func dripsHeader(c net.Conn, _ int) bool { return drips(c, "HTTP/1.1 200 OK\r\nX-Drip: ") }

func dripsBody(c net.Conn, _ int) bool {
	return drips(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
}

func drips(c net.Conn, first string) bool {
	for say(c, first) {
		first = "x"
		time.Sleep(time.Second)
	}
	return false
}

func garbage(c net.Conn, n int) bool {
	say(c, strings.Repeat("\x00\xff\r\n\x16\x03", 1000+n%7))
	return false
}

// huge answers well, with 10 MB.
func huge(c net.Conn, _ int) bool {
	const size = 10 << 20
	say(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size))
	part := strings.Repeat("x", 64<<10)
	for range size / len(part) {
		if !say(c, part) {
			return false
		}
	}
	return true
}

// tooLittle promises more than it sends, tooMuch sends more than it promised.
func tooLittle(c net.Conn, _ int) bool {
	say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
	return false
}

func tooMuch(c net.Conn, _ int) bool {
	return say(c, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nhello, and HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
}

func wrongLength(c net.Conn, _ int) bool {
	return say(c, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\nContent-Length: 7\r\n\r\nhello")
}

// hints sends interim answers without end.
func hints(c net.Conn, _ int) bool {
	for say(c, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n") {
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func switches(c net.Conn, _ int) bool {
	return say(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
}

// flaps answers well for one period and badly for the next.
func flaps(period time.Duration) behaviour {
	began := time.Now()
	return func(c net.Conn, n int) bool {
		if (time.Since(began)/period)%2 == 0 {
			return well(c, n)
		}
		return answers(http.StatusServiceUnavailable)(c, n)
	}
}

// failsEach so many requests.
func failsEach(every int) behaviour {
	return func(c net.Conn, n int) bool {
		if n%every == 0 {
			return answers(http.StatusBadGateway)(c, n)
		}
		return well(c, n)
	}
}

// worksEach so many requests, and fails in between.
func worksEach(every int) behaviour {
	return func(c net.Conn, n int) bool {
		if n%every == 0 {
			return well(c, n)
		}
		return answers(http.StatusBadGateway)(c, n)
	}
}

func takes(d time.Duration, then behaviour) behaviour {
	return func(c net.Conn, n int) bool {
		time.Sleep(d)
		return then(c, n)
	}
}

// busy asks to be left alone for a time.
func busy(seconds int) behaviour {
	return func(c net.Conn, _ int) bool {
		return say(c, fmt.Sprintf("HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n", seconds))
	}
}
