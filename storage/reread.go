package storage

import (
	"context"
	"crypto/md5" // what S3's ETags are
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

// Reread is what an object's bytes say of it.
type Reread struct {
	Size   int64
	SHA256 [sha256.Size]byte
	MD5    string // hex
	// Integrity reports whether the bytes are those that the storage once acknowledged, by
	// the checksum or ETag it keeps beside them.
	Integrity Integrity
	// Why the bytes are damaged.
	Why string
	// wants are the sums that the storage keeps of the whole content.
	wants map[string]string
	got   map[string]string
}

// Integrity is the outcome of holding bytes against what the storage keeps of them.
type Integrity uint8

// The outcomes.
const (
	Unproven Integrity = iota // nothing that the storage keeps tells
	Intact
	Damaged
)

// Proves reports whether these bytes are what another storage acknowledged, by a sum that
// this one keeps of the whole content: a plain ETag, or a checksum that both know.
func (r Reread) Proves(other Reread) bool {
	if r.MD5 != "" && other.wants["MD5"] == r.MD5 {
		return true
	}
	for name, want := range other.wants {
		if r.got[name] == want {
			return true
		}
	}
	return false
}

// Reread reads an object to its end and holds its bytes against what the storage keeps of
// them: a checksum of the whole, or its ETag where that is the MD5 of the content or of
// its parts. An error means that it could not be read to the end; ErrPrecondition that it
// is another object by now. limit, when set, is asked before n bytes count as read.
func (c objects) Reread(ctx context.Context, bucket string, o Object, limit func(ctx context.Context, n int) error) (Reread, error) {
	q := &s3.Request{
		Name: "reading", Method: http.MethodGet, Bucket: c.Physical(bucket), Key: o.Key,
		Header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}},
	}
	setIfMatch(q.Header, o.ETag)
	resp, err := c.wire.Object(ctx, q)
	if err != nil {
		return Reread{}, err
	}
	defer resp.Body.Close()
	got, ok := answersFor(o, resp.Header)
	if !ok || !sums.RealETag(o.ETag) && resp.ContentLength >= 0 && resp.ContentLength != o.Size {
		return Reread{}, c.wire.Fail(q, ErrPrecondition, "ETag is %s, expected %s", got, o.ETag)
	}
	r, err := newRereader(ctx, c.conn, q, o, resp.Header)
	if err != nil {
		return Reread{}, err
	}
	n, err := r.readAll(ctx, resp.Body, limit)
	if err != nil {
		return Reread{}, err
	}
	if resp.ContentLength >= 0 && n != resp.ContentLength || n != o.Size {
		return Reread{}, c.wire.Fail(q, ErrCorrupt, "%d bytes, expected %d", n, o.Size)
	}
	return r.outcome(ctx, c.conn, q, n)
}

// rereader computes all sums of an object's bytes that may be needed.
type rereader struct {
	etag  string
	parts int   // of the ETag, 0 if it is none of a multipart upload
	part  int64 // size of each part but the last
	sha   hash.Hash
	md5   hash.Hash
	sums  map[string]hash.Hash
	wants map[string]string
	texts map[string]func([]byte) string

	inPart  hash.Hash // of the part being read
	left    int64
	partSum []byte // the parts' MD5s, one behind the other
	plain   bool   // the ETag is the content's MD5
}

func newRereader(ctx context.Context, c *conn, q *s3.Request, o Object, h http.Header) (*rereader, error) {
	r := &rereader{
		etag: o.ETag, sha: sha256.New(), md5: md5.New(), sums: make(map[string]hash.Hash),
		wants: make(map[string]string), texts: make(map[string]func([]byte) string),
	}
	if d := sums.Of("", h); d != nil {
		r.sums[d.Name], r.wants[d.Name], r.texts[d.Name] = d.New(), d.Want, d.Text
	}
	if sums.Encrypted(h) {
		return r, nil
	}
	if r.plain = sums.IsMD5(o.ETag); r.plain {
		r.wants["MD5"] = o.ETag
	}
	if r.parts = sums.PartsOf(o.ETag); r.parts == 0 {
		return r, nil
	}
	size, told, err := partSize(ctx, c, q, 1)
	if err != nil || told != r.parts {
		r.parts = 0 // the storage does not tell
		return r, ctx.Err()
	}
	r.part, r.left, r.inPart = size, size, md5.New()
	return r, nil
}

// partSize asks for the size of one part of a multipart object, and how many there are.
func partSize(ctx context.Context, c *conn, q *s3.Request, part int) (size int64, count int, err error) {
	h, err := c.wire.Head(ctx, &s3.Request{
		Name: "HEAD part of", Method: http.MethodHead, Bucket: q.Bucket, Key: q.Key,
		Query:  url.Values{"partNumber": {strconv.Itoa(part)}},
		Header: http.Header{"If-Match": q.Header["If-Match"]},
	})
	if err != nil {
		return 0, 0, err
	}
	count, _ = strconv.Atoi(h.Get("X-Amz-Mp-Parts-Count"))
	size, err = strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	return size, count, err
}

func (r *rereader) readAll(ctx context.Context, body io.Reader, limit func(context.Context, int) error) (int64, error) {
	buf := make([]byte, 64<<10)
	var total int64
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if limit != nil {
				if lerr := limit(ctx, n); lerr != nil {
					return total, fmt.Errorf("waiting for bandwidth: %w", lerr)
				}
			}
			total += int64(n)
			r.take(buf[:n])
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (r *rereader) take(p []byte) {
	r.sha.Write(p)
	r.md5.Write(p)
	for _, h := range r.sums {
		h.Write(p)
	}
	for r.parts > 0 && len(p) > 0 {
		n := min(int64(len(p)), r.left)
		r.inPart.Write(p[:n])
		p = p[n:]
		if r.left -= n; r.left == 0 {
			r.endPart()
		}
	}
}

func (r *rereader) endPart() {
	r.partSum = r.inPart.Sum(r.partSum)
	r.inPart.Reset()
	r.left = r.part
}

// outcome judges by the best sum there is: a checksum of the whole, or the ETag.
func (r *rereader) outcome(ctx context.Context, c *conn, q *s3.Request, n int64) (Reread, error) {
	out := Reread{Size: n, MD5: hex.EncodeToString(r.md5.Sum(nil)), wants: r.wants, got: make(map[string]string)}
	r.sha.Sum(out.SHA256[:0])
	for name, h := range r.sums {
		out.got[name] = r.texts[name](h.Sum(nil))
		if out.got[name] != r.wants[name] {
			out.Integrity, out.Why = Damaged, fmt.Sprintf("its checksum is %s, and by its bytes %s", r.wants[name], out.got[name])
			return out, nil
		}
		out.Integrity = Intact
	}
	switch {
	case r.plain && out.MD5 == r.etag:
		out.Integrity = Intact
	case r.plain && out.Integrity == Unproven:
		out.Integrity, out.Why = Damaged, fmt.Sprintf("its ETag is %s, and by its bytes %s", r.etag, out.MD5)
	case r.parts > 0 && out.Integrity == Unproven:
		return out, r.byParts(ctx, c, q, n, &out)
	}
	return out, nil
}

// byParts judges by a multipart upload's ETag. The parts were taken for equally large,
// which they mostly are; a mismatch is only believed when the storage says that they are.
func (r *rereader) byParts(ctx context.Context, c *conn, q *s3.Request, n int64, out *Reread) error {
	if r.left < r.part || len(r.partSum) == 0 {
		r.endPart()
	}
	sum := md5.Sum(r.partSum)
	got := hex.EncodeToString(sum[:]) + "-" + strconv.Itoa(len(r.partSum)/md5.Size)
	if got == r.etag {
		out.Integrity = Intact
		return nil
	}
	if int64(r.parts) != max(1, (n+r.part-1)/r.part) {
		return nil
	}
	for _, p := range slices.Compact([]int{2, r.parts / 2, r.parts - 1}) {
		if p <= 1 || p >= r.parts {
			continue
		}
		if size, _, err := partSize(ctx, c, q, p); err != nil || size != r.part {
			return ctx.Err()
		}
	}
	out.Integrity, out.Why = Damaged, fmt.Sprintf("its ETag is %s, and by its bytes %s", r.etag, got)
	return nil
}
