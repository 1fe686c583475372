package sigv4

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// openBody returns the verified request with its body, of which nothing has been read.
func (v *Verifier) openBody(r *http.Request, sig *signature, key []byte) (*Verified, error) {
	raw := r.Body
	if raw == nil {
		raw = http.NoBody
	}
	b := &body{src: raw, closer: raw, left: r.ContentLength}
	sum, err := b.expectHeaders(r)
	if err != nil {
		return nil, err
	}
	switch p := sig.payload; {
	case p == unsignedPayload:
	case p == unsignedTrailer, p == signedChunks, p == signedTrailer:
		err = b.expectChunks(r, sig, key, sum)
	case p == asymmetricChunks, p == asymmetricTrailer:
		err = notImplemented(p)
	case isSHA256(p):
		b.digests = append(b.digests, payloadDigest(p))
	default:
		err = invalidArgument("x-amz-content-sha256", p, "x-amz-content-sha256 must be "+unsignedPayload+", "+unsignedTrailer+", "+
			signedChunks+", "+signedTrailer+" or a valid sha256 value.")
	}
	if err != nil {
		return nil, err
	}
	if b.left > v.maxBody() {
		return nil, tooLarge(b.left, v.maxBody())
	}
	out := &Verified{KeyID: sig.cred.keyID, Presigned: sig.presigned, Body: b, Length: b.left, Trailer: b.trailer, Err: b.failure}
	if b.left == 0 {
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return out, nil
}

// body verifies what it hands on.
type body struct {
	src     io.Reader
	closer  io.Closer
	chunks  *chunkReader // src, if the body is aws-chunked
	left    int64        // bytes still to come; -1: unknown
	digests []*digest
	err     error                 // of all further reads
	ended   atomic.Pointer[error] // err, for those who don't read
}

// expectHeaders takes over what the headers say of the body. In CompleteMultipartUpload they speak of the object instead.
func (b *body) expectHeaders(r *http.Request) (*checksum, error) {
	if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
		return nil, nil
	}
	digests, sum, err := headerDigests(r.Header)
	if err != nil {
		return nil, err
	}
	b.digests = digests
	return sum, sdkAgrees(r.Header, sum)
}

// expectChunks reads the body as aws-chunked.
func (b *body) expectChunks(r *http.Request, sig *signature, key []byte, sum *checksum) error {
	length, err := strconv.ParseUint(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 63)
	if err != nil {
		return missingLength()
	}
	b.left = int64(length)
	b.chunks = newChunkReader(b.src, b.left)
	if sig.payload != unsignedTrailer {
		b.chunks.signer = newChunkSigner(sig, key)
	}
	b.src = b.chunks
	if sig.payload == signedChunks {
		return nil
	}
	b.chunks.trailers = true
	trailing, err := announced(r.Header)
	if err != nil || trailing == nil {
		return err
	}
	if sum != nil {
		return manyChecksums()
	}
	d := trailing.digest(nil)
	b.chunks.announced, b.chunks.sum = trailing, d
	b.digests = append(b.digests, d)
	return sdkAgrees(r.Header, trailing)
}

// announced reads x-amz-trailer: one checksum, or nothing.
func announced(h http.Header) (*checksum, error) {
	name := strings.ToLower(strings.TrimSpace(strings.Join(h.Values("X-Amz-Trailer"), ",")))
	if name == "" {
		return nil, nil
	}
	if c := checksumOf(name); c != nil {
		return c, nil
	}
	return nil, invalidRequest("The value specified in the x-amz-trailer header is not supported")
}

func (b *body) trailer() http.Header {
	if end := b.ended.Load(); b.chunks == nil || end == nil || !errors.Is(*end, io.EOF) || b.chunks.value == "" {
		return nil
	}
	return http.Header{http.CanonicalHeaderKey(b.chunks.announced.header()): {b.chunks.value}}
}

func (b *body) failure() error {
	if end := b.ended.Load(); end != nil && !errors.Is(*end, io.EOF) {
		return *end
	}
	return nil
}

// Read hands on bytes of the payload. The last ones are held back until all is verified.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.src.Read(p)
	for _, d := range b.digests {
		d.Write(p[:n])
	}
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			err = wrongLength()
		}
	}
	if err == nil && b.left == 0 {
		err = b.end()
	}
	if err == nil {
		return n, nil
	}
	err = b.finish(err)
	b.err = err
	b.ended.Store(&err)
	if !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n > 0 {
		return n, nil
	}
	return 0, io.EOF
}

// end reads on to the end of the source, where nothing but framing may come.
func (b *body) end() error {
	var one [1]byte
	for range 100 {
		n, err := b.src.Read(one[:])
		if n > 0 {
			return wrongLength()
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// finish turns the error of the source into the one that the consumer sees: io.EOF only after all is verified.
func (b *body) finish(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return cutBody()
	case !errors.Is(err, io.EOF):
		return err
	case b.left > 0:
		return wrongLength()
	}
	for _, d := range b.digests {
		if err := d.verify(); err != nil {
			return err
		}
	}
	return io.EOF
}

func (b *body) Close() error { return b.closer.Close() }
