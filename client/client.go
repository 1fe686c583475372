package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// DefaultURL is where Caddy's admin endpoint listens by default.
const DefaultURL = "http://localhost:2019"

// maxError bounds how much of an answer that is an error is read.
const maxError = 1 << 20

// Client sends requests to one admin endpoint.
type Client struct {
	// URL of the endpoint, without a path. Default: DefaultURL.
	URL string
	// HTTP sends the requests. Default: http.DefaultClient.
	HTTP *http.Client
	// Header is sent with every request; the console's address of the API wants
	// "Authorization: Bearer <token>".
	Header http.Header
}

// Error is an answer that is an error.
type Error struct {
	Status  int
	Message string
	// Body is the answer as it came: some say more than the message. A long one is cut.
	Body []byte
}

// Error returns the API's own words.
func (e *Error) Error() string { return e.Message }

// Request is one request.
type Request struct {
	Method string
	// Path below the endpoint, such as "/fado/buckets"; see [Path].
	Path  string
	Query url.Values
	// Body is sent as it is if it is a []byte, else as JSON. Nil: none.
	Body any
	// ContentType of a Body that is a []byte. Default: application/json.
	ContentType string
	// IfMatch is the entity tag that the item, or the catalogue, must have. Default: any.
	IfMatch string
}

// Path joins the parts of a path, each escaped: names may hold any characters.
func Path(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return "/fado/" + strings.Join(parts, "/")
}

// Do sends a request and decodes the answer's JSON into out, unless out is nil. An answer
// that is an error is an *Error. It returns the answer's header.
func (c *Client) Do(ctx context.Context, r Request, out any) (http.Header, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if out == nil {
		return resp.Header, nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return resp.Header, fmt.Errorf("reading the answer to %s %s: %w", r.Method, r.Path, err)
	}
	return resp.Header, nil
}

// Stream sends a request and returns the body of the answer, which the caller closes.
func (c *Client) Stream(ctx context.Context, r Request) (io.ReadCloser, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Get reads what is at a path.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	_, err := c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query}, out)
	return err
}

// Post asks for what is at a path to be done.
func (c *Client) Post(ctx context.Context, path string, query url.Values, out any) error {
	_, err := c.Do(ctx, Request{Method: http.MethodPost, Path: path, Query: query}, out)
	return err
}

// Patch changes an item by a JSON merge patch (RFC 7396).
func (c *Client) Patch(ctx context.Context, path string, patch, out any) error {
	_, err := c.Do(ctx, Request{Method: http.MethodPatch, Path: path, Body: patch}, out)
	return err
}

func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	doer := c.HTTP
	if doer == nil {
		doer = http.DefaultClient
	}
	resp, err := doer.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking FaDO: %w", err)
	}
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, errorOf(resp)
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	base := c.URL
	if base == "" {
		base = DefaultURL
	}
	target := strings.TrimSuffix(base, "/") + r.Path
	if len(r.Query) > 0 {
		target += "?" + r.Query.Encode()
	}
	body, raw := r.Body.([]byte)
	if !raw && r.Body != nil {
		var err error
		if body, err = json.Marshal(r.Body); err != nil {
			return nil, fmt.Errorf("encoding the body of %s %s: %w", r.Method, r.Path, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, c.Header)
	if r.Body != nil {
		contentType := r.ContentType
		if contentType == "" {
			contentType = "application/json"
		}
		req.Header.Set("Content-Type", contentType)
	}
	if r.IfMatch != "" {
		req.Header.Set("If-Match", r.IfMatch)
	}
	return req, nil
}

// errorOf reads an answer that is an error: {"error": "..."}, or the beginning of whatever else
// came.
func errorOf(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return fmt.Errorf("reading an answer with status %d: %w", resp.StatusCode, err)
	}
	var told struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &told) != nil || told.Error == "" {
		told.Error = fmt.Sprintf("status %d: %s", resp.StatusCode, excerpt(body))
	}
	return &Error{Status: resp.StatusCode, Message: told.Error, Body: body}
}

// maxExcerpt is how many characters are told of an answer that is none of the API.
const maxExcerpt = 300

// excerpt is the beginning of a text on one line, without what a terminal would take as more than
// text.
func excerpt(body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), 8*maxExcerpt)]), "")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxExcerpt {
		return string(runes[:maxExcerpt]) + "…"
	}
	if text == "" {
		return "an answer without a text; is there a FaDO at this address?"
	}
	return text
}
