package storage

import (
	"bytes"
	"context"
	"crypto/md5" // what S3's ETags and Content-MD5 are
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// copyWhole copies with one GET and one PUT.
func (t *transfer) copyWhole(ctx context.Context) (Object, error) {
	resp, err := t.source.get(ctx, nil, "")
	if err != nil {
		return Object{}, err
	}
	defer resp.Body.Close()
	put := t.putRequest()
	if resp.ContentLength != t.obj.Size {
		return Object{}, t.src.wire.Fail(put, ErrPrecondition, "size is %d, expected %d", resp.ContentLength, t.obj.Size)
	}
	if put.Header, err = t.describe(ctx, resp.Header); err != nil {
		return Object{}, err
	}
	if t.to.Unpacks(put.Header) { // it comes in parts: the answer to a whole would have the ETag of the archive, and tell nothing
		_ = resp.Body.Close()
		if t.dest.unpacks {
			return Object{}, t.dst.wire.Fail(put, ErrRefused, "it would unpack the object")
		}
		t.dest.unpacks = true
		return t.copyParts(ctx)
	}
	t.dest.placeVersion(put, resp.Header)
	t.dest.setCondition(put.Header)
	body := &sourceReader{t: t, ctx: ctx, r: resp.Body}
	check, err := t.prepareBody(put, body, resp.Header)
	if err != nil {
		return Object{}, err
	}
	t.dog.Touch()
	h, err := t.dst.wire.Put(ctx, put)
	switch {
	case body.err != nil:
		return Object{}, body.err
	case err != nil:
		return t.afterRefusal(ctx, put, resp.Header, err)
	}
	if err := check(s3.TrimETag(h.Get("ETag"))); err != nil {
		return Object{}, err
	}
	t.tellLosses(resp.Header, h)
	return t.result(h), nil
}

// prepareBody sets the request's body and the checksum that dst is to check it by;
// the returned function checks the answer's ETag where dst checks nothing.
func (t *transfer) prepareBody(put *s3.Request, body io.Reader, h http.Header) (func(etag string) error, error) {
	put.Size = t.obj.Size
	known := sums.IsMD5(t.obj.ETag) && !sums.Encrypted(h)
	if put.Size <= smallObject {
		return noCheck, t.bufferBody(put, body, known || (sums.PartsOf(t.obj.ETag) == 1 && !sums.Encrypted(h)))
	}
	put.Body, put.AskFirst = body, true
	switch {
	case known:
		// The source's own MD5: dst checks the whole way, and nothing here has to.
		sum, _ := hex.DecodeString(t.obj.ETag)
		put.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum))
	case t.to.Trailers:
		put.Trailing = true
		put.Header.Set(sdkChecksum, "CRC32C")
	default:
		sum := md5.New()
		put.Body = io.TeeReader(body, sum)
		return checkAnswer(t, put, sum), nil
	}
	return noCheck, nil
}

func noCheck(string) error { return nil }

func (t *transfer) bufferBody(put *s3.Request, body io.Reader, known bool) error {
	buf := make([]byte, t.obj.Size)
	if _, err := io.ReadFull(body, buf); err != nil {
		return err
	}
	sum := md5.Sum(buf)
	etag := hex.EncodeToString(sum[:])
	if sums.PartsOf(t.obj.ETag) == 1 {
		etag = fmt.Sprintf("%x-1", md5.Sum(sum[:]))
	}
	if known && etag != t.obj.ETag {
		return t.src.wire.Fail(put, ErrCorrupt, "by its content the ETag is %s, not %s", etag, t.obj.ETag)
	}
	put.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	put.Body, put.Replay = bytes.NewReader(buf), buf
	return nil
}

// checkAnswer compares the ETag of an answer with the MD5 of what was sent.
func checkAnswer(t *transfer, put *s3.Request, sum hash.Hash) func(string) error {
	return func(etag string) error {
		if got := hex.EncodeToString(sum.Sum(nil)); sums.IsMD5(etag) && got != etag {
			return t.dst.wire.Fail(put, ErrCorrupt, "ETag is %s, sent %s", etag, got)
		}
		return nil
	}
}
