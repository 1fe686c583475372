package storage

import (
	"context"
	"crypto/md5" // what S3's ETags and Content-MD5 are
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// transferParts runs the workers. The first error stops them all. A few large objects have
// many streams each, many have few: together they don't overrun a storage.
func (u *upload) transferParts(ctx context.Context, first *http.Response) error {
	next, fed := make(chan int), make(chan struct{})
	go func() {
		defer close(fed)
		defer close(next)
		for n := 1; n <= u.layout.count; n++ {
			if u.has(n) {
				continue
			}
			select {
			case next <- n:
			case <-ctx.Done():
				return
			}
		}
	}()
	var wg sync.WaitGroup
	for i := range u.layout.workers() {
		wg.Go(func() {
			if i >= ownStreams {
				u.transferMore(ctx, next, fed, first)
				return
			}
			for n := range next {
				if err := u.transferPart(ctx, n, first); err != nil {
					u.cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// transferMore is a worker that has to find a free stream for each part.
func (u *upload) transferMore(ctx context.Context, next <-chan int, fed <-chan struct{}, first *http.Response) {
	for {
		select {
		case u.t.dst.streams <- struct{}{}:
		case <-fed:
			return
		case <-ctx.Done():
			return
		}
		n, more := <-next
		var err error
		if more {
			err = u.transferPart(ctx, n, first)
		}
		<-u.t.dst.streams
		if err != nil {
			u.cancel(err)
		}
		if err != nil || !more {
			return
		}
	}
}

// transferPart copies a part, again if the network failed it.
func (u *upload) transferPart(ctx context.Context, n int, first *http.Response) error {
	var err error
	for attempt := range partAttempts {
		var resp *http.Response
		if n == 1 && attempt == 0 && first != nil {
			resp = first
		} else if resp, err = u.openPart(ctx, n); err != nil {
			if !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
				return err
			}
			continue
		}
		err = u.putPart(ctx, n, resp)
		_ = resp.Body.Close()
		if err == nil && n%renoteEvery == 0 {
			err = u.note(ctx, 0, nil) // the upload is still being continued
		}
		if err == nil || !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (u *upload) putPart(ctx context.Context, n int, resp *http.Response) error {
	q := u.request("PUT part "+strconv.Itoa(n)+" of", http.MethodPut, partQuery(u.id, n))
	q.Size = resp.ContentLength
	body := &sourceReader{t: u.t, ctx: ctx, r: resp.Body}
	q.Body = body
	if u.t.to.Preserve {
		q.Header.Set(minioRequest, "true")
	}
	sum := md5.New()
	switch {
	case u.layout.verified: // by the sum of the ETags
	case u.t.to.Trailers:
		q.Trailing = true
		q.Header.Set(sdkChecksum, "CRC32C")
	default:
		q.Body = io.TeeReader(body, sum)
	}
	h, err := u.t.dst.wire.Put(ctx, q)
	if body.err != nil {
		return body.err
	}
	if err != nil {
		return err
	}
	etag := s3.TrimETag(h.Get("ETag"))
	if got := hex.EncodeToString(sum.Sum(nil)); !u.layout.verified && !q.Trailing && sums.IsMD5(etag) && etag != got {
		return u.t.dst.wire.Fail(q, ErrCorrupt, "ETag is %s, sent %s", etag, got)
	}
	u.completed(n, q.Size, h)
	return nil
}
