package storage

import (
	"bytes"
	"context"
	"crypto/md5" // what S3's ETags and Content-MD5 are
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// maxPartBuffers bounds the memory of all copies at a time, 96 MiB.
const maxPartBuffers = 12

// partMemory lends the memory for parts.
type partMemory struct {
	free chan struct{}
	pool sync.Pool
}

var partBuffers = &partMemory{
	free: make(chan struct{}, maxPartBuffers),
	pool: sync.Pool{New: func() any { b := make([]byte, orderedPart); return &b }},
}

// borrow waits for the memory of one part, which is no stall.
func (m *partMemory) borrow(ctx context.Context, t *transfer) (*[]byte, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, sem := range []chan struct{}{t.dst.parts, m.free} {
		if err := awaitMemory(ctx, t, sem, tick.C); err != nil {
			if sem == m.free {
				<-t.dst.parts
			}
			return nil, err
		}
	}
	b, _ := m.pool.Get().(*[]byte)
	return b, nil
}

func awaitMemory(ctx context.Context, t *transfer, sem chan struct{}, tick <-chan time.Time) error {
	for {
		select {
		case sem <- struct{}{}:
			return nil
		case <-tick:
			t.dog.Touch()
			if t.opts.Progress != nil {
				t.opts.Progress(0)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (m *partMemory) giveBack(t *transfer, b *[]byte) {
	m.pool.Put(b)
	<-m.free
	<-t.dst.parts
}

// orderedJob is one part with the memory it is read into.
type orderedJob struct {
	n    int
	buf  *[]byte
	turn <-chan struct{} // closed when the parts before are in the digest
	next chan struct{}   // to be closed when this one is
}

// transferOrdered copies parts of our choice, several at a time, and digests the content
// on the way, in order: so the whole is checked as the source keeps its checksum,
// although no request carries the whole.
//
// The memory for a part is taken before the part's turn to be read, in order, by whatever
// copy asks first: the first part of a copy that has one never waits for another part.
func (u *upload) transferOrdered(ctx context.Context) error {
	if u.hash == nil {
		u.hash = u.layout.digest.New()
	}
	jobs := make(chan orderedJob)
	go u.feedOrdered(ctx, jobs)
	var wg sync.WaitGroup
	for range min(partBuffersEach, u.layout.count) {
		wg.Go(func() {
			for j := range jobs {
				err := u.orderedPart(ctx, j)
				partBuffers.giveBack(u.t, j.buf)
				if err != nil {
					u.cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (u *upload) feedOrdered(ctx context.Context, jobs chan<- orderedJob) {
	defer close(jobs)
	turn := make(chan struct{})
	close(turn)
	for n := u.hashed + 1; n <= u.layout.count; n++ {
		buf, err := partBuffers.borrow(ctx, u.t)
		if err != nil {
			return
		}
		next := make(chan struct{})
		select {
		case jobs <- orderedJob{n, buf, turn, next}:
		case <-ctx.Done():
			partBuffers.giveBack(u.t, buf)
			return
		}
		turn = next
	}
}

// orderedPart reads, writes and digests one part.
func (u *upload) orderedPart(ctx context.Context, j orderedJob) error {
	body := (*j.buf)[:u.layout.bytesOf(j.n, u.t.obj.Size)]
	if err := u.readPart(ctx, j.n, body); err != nil {
		return err
	}
	if err := u.putBuffered(ctx, j.n, body); err != nil {
		return err
	}
	select {
	case <-j.turn:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	u.hash.Write(body)
	u.hashed = j.n
	state, err := sums.State(u.hash)
	if err != nil {
		return u.t.src.wire.Fail(u.t.putRequest(), ErrUnsupported, "%v", err)
	}
	if j.n%noteEvery == 0 && j.n < u.layout.count {
		if err := u.note(ctx, j.n, state); err != nil {
			return err
		}
	}
	close(j.next)
	return nil
}

// readPart reads a part of the source, again if the network failed it.
func (u *upload) readPart(ctx context.Context, n int, body []byte) error {
	var err error
	for range partAttempts {
		if err = u.readOnce(ctx, n, body); err == nil || !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (u *upload) readOnce(ctx context.Context, n int, body []byte) error {
	resp, err := u.openPart(ctx, n)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.ContentLength != int64(len(body)) {
		return u.t.src.wire.Fail(u.t.putRequest(), ErrPrecondition, "a range of %d bytes has %d", len(body), resp.ContentLength)
	}
	return readPart(&sourceReader{t: u.t, ctx: ctx, r: resp.Body}, body)
}

// readPart reads a part's body whole.
func readPart(r io.Reader, buf []byte) error {
	_, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// putBuffered writes a part from memory, with a checksum of it that the destination
// checks.
func (u *upload) putBuffered(ctx context.Context, n int, body []byte) error {
	var check func(*s3.Request)
	if u.t.to.Trailers {
		sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, sums.Castagnoli))
		check = func(q *s3.Request) { q.Header.Set(s3.CRC32C, base64.StdEncoding.EncodeToString(sum)) }
	} else {
		sum := md5.Sum(body)
		check = func(q *s3.Request) { q.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:])) }
	}
	var err error
	for range partAttempts {
		q := u.request("PUT part "+strconv.Itoa(n)+" of", http.MethodPut, partQuery(u.id, n))
		q.Size, q.Body, q.Replay = int64(len(body)), bytes.NewReader(body), body
		if u.t.to.Preserve {
			q.Header.Set(minioRequest, "true")
		}
		check(q)
		var h http.Header
		if h, err = u.t.dst.wire.Put(ctx, q); err == nil {
			u.completed(n, int64(len(body)), h)
			return nil
		}
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}
