package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/signer"
)

const (
	signedChunks = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	chunkSize    = 64 << 10
)

// frames reports whether a request's body has to show its own end. A server may take the end of a connection for
// the end of the body, whatever Content-Length says, and keep what came so far as if it were the whole: a sender
// that is gone in the middle of a write would replace what was there by a half. A checksum in the request tells
// such a server so. A body without one goes in chunks, each with a signature, and the last of them empty (S3 API
// reference, "Signature calculations for the Authorization header: transferring payload in multiple chunks"). A
// body in memory is a document, which is malformed when it is cut, or has a checksum; so is the body of a POST, for
// which versitygw takes no chunks.
func (at *endpoint) frames(q *Request) bool {
	if q.Method != http.MethodPut || q.Body == nil || q.Size == 0 || q.Replay != nil || at.AccessKey == "" || at.Frames == nil || !at.Frames() {
		return false
	}
	return !q.Trailing && q.Trailers == nil && !hasChecksum(q.Header)
}

func hasChecksum(h http.Header) bool {
	if h.Get("Content-Md5") != "" {
		return true
	}
	for name := range h {
		if KnownTrailer(name) {
			return true
		}
	}
	return false
}

// signFramed signs a request whose body goes in signed chunks. It names no Content-Encoding, unlike
// minio-go's signer, because a server may keep that name as the object's.
func (at *endpoint) signFramed(req *http.Request, size int64) (*http.Request, error) {
	req.Header.Set("X-Amz-Content-Sha256", signedChunks)
	req.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(size, 10))
	req.ContentLength = framedSize(size)
	body := req.Body
	req = signer.SignV4(*req, at.AccessKey, at.SecretKey, "", at.Region)
	date := req.Header.Get("X-Amz-Date")
	t, err := time.Parse(timeForm, date)
	if err != nil {
		return nil, fmt.Errorf("signing chunks: %w", err)
	}
	_, seed, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	req.Body = struct {
		io.Reader
		io.Closer
	}{&framedBody{r: body, left: size, key: at.keyOf(t), date: date, last: seed}, body}
	return req, nil
}

// framedSize is how many bytes a body has in chunks.
func framedSize(size int64) int64 {
	frame := func(n int64) int64 { // any signature is as long as this sum
		return int64(len(chunkHead(n, emptySHA256))) + n + int64(len(chunkEnd))
	}
	total := size/chunkSize*frame(chunkSize) + frame(0)
	if rest := size % chunkSize; rest > 0 {
		total += frame(rest)
	}
	return total
}

// chunkHead is what stands before the bytes of a chunk, and chunkEnd what stands after them.
func chunkHead(size int64, signature string) string {
	return strconv.FormatInt(size, 16) + ";chunk-signature=" + signature + "\r\n"
}

const chunkEnd = "\r\n"

// framedBody reads a body as signed chunks. The last chunk follows only on the whole of the body.
type framedBody struct {
	r    io.Reader
	left int64
	key  *SigningKey
	date string
	last string // signature

	data  [chunkSize]byte
	out   bytes.Buffer
	ended bool
}

func (b *framedBody) Read(p []byte) (int, error) {
	if b.out.Len() == 0 {
		if b.ended {
			return 0, io.EOF
		}
		data := b.data[:min(b.left, chunkSize)]
		if _, err := io.ReadFull(b.r, data); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		b.left -= int64(len(data))
		b.ended = len(data) == 0
		b.frame(data)
	}
	return b.out.Read(p)
}

func (b *framedBody) frame(data []byte) {
	sum := sha256.Sum256(data)
	b.last = hex.EncodeToString(sign(b.key.key, "AWS4-HMAC-SHA256-PAYLOAD\n"+b.date+"\n"+b.key.scope+"\n"+b.last+"\n"+
		emptySHA256+"\n"+hex.EncodeToString(sum[:])))
	b.out.Reset()
	b.out.WriteString(chunkHead(int64(len(data)), b.last))
	b.out.Write(data)
	b.out.WriteString(chunkEnd)
}
