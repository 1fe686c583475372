package forms

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/fado-project/fado/s3gateway/internal/pace"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

const (
	// PartSize is what is held of a form's file, whose length is not known: a file that is
	// shorter goes up in one request, others in parts of this size, the least that S3 takes.
	PartSize = 5 << 20
	// Memory is what is held of all forms' files at once, but for one part.
	Memory = 64 << 20
	// Patience is how long a form waits for memory that others hold.
	Patience = 30 * time.Second
)

var errNoRoom = errors.New("other forms hold all memory that there is for forms")

// Room bounds what is held of files: buffers are taken one by one as bytes arrive, so that
// who sends slowly holds little.
type Room struct {
	taken chan struct{}
	// last lets one part be filled by buffers beside those. Who waits holds buffers, too: so one
	// of those that wait for each other goes on.
	last     chan struct{}
	patience time.Duration
}

// NewRoom returns a room of so many bytes, for which forms wait no longer than patience.
func NewRoom(memory int, patience time.Duration) *Room {
	return &Room{make(chan struct{}, memory/pace.BufferSize), make(chan struct{}, 1), patience}
}

// Part is what is held of a file. It is one goroutine's, and must be released.
type Part struct {
	room    *Room
	bufs    []*[]byte
	beside  bool // it has room.last
	besides int  // buffers that are not among those that room counts
	n       int
}

// Part returns one that holds nothing yet.
func (r *Room) Part() *Part { return &Part{room: r} }

// Len is how many bytes are held.
func (p *Part) Len() int { return p.n }

// grow takes one more buffer.
func (p *Part) grow(ctx context.Context) error {
	if !p.beside {
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
	if p.beside {
		p.besides++
	}
	p.bufs = append(p.bufs, pace.Buffers.Get().(*[]byte))
	return nil
}

// wait returns when there is room for another buffer.
func (p *Part) wait(ctx context.Context) error {
	select {
	case p.room.taken <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.room.patience, errNoRoom)
	defer cancel()
	select {
	case p.room.taken <- struct{}{}:
	case p.room.last <- struct{}{}:
		p.beside = true
	case <-ctx.Done():
		if err := context.Cause(ctx); errors.Is(err, errNoRoom) {
			return s3err.SlowDown(err, "Too many forms are being received. Please retry.")
		}
		return ctx.Err()
	}
	return nil
}

// Fill reads a part of a file, and reports whether more may follow.
func (p *Part) Fill(ctx context.Context, file io.Reader) (more bool, err error) {
	for p.n < PartSize {
		if err := p.grow(ctx); err != nil {
			return false, err
		}
		n, err := io.ReadFull(file, *p.bufs[len(p.bufs)-1])
		p.n += n
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return true, nil
}

// Reader returns what is held, until the part is released.
func (p *Part) Reader() io.ReadCloser {
	parts, left := make([]io.Reader, len(p.bufs)), p.n
	for i, b := range p.bufs {
		n := min(left, len(*b))
		parts[i], left = bytes.NewReader((*b)[:n]), left-n
	}
	return &reader{r: io.MultiReader(parts...)}
}

// Release gives all buffers back. The part may be filled again.
func (p *Part) Release() {
	for range len(p.bufs) - p.besides {
		<-p.room.taken
	}
	for _, b := range p.bufs {
		pace.Buffers.Put(b)
	}
	if p.beside {
		<-p.room.last
	}
	*p = Part{room: p.room}
}

// reader reads buffers that are others' once it is closed: a transport may go on to read the
// body of a request that was answered.
type reader struct {
	mu     sync.Mutex
	r      io.Reader
	closed bool
}

func (r *reader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, os.ErrClosed
	}
	return r.r.Read(p)
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}
