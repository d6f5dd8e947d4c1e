// Package memnet is a network inside one process: listeners and connections that the standard net/http and grpc take for real ones.
// It blocks on channels alone, so that a whole system built on it runs inside a testing/synctest bubble, and it buffers, so that a
// writer does not wait for its reader.
package memnet

import (
	"context"
	"net"
	"sync"
)

// Listener accepts what Dial connects. The zero value is not usable; call Listen.
type Listener struct {
	addr   addr
	accept chan net.Conn
	done   chan struct{}
	once   sync.Once
}

// Listen makes a listener. Name is what its address prints as.
func Listen(name string) *Listener {
	return &Listener{addr: addr(name), accept: make(chan net.Conn), done: make(chan struct{})}
}

// Accept waits for the next connection. After Close it returns net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
	case c := <-l.accept:
		return c, nil
	}
}

// Close stops accepting. Connections that were accepted live on.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is the listener's name as an address.
func (l *Listener) Addr() net.Addr { return l.addr }

// Dial connects to the listener; it waits until the connection is accepted.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	client, server := Pipe(string(l.addr))
	select {
	case l.accept <- server:
		return client, nil
	case <-l.done:
		return nil, &net.OpError{Op: "dial", Net: l.addr.Network(), Addr: l.addr, Err: errRefused}
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: l.addr.Network(), Addr: l.addr, Err: ctx.Err()}
	}
}

// DialContext has the shape that http.Transport wants; whatever address is asked for, it is this listener that answers.
func (l *Listener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return l.Dial(ctx)
}

// DialAddr has the shape that grpc.WithContextDialer wants.
func (l *Listener) DialAddr(ctx context.Context, _ string) (net.Conn, error) { return l.Dial(ctx) }

type addr string

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }
