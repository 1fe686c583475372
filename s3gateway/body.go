package s3gateway

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"

	"github.com/fado-project/fado/s3gateway/internal/s3err"
)

// readBody reads a bounded body to its end, verified.
func (c *call) readBody(limit int64) ([]byte, error) {
	if c.verified == nil || c.verified.Body == nil {
		return nil, nil
	}
	if c.verified.Length > limit {
		return nil, s3err.New(http.StatusBadRequest, "MaxMessageLengthExceeded", "Your request was too big.")
	}
	b, err := io.ReadAll(io.LimitReader(c.verified.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, s3err.New(http.StatusBadRequest, "MaxMessageLengthExceeded", "Your request was too big.")
	}
	return b, nil
}

// writeXML answers with a document; a HEAD with its headers alone.
func (c *call) writeXML(status int, doc any) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := xml.NewEncoder(&b).Encode(doc); err != nil {
		c.h.log.Error("encoding an answer: " + err.Error())
	}
	c.writeBody(status, "application/xml", b.Bytes())
}

// writeBody answers with what is in memory.
func (c *call) writeBody(status int, contentType string, b []byte) {
	h := c.w.Header()
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if c.r.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified {
		b = nil
	} else {
		h.Set("Content-Length", strconv.Itoa(len(b)))
	}
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b) // the client is gone, if that fails
}
