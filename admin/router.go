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
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/fleet"
)

const (
	// maxBody is the largest request body taken.
	maxBody = 1 << 20
	// maxLimit is the largest page.
	maxLimit = 10_000
	// dataTimeout bounds the requests whose answer comes from a storage.
	dataTimeout = 30 * time.Second
)

// router finds the operation of a request.
type router struct {
	operations operations
	mux        *http.ServeMux
}

// built has no initializer: one that named the handlers would depend on itself, since
// the handler of the OpenAPI document reads the table.
var built struct {
	once   sync.Once
	router *router
}

// table returns the router of every endpoint of the API.
func table() *router {
	built.once.Do(func() { built.router = newRouter(allOperations()) })
	return built.router
}

func newRouter(ops operations) *router {
	rt := &router{operations: ops, mux: http.NewServeMux()}
	for i := range ops {
		pattern := ops[i].pattern
		if strings.HasSuffix(pattern, "/") {
			pattern += "{$}" // this path, not all below it
		}
		rt.mux.Handle(ops[i].method+" "+pattern, &ops[i])
	}
	return rt
}

// find returns the operation for a request, and sets the request's path values. A path
// without the method asked for is a 405 that names those it has.
func (rt *router) find(w http.ResponseWriter, r *http.Request) (*operation, error) {
	m := &match{header: make(http.Header)}
	rt.mux.ServeHTTP(m, r)
	switch {
	case m.op != nil:
		return m.op, nil
	case m.status == http.StatusMethodNotAllowed:
		allowed := m.header.Get("Allow")
		w.Header().Set("Allow", allowed)
		return nil, &requestError{m.status, fmt.Errorf("%s is not allowed on %s: expected %s", r.Method, r.URL.Path, allowed)}
	default:
		return nil, &requestError{http.StatusNotFound, fmt.Errorf("no such endpoint: %s; /fado/openapi.json lists them all", r.URL.Path)}
	}
}

// match is what ServeMux answers to while a request's operation is looked for. What it
// would tell the client of a path that has none is told by find.
type match struct {
	op     *operation
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (m *match) Header() http.Header { return m.header }

// Write implements http.ResponseWriter.
func (m *match) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (m *match) WriteHeader(status int) { m.status = status }

// ServeHTTP implements http.Handler for router.find: it notes that the operation is the
// one a request is for.
func (op *operation) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if m, ok := w.(*match); ok {
		m.op = op
	}
}

// call is one request being answered.
type call struct {
	backend
	w   http.ResponseWriter
	r   *http.Request
	log *zap.Logger
	// heartbeat of event streams.
	heartbeat time.Duration
	streams   *streams
	fleets    *fleet.Looks
	planned   *planned
}

// name returns the name in the path: of a collection's item, or of a bucket.
func (c *call) name() string { return c.r.PathValue("name") }

// checkContentType refuses the types of body that a page of another site can have a
// browser send without asking the server first. curl's type for -d, which is one of
// them, passes: a browser encodes what it sends under it, so that it is no JSON.
func checkContentType(r *http.Request) error {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return nil
	}
	contentType := r.Header.Get("Content-Type")
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "text/plain", "multipart/form-data":
		return badRequest("Content-Type: %q: expected application/json", contentType)
	}
	return nil
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

// moment returns a time of the query, or otherwise.
func (c *call) moment(name string, otherwise time.Time) (time.Time, error) {
	text := c.query(name)
	if text == "" {
		return otherwise, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, badRequest("query parameter %q: %q: expected a time such as 2027-01-31T00:00:00Z (RFC 3339)", name, text)
	}
	return at, nil
}

// numberOf returns the number of one of what is listed, from least on; 0 if none is given.
func (c *call) numberOf(what, name string, least int64) (int64, error) {
	text := c.query(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < least {
		return 0, badRequest("query parameter %q: %q: expected the number of %s", name, text, what)
	}
	return n, nil
}

// body reads the whole request body.
func (c *call) body() ([]byte, error) { return c.bodyUpTo(maxBody) }

func (c *call) bodyUpTo(most int64) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, most))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &requestError{http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", most)}
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
	// The client is gone if this fails, so there is no one to report the error to.
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
