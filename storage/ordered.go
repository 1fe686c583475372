package storage

import (
	"bytes"
	"context"
	"crypto/md5" // Content-MD5
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// orderedPart is the size of parts that are held in memory until their turn in the
	// content's digest has come.
	orderedPart = 8 << 20
	// orderedFrom is from what size on an object that was uploaded in one piece is copied
	// in parts. Below, one stream that the destination checks by its MD5 costs the least,
	// and a cut costs no more than this.
	orderedFrom = 128 << 20
	// maxPartBuffers bounds the memory of all copies at a time, 96 MiB, and partBuffersEach
	// that of all copies to one storage: one that hangs must not take it from the others.
	maxPartBuffers  = 12
	partBuffersEach = 3
)

// partMemory lends the memory for parts.
type partMemory struct {
	free chan struct{}
	pool sync.Pool
}

var partBuffers = &partMemory{
	free: make(chan struct{}, maxPartBuffers),
	pool: sync.Pool{New: func() any { b := make([]byte, orderedPart); return &b }},
}

// borrowPart waits for the memory of one part, which is no stall.
func (t *transfer) borrowPart(ctx context.Context) (*[]byte, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for _, sem := range []chan struct{}{t.dst.parts, partBuffers.free} {
		if err := t.await(ctx, sem, tick.C); err != nil {
			if sem == partBuffers.free {
				<-t.dst.parts
			}
			return nil, err
		}
	}
	b, _ := partBuffers.pool.Get().(*[]byte)
	return b, nil
}

func (t *transfer) await(ctx context.Context, sem chan struct{}, tick <-chan time.Time) error {
	for {
		select {
		case sem <- struct{}{}:
			return nil
		case <-tick:
			t.dog.touch()
			if t.opts.Progress != nil {
				t.opts.Progress(0)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (t *transfer) returnPart(b *[]byte) {
	partBuffers.pool.Put(b)
	<-partBuffers.free
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
		u.hash = u.layout.digest.new()
	}
	jobs := make(chan orderedJob)
	go u.feedOrdered(ctx, jobs)
	var wg sync.WaitGroup
	for range min(partBuffersEach, u.layout.count) {
		wg.Go(func() {
			for j := range jobs {
				err := u.orderedPart(ctx, j)
				u.t.returnPart(j.buf)
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
		buf, err := u.t.borrowPart(ctx)
		if err != nil {
			return
		}
		next := make(chan struct{})
		select {
		case jobs <- orderedJob{n, buf, turn, next}:
		case <-ctx.Done():
			u.t.returnPart(buf)
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
	state, err := stateOf(u.hash)
	if err != nil {
		return u.t.src.fail(u.t.putRequest(), ErrUnsupported, "%v", err)
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
		return u.t.src.fail(u.t.putRequest(), ErrPrecondition, "a range of %d bytes has %d", len(body), resp.ContentLength)
	}
	return readPart(&sourceReader{t: u.t, ctx: ctx, r: resp.Body}, body)
}

// putBuffered writes a part from memory, with a checksum of it that the destination
// checks.
func (u *upload) putBuffered(ctx context.Context, n int, body []byte) error {
	var check func(*request)
	if u.t.to.trailers {
		sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, castagnoli))
		check = func(q *request) { q.header.Set(crc32cHeader, base64.StdEncoding.EncodeToString(sum)) }
	} else {
		sum := md5.Sum(body)
		check = func(q *request) { q.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:])) }
	}
	var err error
	for range partAttempts {
		q := u.request("PUT part "+strconv.Itoa(n)+" of", http.MethodPut, partQuery(u.id, n))
		q.size, q.body, q.replay = int64(len(body)), bytes.NewReader(body), body
		if u.t.to.preserve {
			q.header.Set(minioRequest, "true")
		}
		check(q)
		var h http.Header
		if h, err = u.t.dst.call(ctx, q); err == nil {
			u.completed(n, int64(len(body)), h)
			return nil
		}
		if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// checkContent compares the digest of what was read with the source's.
func (u *upload) checkContent() error {
	d := u.layout.digest
	if got := d.text(u.hash.Sum(nil)); got != d.want {
		return u.t.src.fail(u.t.putRequest(), ErrCorrupt, "by its content the %s is %s, not %s", d.name, got, d.want)
	}
	return nil
}

// orderedLayout cuts an object into parts that fit the memory lent for them.
func orderedLayout(size int64, d *contentDigest) layout {
	return layout{count: int((size + orderedPart - 1) / orderedPart), size: orderedPart, digest: d}
}

// head asks for the source object's headers, its stored checksum among them.
func (t *transfer) head(ctx context.Context) (http.Header, error) {
	q := &request{
		name: "HEAD", method: http.MethodHead, bucket: t.src.Physical(t.bucket), key: t.obj.Key,
		header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}, dog: t.dog,
	}
	t.src.askForTags(q.header)
	h, err := t.src.call(ctx, q)
	if err != nil {
		return nil, t.src.explain404(ctx, q, err)
	}
	if got := trimETag(h.Get("ETag")); got != t.obj.ETag {
		return nil, t.src.fail(q, ErrPrecondition, "ETag is %s, expected %s", got, t.obj.ETag)
	}
	if got := h.Get("Content-Length"); got != strconv.FormatInt(t.obj.Size, 10) {
		return nil, t.src.fail(q, ErrPrecondition, "size is %s, expected %d", got, t.obj.Size)
	}
	return h, nil
}
