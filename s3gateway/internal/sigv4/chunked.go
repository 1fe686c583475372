package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"
)

const (
	chunkBuffer  = 16 << 10 // bytes read at once from the client, and the longest header of a chunk
	minChunk     = 8 << 10  // bytes of any chunk but the last
	maxTrailer   = 4 << 10  // bytes of all trailing lines
	maxHexSize   = 16       // digits of a chunk's size
	signatureTag = "chunk-signature="
	trailerTag   = "x-amz-trailer-signature:"
)

// chunkReader decodes aws-chunked: "<hex size>[;chunk-signature=<hex>]\r\n<data>\r\n", again and again, up to a chunk of
// size 0, then trailing lines "name:value" and an empty line. Data is handed on while it comes; a chunk's signature is
// checked before its last bytes are.
type chunkReader struct {
	src       *bufio.Reader
	left      int64 // bytes of the payload in chunks to come
	chunk     int64 // bytes left of this chunk
	short     bool  // there was one below minChunk, which has to be the last
	signer    *chunkSigner
	given     string // signature of this chunk
	trailers  bool   // the mode has trailers
	announced *checksum
	sum       *digest // of the announced checksum, which is waiting for its value
	value     string  // of the trailer
}

func newChunkReader(src io.Reader, length int64) *chunkReader {
	return &chunkReader{src: bufio.NewReaderSize(src, chunkBuffer), left: length}
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if c.chunk == 0 {
		last, err := c.next()
		if err != nil {
			return 0, err
		}
		if last {
			return 0, c.finish()
		}
	}
	if int64(len(p)) > c.chunk {
		p = p[:c.chunk]
	}
	n, err := c.src.Read(p)
	if c.signer != nil {
		c.signer.data.Write(p[:n])
	}
	if c.chunk -= int64(n); err != nil {
		return 0, cut(err)
	}
	if c.chunk == 0 {
		if err := c.endChunk(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// next reads the header of a chunk; last: it is the empty one.
func (c *chunkReader) next() (last bool, err error) {
	line, err := c.src.ReadSlice('\n')
	if err != nil {
		return false, cut(err)
	}
	size, given, ok := c.parseHeader(line)
	switch {
	case !ok:
		return false, cutBody()
	case size > c.left, size == 0 && c.left > 0:
		return false, wrongLength()
	case size > 0 && c.short:
		return false, smallChunk()
	}
	c.left -= size
	c.chunk, c.given, c.short = size, given, size < minChunk
	return size == 0, nil
}

func (c *chunkReader) parseHeader(line []byte) (size int64, given string, ok bool) {
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return 0, "", false
	}
	digits, extension, signed := strings.Cut(text, ";")
	if len(digits) == 0 || len(digits) > maxHexSize || !isHex(digits[0]) || signed != (c.signer != nil) {
		return 0, "", false
	}
	size, err := strconv.ParseInt(digits, 16, 64)
	if err != nil {
		return 0, "", false
	}
	if signed {
		given, ok = strings.CutPrefix(extension, signatureTag)
		return size, given, ok && isSHA256(given)
	}
	return size, "", true
}

// endChunk reads the line break after the data and compares the signature.
func (c *chunkReader) endChunk() error {
	var crlf [2]byte
	if _, err := io.ReadFull(c.src, crlf[:]); err != nil {
		return cut(err)
	}
	if string(crlf[:]) != "\r\n" {
		return cutBody()
	}
	return c.checkChunk()
}

func (c *chunkReader) checkChunk() error {
	if c.signer != nil && !c.signer.chunk(c.given) {
		return wrongSignature()
	}
	return nil
}

// finish reads what follows the last chunk to the end of the body. It returns io.EOF if all is well.
func (c *chunkReader) finish() error {
	if err := c.checkChunk(); err != nil {
		return err
	}
	rest, err := io.ReadAll(io.LimitReader(c.src, maxTrailer+1))
	switch {
	case err != nil:
		return cut(err)
	case len(rest) > maxTrailer:
		return malformedTrailer()
	}
	lines, err := c.trailerLines(rest)
	if err != nil {
		return err
	}
	if err := c.takeTrailer(lines); err != nil {
		return err
	}
	return io.EOF
}

// trailerLines splits the trailer and checks its signature. Some writers end lines with \n alone; the end is always an
// empty line with \r\n.
func (c *chunkReader) trailerLines(rest []byte) ([]string, error) {
	text, ok := bytes.CutSuffix(rest, []byte("\r\n"))
	if !ok {
		return nil, cutBody()
	}
	if len(text) > 0 {
		if text, ok = bytes.CutSuffix(text, []byte("\r\n")); !ok || !c.trailers {
			return nil, cutBody()
		}
	}
	var lines []string
	for line := range strings.SplitSeq(string(text), "\n") {
		if line = strings.TrimSuffix(line, "\r"); line != "" {
			lines = append(lines, line)
		}
	}
	if c.signer == nil || !c.trailers || len(lines) == 0 && c.announced == nil {
		return lines, nil
	}
	return c.checkTrailer(lines)
}

// checkTrailer compares the signature in the last line, which is over the lines before it.
func (c *chunkReader) checkTrailer(lines []string) ([]string, error) {
	if len(lines) == 0 {
		return nil, malformedTrailer()
	}
	last := lines[len(lines)-1]
	if len(last) < len(trailerTag) || !strings.EqualFold(last[:len(trailerTag)], trailerTag) {
		return nil, cutBody()
	}
	given := strings.TrimSpace(last[len(trailerTag):])
	if !isSHA256(given) {
		return nil, cutBody()
	}
	lines = lines[:len(lines)-1]
	var canonical strings.Builder
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		canonical.WriteString(strings.ToLower(strings.TrimSpace(name)) + ":" + strings.TrimSpace(value) + "\n")
	}
	if !c.signer.trailer(canonical.String(), given) {
		return nil, wrongSignature()
	}
	return lines, nil
}

// takeTrailer takes the announced checksum over into the digest that waits for it.
func (c *chunkReader) takeTrailer(lines []string) error {
	if c.announced == nil {
		if len(lines) > 0 {
			return malformedTrailer()
		}
		return nil
	}
	if len(lines) != 1 {
		return malformedTrailer()
	}
	name, value, ok := strings.Cut(lines[0], ":")
	value = strings.TrimSpace(value)
	if !ok || strings.ToLower(strings.TrimSpace(name)) != c.announced.header() {
		return malformedTrailer()
	}
	if c.sum.want, ok = c.announced.decode(value); !ok {
		return invalidRequest("Value for %s trailing header is invalid.", c.announced.header())
	}
	c.value = value
	return nil
}

// cut is a body that ended, or a header that did not, within the framing.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, bufio.ErrBufferFull) {
		return cutBody()
	}
	return err
}

// chunkSigner keeps the chain of signatures: each covers the one before it.
type chunkSigner struct {
	key      []byte
	scope    string // time and scope, as the strings to sign have them
	previous string
	data     hash.Hash
}

func newChunkSigner(sig *signature, key []byte) *chunkSigner {
	return &chunkSigner{
		key: key, previous: sig.value, data: sha256.New(),
		scope: sig.at.Format(stampFormat) + "\n" + sig.cred.scope() + "\n",
	}
}

// chunk compares the signature of the data since the last call.
func (s *chunkSigner) chunk(given string) bool {
	sum := hex.EncodeToString(s.data.Sum(nil))
	s.data.Reset()
	return s.link("AWS4-HMAC-SHA256-PAYLOAD\n"+s.scope+s.previous+"\n"+emptySHA256+"\n"+sum, given)
}

// trailer compares the signature of the trailing lines.
func (s *chunkSigner) trailer(canonical, given string) bool {
	sum := sha256.Sum256([]byte(canonical))
	return s.link("AWS4-HMAC-SHA256-TRAILER\n"+s.scope+s.previous+"\n"+hex.EncodeToString(sum[:]), given)
}

func (s *chunkSigner) link(toSign, given string) bool {
	want := hexHMAC(s.key, toSign)
	s.previous = want
	return equal(want, given)
}

func smallChunk() *Error {
	return badRequest("InvalidChunkSizeError", "Only the last chunk is allowed to have a size less than %d bytes", minChunk)
}
