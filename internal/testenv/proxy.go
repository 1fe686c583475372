package testenv

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Direction of bytes through a Proxy.
type Direction int

// The directions.
const (
	Up   Direction = iota // from client to server
	Down                  // from server to client
)

// Proxy passes TCP connections on to a server, and breaks them when told. Its methods
// are safe for concurrent use.
type Proxy struct {
	target string
	addr   string
	scheme string

	mu       sync.Mutex
	listener net.Listener // nil while refusing
	conns    map[net.Conn]struct{}
	gate     chan struct{} // closed while bytes may pass; open while hanging
	closed   bool

	delay [2]atomic.Int64 // nanoseconds per chunk
	rate  [2]atomic.Int64 // bytes per second; 0: unlimited
	cutIn [2]atomic.Int64 // bytes until the cut; negative: none
	moved [2]atomic.Int64
	wg    sync.WaitGroup
}

// NewProxy starts a proxy on a free loopback port before a server, given as
// host:port or URL.
func NewProxy(target string) (*Proxy, error) {
	scheme, addr, ok := strings.Cut(target, "://")
	if !ok {
		scheme, addr = "http", target
	}
	l, err := listen()
	if err != nil {
		return nil, fmt.Errorf("starting a proxy: %w", err)
	}
	gate := make(chan struct{})
	close(gate)
	p := &Proxy{
		target: addr, scheme: scheme, addr: l.Addr().String(),
		listener: l, conns: make(map[net.Conn]struct{}), gate: gate,
	}
	p.Heal()
	p.wg.Add(1)
	go p.accept(l)
	return p, nil
}

// Addr is the proxy's host:port; Endpoint is its URL with the target's scheme.
func (p *Proxy) Addr() string     { return p.addr }
func (p *Proxy) Endpoint() string { return p.scheme + "://" + p.addr }

// Heal lets everything pass again.
func (p *Proxy) Heal() {
	for d := range p.cutIn {
		p.cutIn[d].Store(-1)
		p.delay[d].Store(0)
		p.rate[d].Store(0)
	}
	p.Hang(false)
	_ = p.Refuse(false)
}

// Delay holds every chunk in a direction back.
func (p *Proxy) Delay(d Direction, by time.Duration) { p.delay[d].Store(int64(by)) }

// Slow limits every connection in a direction to so many bytes per second (0: none).
func (p *Proxy) Slow(d Direction, rate int64) { p.rate[d].Store(rate) }

// CutAfter cuts all connections once n more bytes have passed in a direction; later
// connections pass.
func (p *Proxy) CutAfter(d Direction, n int64) { p.cutIn[d].Store(n) }

// Moved returns the bytes passed in a direction so far.
func (p *Proxy) Moved(d Direction) int64 { return p.moved[d].Load() }

// Hang stops all bytes without closing a connection; Hang(false) lets them pass again.
func (p *Proxy) Hang(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gate:
		if on {
			p.gate = make(chan struct{})
		}
	default:
		if !on {
			close(p.gate)
		}
	}
}

// Cut resets every open connection.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		_ = c.Close()
	}
}

// Refuse closes the port, and cuts what is open; Refuse(false) opens it again.
func (p *Proxy) Refuse(on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case on && p.listener != nil:
		_ = p.listener.Close()
		p.listener = nil
		for c := range p.conns {
			_ = c.Close()
		}
	case !on && p.listener == nil && !p.closed:
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			return fmt.Errorf("opening the proxy's port again: %w", err)
		}
		p.listener = l
		p.wg.Add(1)
		go p.accept(l)
	}
	return nil
}

// Close ends the proxy and its connections, and waits.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.Refuse(true)
	p.Hang(false)
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept(l net.Listener) {
	defer p.wg.Done()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.wg.Add(1)
		go p.serve(c)
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.wg.Done()
	if !p.track(client) {
		return
	}
	defer p.untrack(client)
	p.wait()
	server, err := net.Dial("tcp", p.target)
	if err != nil || !p.track(server) {
		return
	}
	defer p.untrack(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.pipe(Up, server, client)
	}()
	p.pipe(Down, client, server)
	_ = client.Close()
	<-done
}

// track notes a connection so that Cut finds it; it closes it if the proxy ends.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) untrack(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

func (p *Proxy) wait() {
	p.mu.Lock()
	gate := p.gate
	p.mu.Unlock()
	<-gate
}

// pipe passes bytes on in one direction until either side ends.
func (p *Proxy) pipe(d Direction, dst, src net.Conn) {
	defer dst.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 && !p.pass(d, dst, buf[:n]) {
			return
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				p.wait()
			}
			return
		}
	}
}

func (p *Proxy) pass(d Direction, dst net.Conn, b []byte) bool {
	p.wait()
	if by := p.delay[d].Load(); by > 0 {
		time.Sleep(time.Duration(by))
	}
	if rate := p.rate[d].Load(); rate > 0 {
		time.Sleep(time.Duration(int64(len(b)) * int64(time.Second) / rate))
	}
	if left := p.cutIn[d].Load(); left >= 0 {
		if left = p.cutIn[d].Add(-int64(len(b))); left <= 0 {
			if keep := int64(len(b)) + left; keep > 0 {
				_, _ = dst.Write(b[:keep])
			}
			p.cutIn[d].Store(-1)
			p.Cut()
			return false
		}
	}
	n, err := dst.Write(b)
	p.moved[d].Add(int64(n))
	return err == nil
}
