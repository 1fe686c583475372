package storage

import (
	"bytes"
	"context"
	"crypto/md5" // a multipart ETag is an MD5 of MD5s
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	partWorkers  = 4  // parts of one object at a time
	mostWorkers  = 8  // of an object of so many parts that a cut loses few of them
	ownStreams   = 2  // of them, those that an object has to itself
	moreStreams  = 24 // further ones of all objects on their way to one storage
	partAttempts = 3
	abortTimeout = 30 * time.Second
	minPart      = 5 << 20  // S3's minimum for all parts but the last
	ownPart      = 16 << 20 // where the source's parts are not known
	maxParts     = 10000
)

// inParts says whether the copy is a multipart upload. An object that was uploaded
// in parts is copied in the same parts, so that its ETag comes out the same on any
// storage, and checks the content on the way; one that was not goes in one piece,
// for the same reason, up to the size from which parts that go at the same time, and
// stay when the rest is cut, are worth another ETag.
func (t *transfer) inParts() bool {
	return t.obj.Size >= orderedFrom || (partsOf(t.obj.ETag) > 0 && t.obj.Size > smallObject)
}

// layout says how an object is cut into parts.
type layout struct {
	count    int
	size     int64 // of every part but the last; 0: as the source's parts are
	verified bool  // the parts' ETags must add up to the source's
	// digest of the whole content, computed in order; nil: each part is checked by itself.
	digest *contentDigest
}

// upload is a multipart upload under way.
type upload struct {
	t      *transfer
	id     string
	layout layout
	head   http.Header // the source's
	begun  string      // see begunWith
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	parts []completedPart
	bytes int64

	// The digest of the first parts, where the layout has one. Only the part whose turn
	// it is touches it.
	hash   hash.Hash
	hashed int
}

type completedPart struct {
	PartNumber int
	ETag       string
	sum        [md5.Size]byte
	plain      bool
	checksum   string
}

// copyParts copies by a multipart upload of parallel parts. An upload that was cut is
// gone on with, see UploadNote.
func (t *transfer) copyParts(ctx context.Context) (Object, error) {
	src, err := t.open(ctx)
	if err != nil {
		return Object{}, err
	}
	defer src.close()
	if src.layout.count == 0 {
		src.close()
		return t.copyWhole(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u := &upload{t: t, layout: src.layout, head: src.head, cancel: cancel, parts: make([]completedPart, src.layout.count)}
	if q, err := u.begin(ctx); err != nil {
		return t.afterRefusal(ctx, q, src.head, err)
	}
	h, err := u.transferAndComplete(ctx, src.first)
	if err != nil {
		u.giveUp(ctx, err)
		return Object{}, err
	}
	if u.noted() {
		_ = t.opts.Upload.Clear(context.WithoutCancel(ctx)) // what stays is found to be gone later
	}
	return t.result(h), nil
}

// opened is a source object about to be copied in parts.
type opened struct {
	head   http.Header
	layout layout         // count 0: it is better copied as a whole
	first  *http.Response // the first part, where that was how to find out; nil otherwise
}

func (o *opened) close() {
	if o.first != nil {
		_ = o.first.Body.Close()
	}
}

// open decides on the layout: the source's own parts, where it tells them; parts in
// order, where it keeps a checksum of the whole; else parts that are checked one by one.
func (t *transfer) open(ctx context.Context) (*opened, error) {
	n := partsOf(t.obj.ETag)
	if n > 0 && n <= maxParts {
		resp, err := t.get(ctx, url.Values{"partNumber": {"1"}}, "")
		if err != nil {
			return nil, err
		}
		told, _ := strconv.Atoi(resp.Header.Get("X-Amz-Mp-Parts-Count"))
		if told == n && (n == 1 || resp.ContentLength >= minPart) {
			return &opened{resp.Header, layout{count: n, verified: !encrypted(resp.Header)}, resp}, nil
		}
		_ = resp.Body.Close()
	}
	head, err := t.head(ctx)
	if err != nil {
		return nil, err
	}
	d := contentDigestOf(t.obj.ETag, head)
	if l := orderedLayout(t.obj.Size, d); d != nil && l.count <= maxParts && l.count > 1 && l.count != n {
		return &opened{head: head, layout: l}, nil
	}
	return t.openOwn(ctx, n)
}

// openOwn opens the first of parts that are checked one by one.
func (t *transfer) openOwn(ctx context.Context, n int) (*opened, error) {
	l := ownLayout(t.obj.Size, n)
	resp, err := t.get(ctx, nil, l.byteRange(1, t.obj.Size))
	if err != nil {
		return nil, err
	}
	if want := l.bytesOf(1, t.obj.Size); resp.ContentLength != want {
		_ = resp.Body.Close()
		return nil, t.src.fail(t.putRequest(), ErrPrecondition, "a range of %d bytes has %d", want, resp.ContentLength)
	}
	if l.count == 1 {
		l.count = 0
	}
	return &opened{resp.Header, l, resp}, nil
}

// ownLayout cuts an object into parts of our choice. Their number is not that of the
// source's parts, so that an ETag with this number always means the source's layout.
func ownLayout(size int64, sourceParts int) layout {
	part := int64(ownPart)
	count := func() int64 { return (size + part - 1) / part }
	for count() > maxParts || (count() == int64(sourceParts) && count() > 1) {
		part += minPart
	}
	return layout{count: int(count()), size: part}
}

func (l layout) byteRange(part int, size int64) string {
	from := int64(part-1) * l.size
	return fmt.Sprintf("bytes=%d-%d", from, min(from+l.size, size)-1)
}

// bytesOf returns a part's length, where the parts are of our choice.
func (l layout) bytesOf(part int, size int64) int64 {
	return min(l.size, size-int64(part-1)*l.size)
}

func (u *upload) request(name, method string, query url.Values) *request {
	return &request{
		name: name, method: method, bucket: u.t.dst.Physical(u.t.bucket), key: u.t.obj.Key,
		query: query, header: make(http.Header), dog: u.t.dog,
	}
}

func (u *upload) begin(ctx context.Context) (*request, error) {
	q := u.request("beginning the upload of", http.MethodPost, url.Values{"uploads": {""}})
	var err error
	if q.header, err = u.t.describe(ctx, u.head); err != nil {
		return q, err
	}
	u.t.placeVersion(q, u.head)
	if !u.layout.verified && u.t.to.trailers {
		q.header.Set(uploadChecksum, "CRC32C")
	}
	u.begun = begunWith(q)
	if v := u.t.opts.Version; v != nil { // its time is what the order goes by
		u.begun += v.Written.UTC().Format(time.RFC3339Nano)
	}
	if going, err := u.resume(ctx); going || err != nil {
		return q, err
	}
	var x struct {
		XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
		UploadID string   `xml:"UploadId"`
	}
	if _, err := u.decode(ctx, q, &x); err != nil {
		return q, err
	}
	if x.UploadID == "" {
		return q, u.t.dst.fail(q, ErrUnavailable, "the answer is not S3's: no upload ID")
	}
	u.id = x.UploadID
	if err := u.note(ctx, 0, nil); err != nil {
		u.abort(ctx)
		return q, err
	}
	return q, nil
}

// decode makes a request and parses the XML of its answer.
func (u *upload) decode(ctx context.Context, q *request, into any) (http.Header, error) {
	resp, err := u.t.dst.send(ctx, q)
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	if err := xml.NewDecoder(resp.Body).Decode(into); err != nil {
		return nil, u.t.dst.rubbish(q, err)
	}
	return resp.Header, nil
}

func (u *upload) transferAndComplete(ctx context.Context, first *http.Response) (http.Header, error) {
	move := func() error { return u.transferParts(ctx, first) }
	if u.layout.digest != nil {
		move = func() error { return u.transferOrdered(ctx) }
	}
	if err := move(); err != nil {
		return nil, err
	}
	if u.bytes != u.t.obj.Size {
		return nil, u.t.src.fail(u.t.putRequest(), ErrPrecondition, "its parts have %d bytes, expected %d", u.bytes, u.t.obj.Size)
	}
	if err := u.verify(); err != nil {
		return nil, err
	}
	if err := u.t.checkBefore(ctx); err != nil { // again: the upload took its time
		return nil, err
	}
	return u.complete(ctx)
}

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

// workers is how many parts are on their way at a time. What is on its way when the copy is
// cut has to be sent again: beyond a few, that is to be a small share of the whole.
func (l layout) workers() int {
	return min(l.count, max(partWorkers, min(mostWorkers, l.count/8)))
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
			err = u.note(ctx, 0, nil) // somebody is at it still
		}
		if err == nil || !errors.Is(err, ErrUnavailable) || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (u *upload) openPart(ctx context.Context, n int) (*http.Response, error) {
	if u.layout.size == 0 {
		return u.t.get(ctx, url.Values{"partNumber": {strconv.Itoa(n)}}, "")
	}
	return u.t.get(ctx, nil, u.layout.byteRange(n, u.t.obj.Size))
}

func (u *upload) putPart(ctx context.Context, n int, resp *http.Response) error {
	q := u.request("PUT part "+strconv.Itoa(n)+" of", http.MethodPut, partQuery(u.id, n))
	q.size = resp.ContentLength
	body := &sourceReader{t: u.t, ctx: ctx, r: resp.Body}
	q.body = body
	if u.t.to.preserve {
		q.header.Set(minioRequest, "true")
	}
	sum := md5.New()
	switch {
	case u.layout.verified: // by the sum of the ETags
	case u.t.to.trailers:
		q.trailing = true
		q.header.Set(sdkChecksum, "CRC32C")
	default:
		q.body = io.TeeReader(body, sum)
	}
	h, err := u.t.dst.call(ctx, q)
	if body.err != nil {
		return body.err
	}
	if err != nil {
		return err
	}
	etag := trimETag(h.Get("ETag"))
	if got := hex.EncodeToString(sum.Sum(nil)); !u.layout.verified && !q.trailing && plainMD5(etag) && etag != got {
		return u.t.dst.fail(q, ErrCorrupt, "ETag is %s, sent %s", etag, got)
	}
	u.completed(n, q.size, h)
	return nil
}

// completed notes a part that the destination has.
func (u *upload) completed(n int, size int64, answer http.Header) {
	p := completedPart{PartNumber: n, ETag: trimETag(answer.Get("ETag")), checksum: answer.Get(crc32cHeader)}
	if p.plain = plainMD5(p.ETag); p.plain {
		_, _ = hex.Decode(p.sum[:], []byte(p.ETag))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[n-1] = p
	u.bytes += size
}

// has says whether a part is at the destination already.
func (u *upload) has(n int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.parts[n-1].ETag != ""
}

// verify checks that the parts, as dst received them, add up to the source's ETag
// (S3 API reference: the MD5 of the parts' MD5s, a dash, their number).
func (u *upload) verify() error {
	switch {
	case u.layout.digest != nil:
		return u.checkContent()
	case !u.layout.verified:
		return nil
	}
	sum := md5.New()
	for i := range u.parts {
		if !u.parts[i].plain {
			return u.t.dst.fail(u.t.putRequest(), ErrCorrupt, "part %d has the ETag %q, not an MD5", i+1, u.parts[i].ETag)
		}
		sum.Write(u.parts[i].sum[:])
	}
	if got := fmt.Sprintf("%x-%d", sum.Sum(nil), len(u.parts)); got != u.t.obj.ETag {
		return u.t.dst.fail(u.t.putRequest(), ErrCorrupt, "the parts' ETag is %s, the source's %s", got, u.t.obj.ETag)
	}
	return nil
}

type completeBody struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Parts   []completeBodyPart
}

type completeBodyPart struct {
	XMLName        xml.Name `xml:"Part"`
	PartNumber     int
	ETag           string
	ChecksumCRC32C string `xml:",omitempty"`
}

func (u *upload) complete(ctx context.Context) (http.Header, error) {
	q := u.request("completing the upload of", http.MethodPost, url.Values{"uploadId": {u.id}})
	body := completeBody{}
	for _, p := range u.parts {
		body.Parts = append(body.Parts, completeBodyPart{PartNumber: p.PartNumber, ETag: quoteETag(p.ETag), ChecksumCRC32C: p.checksum})
	}
	var err error
	if q.replay, err = xml.Marshal(body); err != nil {
		return nil, fmt.Errorf("completing the upload: %w", err)
	}
	q.body, q.size = bytes.NewReader(q.replay), int64(len(q.replay))
	u.t.setCondition(q.header)
	if u.t.to.preserve {
		q.header.Set(minioRequest, "true")
		q.header.Set(minioActualSize, strconv.FormatInt(u.t.obj.Size, 10))
	}
	if u.t.preserve {
		q.header.Set(minioSourceMTime, u.t.obj.LastModified.UTC().Format(time.RFC3339Nano))
		q.header.Set(minioSourceETag, u.t.obj.ETag)
	} else {
		u.t.placed.setTime(q.header)
	}
	u.t.dog.allow(u.t.dst.completeWait)
	return u.finish(ctx, q)
}

// finish sends the completion. Its answer may be an error with the status 200, since
// S3 may begin to answer before it is done.
func (u *upload) finish(ctx context.Context, q *request) (http.Header, error) {
	var x struct {
		XMLName xml.Name
		ETag    string
		Code    string
		Message string
	}
	h, err := u.decode(ctx, q, &x)
	if err != nil {
		return nil, u.t.refused(q, err)
	}
	switch {
	case x.XMLName.Local == "Error":
		e := u.t.dst.fail(q, ErrUnavailable, "%s", u.t.dst.redact(shorten(x.Message)))
		e.Code = x.Code
		if k := codeKinds[x.Code]; k != nil {
			e.kind = k
		}
		return nil, e
	case x.XMLName.Local != "CompleteMultipartUploadResult":
		return nil, u.t.dst.fail(q, ErrUnavailable, "the answer is not S3's")
	}
	h = h.Clone()
	h.Set("ETag", x.ETag)
	return h, nil
}

// abort removes what a failed upload has left, and the note of it, even when the copy's
// context is over.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	err := u.remove(ctx)
	if u.noted() && err == nil {
		_ = u.t.opts.Upload.Clear(ctx) // a note that stays is found to be of nothing later
	}
}

// remove aborts the upload. Parts whose connection was cut may still be arriving and need
// another abort (S3 API reference, AbortMultipartUpload), so it asks until the storage
// knows the upload no more.
func (u *upload) remove(ctx context.Context) error {
	q := u.request("aborting the upload of", http.MethodDelete, url.Values{"uploadId": {u.id}})
	ask := u.request("asking for the parts of", http.MethodGet, url.Values{"uploadId": {u.id}})
	q.dog, ask.dog = nil, nil
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		_, err := u.t.dst.call(ctx, q)
		if err == nil || noUpload(err) {
			_, err = u.t.dst.call(ctx, ask)
		}
		if noUpload(err) {
			return nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done(): // storages expire what stays
			return errors.Join(ctx.Err(), err)
		}
	}
}

func noUpload(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}
