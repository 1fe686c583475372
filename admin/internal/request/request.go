package request

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
)

const (
	// MaxBody is the largest request body taken, where an operation says nothing else.
	MaxBody = 1 << 20
	// MaxLimit is the largest page.
	MaxLimit = 10_000
)

// Request is one request being answered.
type Request struct {
	W   http.ResponseWriter
	R   *http.Request
	Log *zap.Logger
}

// Name returns the name in the path: of a collection's item, or of a bucket.
func (q *Request) Name() string { return q.R.PathValue("name") }

// Query returns a query parameter, "" if it is not given.
func (q *Request) Query(name string) string { return q.R.URL.Query().Get(name) }

// Limit returns the page size asked for, or def.
func (q *Request) Limit(def int) (int, error) {
	text, given := q.Query("limit"), q.R.URL.Query().Has("limit")
	if !given {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, Bad("query parameter \"limit\": %q: expected a number from 1 to %d", text, MaxLimit)
	}
	return n, nil
}

// NextPage says in a Link header (RFC 8288) where the next page is: at a path, by the same query with one
// parameter more.
func (q *Request) NextPage(path, parameter, value string) {
	query := q.R.URL.Query()
	query.Set(parameter, value)
	q.W.Header().Set("Link", "<"+path+"?"+query.Encode()+`>; rel="next"`)
}

// Moment returns a time of the query, or otherwise.
func (q *Request) Moment(name string, otherwise time.Time) (time.Time, error) {
	text := q.Query(name)
	if text == "" {
		return otherwise, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, Bad("query parameter %q: %q: expected a time such as 2027-01-31T00:00:00Z (RFC 3339)", name, text)
	}
	return at, nil
}

// Number returns the number of one of what is listed, from least on; 0 if none is given.
func (q *Request) Number(what, name string, least int64) (int64, error) {
	text := q.Query(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least {
		return 0, Bad("query parameter %q: %q: expected the number of %s", name, text, what)
	}
	return n, nil
}

// Body reads the whole request body, up to MaxBody.
func (q *Request) Body() ([]byte, error) { return q.BodyUpTo(MaxBody) }

// BodyUpTo reads the whole request body, up to so many bytes.
func (q *Request) BodyUpTo(most int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(q.W, q.R.Body, most))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, Fail(http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", most))
	}
	if err != nil {
		return nil, Bad("reading the body: %v", err)
	}
	return b, nil
}

// Peek is Body, and leaves it there to be read again.
func (q *Request) Peek() ([]byte, error) {
	b, err := q.Body()
	if err == nil {
		q.R.Body = io.NopCloser(bytes.NewReader(b))
	}
	return b, err
}

// Decode reads a body strictly: one JSON object with the fields of a value, which expected shows to people.
func Decode(body []byte, to any, expected string) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(to); err != nil {
		return Bad("the body: %v: expected %s", err, expected)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Bad("the body: expected one JSON object and nothing after it")
	}
	return nil
}

// Reply answers with JSON.
func (q *Request) Reply(status int, v any) error {
	var buf bytes.Buffer
	if err := Encode(&buf, v); err != nil {
		return err
	}
	q.W.Header().Set("Content-Type", "application/json")
	q.W.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	q.W.WriteHeader(status)
	// The client is gone if this fails, so there is no one to report the error to.
	_, _ = buf.WriteTo(q.W)
	return nil
}

// Encode writes JSON that people can read as it is: no HTML escapes.
func Encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	return nil
}
