package s3gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// formPart is what is held of a form's file, whose length is not known: a file that is
	// shorter goes up in one request, others in parts of this size, the least that S3 takes.
	formPart = 5 << 20
	// formMemory is what is held of all forms' files at once, but for one part.
	formMemory = 64 << 20
	// formPatience is how long a form waits for memory that others hold.
	formPatience = 30 * time.Second
)

var errNoRoom = errors.New("other forms hold all memory that there is for forms")

// formRoom bounds what is held of files: buffers are taken one by one as bytes arrive, so that
// who sends slowly holds little.
type formRoom struct {
	taken chan struct{}
	// last lets one part be filled by buffers beside those. Who waits holds buffers, too: so one
	// of those that wait for each other goes on.
	last     chan struct{}
	patience time.Duration
}

func newFormRoom(memory int, patience time.Duration) *formRoom {
	return &formRoom{make(chan struct{}, memory/bufferSize), make(chan struct{}, 1), patience}
}

// forms is the room of this process's endpoints.
var forms = newFormRoom(formMemory, formPatience)

// filePart is what is held of a file.
type filePart struct {
	room    *formRoom
	bufs    []*[]byte
	beside  bool // it has room.last
	besides int  // buffers that are not among those that room counts
	n       int
}

// grow takes one more buffer.
func (p *filePart) grow(ctx context.Context) error {
	if !p.beside {
		if err := p.wait(ctx); err != nil {
			return err
		}
	}
	if p.beside {
		p.besides++
	}
	p.bufs = append(p.bufs, buffers.Get().(*[]byte))
	return nil
}

// wait returns when there is room for another buffer.
func (p *filePart) wait(ctx context.Context) error {
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
			return slowDown(err, "Too many forms are being received. Please retry.")
		}
		return ctx.Err()
	}
	return nil
}

// fill reads a part of a file, and reports whether more may follow.
func (p *filePart) fill(ctx context.Context, file io.Reader) (more bool, err error) {
	for p.n < formPart {
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

// reader returns what is held, until the part is released.
func (p *filePart) reader() *partReader {
	parts, left := make([]io.Reader, len(p.bufs)), p.n
	for i, b := range p.bufs {
		n := min(left, len(*b))
		parts[i], left = bytes.NewReader((*b)[:n]), left-n
	}
	return &partReader{r: io.MultiReader(parts...)}
}

// release gives all buffers back.
func (p *filePart) release() {
	for range len(p.bufs) - p.besides {
		<-p.room.taken
	}
	for _, b := range p.bufs {
		buffers.Put(b)
	}
	if p.beside {
		<-p.room.last
	}
	*p = filePart{room: p.room}
}

// partReader reads buffers that are others' once it is closed: a transport may go on to read the
// body of a request that was answered.
type partReader struct {
	mu     sync.Mutex
	r      io.Reader
	closed bool
}

func (r *partReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, os.ErrClosed
	}
	return r.r.Read(p)
}

// Close implements io.Closer.
func (r *partReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}
