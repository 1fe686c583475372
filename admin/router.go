package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

const (
	// maxBody is the largest request body taken.
	maxBody = 1 << 20
	// maxLimit is the largest page.
	maxLimit = 10_000
	// dataTimeout bounds the requests whose answer comes from a storage.
	dataTimeout = 30 * time.Second
)

// operation is one method of one path: how it is served and how it is documented.
type operation struct {
	method string
	path   string // segments in braces are variables
	handle func(*call) error
	// standalone operations need no running app.
	standalone bool
	params     []parameter // of the query
	doc        operationDoc
}

// parameter is a query parameter.
type parameter struct {
	name string
	doc  string
	// integer parameters are whole numbers from 1 to maxLimit.
	integer bool
	// enum lists the values taken; nil for any.
	enum []string
	// repeated parameters may be given more than once.
	repeated bool
}

// operations is the table of all endpoints.
type operations []operation

// find returns the operation for a request and the values of the path's variables. A
// path without the method asked for is a 405 that names those it has.
func (t operations) find(w http.ResponseWriter, r *http.Request) (*operation, map[string]string, error) {
	var allowed []string
	for i := range t {
		vars, ok := matchPath(t[i].path, r.URL.EscapedPath())
		if !ok {
			continue
		}
		if t[i].method == r.Method || t[i].method == http.MethodGet && r.Method == http.MethodHead {
			return &t[i], vars, nil
		}
		allowed = append(allowed, t[i].method)
		if t[i].method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	if allowed == nil {
		return nil, nil, &requestError{http.StatusNotFound, fmt.Errorf("no such endpoint: %s; /fado/openapi.json lists them all", r.URL.Path)}
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return nil, nil, &requestError{http.StatusMethodNotAllowed, fmt.Errorf("%s is not allowed on %s: expected %s", r.Method, r.URL.Path, strings.Join(allowed, ", "))}
}

// matchPath matches an escaped path against a pattern, segment by segment. A variable
// takes one segment that is not empty.
func matchPath(pattern, path string) (map[string]string, bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, false
	}
	var vars map[string]string
	for i, w := range want {
		seg, err := url.PathUnescape(have[i])
		if err != nil {
			return nil, false
		}
		if !strings.HasPrefix(w, "{") {
			if w != seg {
				return nil, false
			}
			continue
		}
		if seg == "" {
			return nil, false
		}
		if vars == nil {
			vars = make(map[string]string, 1)
		}
		vars[strings.Trim(w, "{}")] = seg
	}
	return vars, true
}

// call is one request being answered.
type call struct {
	backend
	w    http.ResponseWriter
	r    *http.Request
	vars map[string]string
	log  *zap.Logger
	// heartbeat of event streams.
	heartbeat time.Duration
}

// checkQuery refuses query parameters the operation does not know and those that are
// repeated without need: a typing error must not read as "not given".
func (c *call) checkQuery(known []parameter) error {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return badRequest("query: %v", err)
	}
	for name, given := range values {
		i := slices.IndexFunc(known, func(p parameter) bool { return p.name == name })
		if i < 0 {
			return badRequest("unknown query parameter %q: expected %s", name, parameterNames(known))
		}
		if len(given) > 1 && !known[i].repeated {
			return badRequest("query parameter %q: given %d times, expected once", name, len(given))
		}
		if p := known[i]; p.enum != nil && !slices.Contains(p.enum, given[0]) {
			return badRequest("query parameter %q: %q: expected %s", name, given[0], strings.Join(p.enum, " or "))
		}
	}
	return nil
}

func parameterNames(known []parameter) string {
	if len(known) == 0 {
		return "none"
	}
	names := make([]string, len(known))
	for i, p := range known {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}

// query returns a query parameter, "" if it is not given.
func (c *call) query(name string) string { return c.r.URL.Query().Get(name) }

// limit returns the page size asked for, or def.
func (c *call) limit(def int) (int, error) {
	text, given := c.query("limit"), c.r.URL.Query().Has("limit")
	if !given {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, badRequest("query parameter \"limit\": %q: expected a number from 1 to %d", text, maxLimit)
	}
	return n, nil
}

// body reads the whole request body.
func (c *call) body() ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &requestError{http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", maxBody)}
	}
	if err != nil {
		return nil, badRequest("reading the body: %v", err)
	}
	return b, nil
}

// reply answers with JSON.
func (c *call) reply(status int, v any) error {
	var buf bytes.Buffer
	if err := encode(&buf, v); err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	c.w.WriteHeader(status)
	// The client is gone if this fails; there is nobody left to tell.
	_, _ = buf.WriteTo(c.w)
	return nil
}

// encode writes JSON that people can read as it is: no HTML escapes.
func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encoding the answer: %w", err)
	}
	return nil
}
