package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Send makes the request and returns a successful answer; everything else is an
// error, unless the request wants AnyStatus. The caller closes the body, whose length the request's Limit bounds. The context
// ends the whole exchange, and so does silence: without a watchdog of the caller's, the
// answer's head must come within Waits.Answer, and its body must not stall.
//
// A request that changes something is not cut off while its outcome is open: one that was
// cancelled when the server may have all of it waits for the answer, for Waits.Settle.
func (c *Client) Send(ctx context.Context, q *Request) (*http.Response, error) {
	dog, end := q.Dog, func() {}
	if dog == nil {
		ctx, dog = Watch(ctx, c.Waits.Answer)
		end = dog.Stop
	}
	if err := maySend(ctx, q); err != nil {
		end()
		return nil, c.at.transportError(ctx, q, err)
	}
	ctx, d, cut := deliver(withLimit(ctx, q.Limit), q, c.Waits.Settle)
	resp, err := c.exchange(ctx, q, dog, d)
	if err != nil {
		cut(nil)
		end()
		return nil, err
	}
	if q.Dog == nil {
		dog.Allow(c.Waits.Stall)
	}
	stop := boundTime(q, c.Waits.Whole, cut)
	resp.Body = &answerBody{c: c, ctx: ctx, q: q, body: resp.Body, dog: dog, end: func() { stop(); cut(nil); end() }}
	return resp, nil
}

// maySend reports why a request must not begin.
func maySend(ctx context.Context, q *Request) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if fence := fenceOf(ctx); fence != nil && q.changes() {
		return fence()
	}
	return nil
}

// boundTime ends an answer that trickles: a watchdog sees bytes move.
func boundTime(q *Request, d time.Duration, cut context.CancelCauseFunc) (stop func()) {
	if q.Limit == Unlimited {
		return func() {}
	}
	if q.Within > 0 {
		d = q.Within
	}
	t := time.AfterFunc(d, func() { cut(fmt.Errorf("%w within %v", errTooSlow, d)) })
	return func() { t.Stop() }
}

func (c *Client) exchange(ctx context.Context, q *Request, dog *Watchdog, d *delivery) (*http.Response, error) {
	req, err := c.at.newRequest(ctx, q, func(r io.Reader) io.Reader { return d.reader(dog.reader(r)) })
	if err != nil {
		return nil, c.at.fail(q, ErrRefused, "%v", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.at.transportError(ctx, q, err)
	}
	dog.Touch()
	if c.at.Observe != nil {
		c.at.Observe(resp.Header)
	}
	if q.AnyStatus || resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.at.answerError(q, resp)
}

// answerBody is the body of a successful answer. Its errors are classified, and
// closing it ends what Send started for the request.
type answerBody struct {
	c    *Client
	ctx  context.Context
	q    *Request
	body io.ReadCloser
	dog  *Watchdog
	end  func()
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.dog.Touch()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.c.at.transportError(b.ctx, b.q, err)
	}
	return n, err
}

func (b *answerBody) Close() error {
	err := b.body.Close()
	b.end()
	return err
}

// discard reads the rest of a short answer, so that its connection can be used
// again, and closes it.
func discard(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, int64(LimitSmall)))
	_ = resp.Body.Close()
}

// Call makes a request that changes nothing and whose answer's body does not matter, and
// returns the answer's headers.
func (c *Client) Call(ctx context.Context, q *Request) (http.Header, error) {
	resp, err := c.Send(ctx, q)
	if err != nil {
		return nil, err
	}
	discard(resp)
	return resp.Header, nil
}

// Object makes a GET or HEAD of an object. Some proxies unpack what was stored with
// Content-Encoding: gzip for clients that don't say that they take it, and then can't tell
// its length: such an object is asked for again.
func (c *Client) Object(ctx context.Context, q *Request) (*http.Response, error) {
	q.Limit = Unlimited
	resp, err := c.Send(ctx, q)
	if err != nil || resp.ContentLength >= 0 {
		return resp, err
	}
	_ = resp.Body.Close()
	q.takesGzip = true
	return c.Send(ctx, q)
}

// Head makes a HEAD of an object and returns its headers.
func (c *Client) Head(ctx context.Context, q *Request) (http.Header, error) {
	resp, err := c.Object(ctx, q)
	if err != nil {
		return nil, err
	}
	discard(resp)
	return resp.Header, nil
}

// decode makes a request and parses the answer's XML, whose root element must be into's.
func (c *Client) decode(ctx context.Context, q *Request, into any) (http.Header, error) {
	resp, err := c.Send(ctx, q)
	if err != nil {
		return nil, err
	}
	defer discard(resp)
	if err := decodeXML(resp.Body, into); err != nil {
		if said, ok := errors.AsType[bodyError](err); ok {
			return nil, c.at.saidError(q, errorBody(said))
		}
		return nil, c.at.rubbish(q, err)
	}
	return resp.Header, nil
}

// bodyError is an <Error> where another root element was expected.
type bodyError errorBody

func (e bodyError) Error() string { return e.Code }

func decodeXML(r io.Reader, into any) error {
	d := xml.NewDecoder(r)
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		root, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if root.Name.Local == "Error" {
			var x errorBody
			if err := d.DecodeElement(&x, &root); err != nil {
				return err
			}
			return bodyError(x)
		}
		return d.DecodeElement(into, &root)
	}
}

// Put makes a request that writes an object or a part, and returns the answer's headers.
// The answer proves it only with an ETag and without a body that says otherwise.
func (c *Client) Put(ctx context.Context, q *Request) (http.Header, error) {
	resp, err := c.Send(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := c.at.proveEmpty(q, resp); err != nil {
		return nil, err
	}
	if TrimETag(resp.Header.Get("ETag")) == "" {
		return nil, c.at.fail(q, ErrUnavailable, "the answer is not S3's: no ETag")
	}
	return resp.Header, nil
}

// Remove makes a DELETE. S3 answers it with 204; a 200 is proved by what only a storage
// sends.
func (c *Client) Remove(ctx context.Context, q *Request) error {
	q.Method = http.MethodDelete
	resp, err := c.Send(ctx, q)
	if err != nil {
		return err
	}
	if err := c.at.proveEmpty(q, resp); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNoContent && resp.Header.Get("X-Amz-Request-Id") == "" {
		return c.at.fail(q, ErrUnavailable, "the answer is not S3's: HTTP %d without a request ID", resp.StatusCode)
	}
	return nil
}

// proveEmpty reads an answer that S3 gives no content, and closes it.
func (at *endpoint) proveEmpty(q *Request, resp *http.Response) error {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if x, ok := parseError(body); ok {
		return at.saidError(q, x)
	}
	if len(bytes.TrimSpace(body)) > 0 {
		return at.fail(q, ErrUnavailable, "the answer is not S3's: it has content")
	}
	return nil
}

// CopyObject makes a PUT with X-Amz-Copy-Source.
func (c *Client) CopyObject(ctx context.Context, q *Request) error {
	var x struct {
		XMLName xml.Name `xml:"CopyObjectResult"`
		ETag    string
	}
	if _, err := c.decode(ctx, q, &x); err != nil {
		return err
	}
	if TrimETag(x.ETag) == "" {
		return c.at.fail(q, ErrUnavailable, "the answer is not S3's: no ETag")
	}
	return nil
}

// Fail makes an Error of a kind with a reason of the caller's.
func (c *Client) Fail(q *Request, kind error, format string, args ...any) *Error {
	return c.at.fail(q, kind, format, args...)
}
