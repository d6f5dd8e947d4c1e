package local

import (
	"net"
	"sync"
	"time"
)

// preface is what every HTTP/2 connection begins with (RFC 9113, section 3.4), and no HTTP/1.1 request.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// greetTime is how long a client may take until it is known what it speaks.
const greetTime = 10 * time.Second

// port is a listener that a gRPC server and an HTTP/1.1 server share. Each connection is read until its first bytes tell whose it is,
// beside the others, so that a silent client keeps nobody waiting.
type port struct {
	listener net.Listener
	rpc, web *half
	closed   chan struct{}

	mu      sync.Mutex
	clients map[*client]struct{} // all but those of web, whose server ends them itself; nil once closed
}

// share gives what the two servers accept from. Closing either closes the port and the connections to rpc: a gRPC server that stops waits for
// those that have not finished their greeting.
func share(l net.Listener) (rpc, web net.Listener) {
	p := &port{listener: l, closed: make(chan struct{}), clients: map[*client]struct{}{}}
	p.rpc = &half{p, make(chan net.Conn), make(chan error)}
	p.web = &half{p, make(chan net.Conn), nil}
	go p.accept()
	return p.rpc, p.web
}

func (p *port) accept() {
	for {
		conn, err := p.listener.Accept()
		if err == nil {
			go p.greet(&client{Conn: conn, port: p})
			continue
		}
		select {
		case p.rpc.failed <- err: // its server knows which errors pass, and pauses
		case <-p.closed:
			return
		}
	}
}

// greet reads what a client begins with, and hands it to its server.
func (p *port) greet(c *client) {
	if !p.enter(c) {
		c.Conn.Close()
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(greetTime))
	head := make([]byte, 0, len(preface))
	for len(head) < len(preface) && string(head) == preface[:len(head)] {
		n, err := c.Conn.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		if err != nil {
			c.Close()
			return
		}
	}
	_ = c.SetReadDeadline(time.Time{})
	c.head = head
	to := p.rpc
	if string(head) != preface {
		to = p.web
		p.leave(c)
	}
	select {
	case to.conns <- c:
	case <-p.closed:
		c.Close()
	}
}

func (p *port) enter(c *client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients == nil {
		return false
	}
	p.clients[c] = struct{}{}
	return true
}

func (p *port) leave(c *client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, c)
}

func (p *port) close() error {
	p.mu.Lock()
	clients := p.clients
	p.clients = nil
	p.mu.Unlock()
	if clients == nil {
		return nil
	}
	close(p.closed)
	for c := range clients {
		c.Conn.Close()
	}
	return p.listener.Close()
}

// half is what one of the two servers accepts from.
type half struct {
	port   *port
	conns  chan net.Conn
	failed chan error // nil: errors are the other's
}

func (h *half) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case err := <-h.failed:
		return nil, err
	case <-h.port.closed:
		return nil, &net.OpError{Op: "accept", Net: h.Addr().Network(), Addr: h.Addr(), Err: net.ErrClosed}
	}
}

func (h *half) Close() error   { return h.port.close() }
func (h *half) Addr() net.Addr { return h.port.listener.Addr() }

// client is a connection whose first bytes have been read already.
type client struct {
	net.Conn
	port *port
	head []byte
}

func (c *client) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	c.head = c.head[n:]
	return n, nil
}

func (c *client) Close() error {
	c.port.leave(c)
	return c.Conn.Close()
}
