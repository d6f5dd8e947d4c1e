package memnet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// bufferSize is how many bytes may be under way in one direction before the writer waits.
const bufferSize = 64 << 10

var (
	errRefused = errors.New("connection refused")
	errReset   = errors.New("connection reset by peer")
)

// Pipe makes the two ends of a buffered connection; name is what its addresses print as.
func Pipe(name string) (net.Conn, net.Conn) {
	up, down := newStream(), newStream()
	return &conn{in: down, out: up, addr: addr(name)}, &conn{in: up, out: down, addr: addr(name)}
}

type conn struct {
	in, out *stream
	addr    addr
}

func (c *conn) Read(p []byte) (int, error)  { n, err := c.in.read(p); return n, c.wrap("read", err) }
func (c *conn) Write(p []byte) (int, error) { n, err := c.out.write(p); return n, c.wrap("write", err) }

// Close ends both directions: the peer reads what is buffered, then io.EOF, and its writes fail. Nothing that the peer writes because of that
// is read here any more.
func (c *conn) Close() error {
	c.in.closeRead()
	c.out.closeWrite()
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.addr }
func (c *conn) RemoteAddr() net.Addr { return c.addr }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.readDeadline.set(t)
	c.out.writeDeadline.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.readDeadline.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.writeDeadline.set(t)
	return nil
}

func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: c.addr.Network(), Addr: c.addr, Err: err}
}

// stream is one direction. Whoever waits watches changed, which is closed when the state moves.
type stream struct {
	mu                          sync.Mutex
	buf                         bytes.Buffer
	writeClosed, readClosed     bool
	changed                     chan struct{} // nil while nobody waits
	readDeadline, writeDeadline deadline
}

func newStream() *stream { return &stream{} }

// wake is called with mu held.
func (s *stream) wake() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// wait unlocks mu, waits for a change or the deadline, and locks again.
func (s *stream) wait(expired <-chan struct{}) {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	changed := s.changed
	s.mu.Unlock()
	select {
	case <-changed:
	case <-expired:
	}
	s.mu.Lock()
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		expired := s.readDeadline.wait()
		switch {
		case s.readClosed:
			return 0, net.ErrClosed
		case isClosed(expired):
			return 0, os.ErrDeadlineExceeded
		case s.buf.Len() > 0 || len(p) == 0:
			n, _ := s.buf.Read(p)
			s.wake()
			return n, nil
		case s.writeClosed:
			return 0, io.EOF
		}
		s.wait(expired)
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	written := 0
	for {
		expired := s.writeDeadline.wait()
		switch {
		case s.writeClosed:
			return written, net.ErrClosed
		case s.readClosed:
			return written, errReset
		case isClosed(expired):
			return written, os.ErrDeadlineExceeded
		}
		if n := min(len(p)-written, bufferSize-s.buf.Len()); n > 0 {
			s.buf.Write(p[written : written+n])
			written += n
			s.wake()
		}
		if written == len(p) {
			return written, nil
		}
		s.wait(expired)
	}
}

func (s *stream) closeWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeClosed = true
	s.wake()
}

func (s *stream) closeRead() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readClosed = true
	s.buf = bytes.Buffer{}
	s.wake()
}

// deadline is a channel that closes when a time has come. A call that waits on it while the time is moved sees the new time, as
// net.Conn promises, because an open channel is kept and only a closed one is replaced.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer
	expired chan struct{}
}

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.channel()
}

func (d *deadline) channel() chan struct{} {
	if d.expired == nil {
		d.expired = make(chan struct{})
	}
	return d.expired
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.expired // the timer fired: let it close the channel before we look at it
	}
	d.timer = nil
	if isClosed(d.channel()) {
		d.expired = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	expired := d.expired
	if until := time.Until(t); until > 0 {
		d.timer = time.AfterFunc(until, func() { close(expired) })
	} else {
		close(expired)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
