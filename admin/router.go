package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fado-project/fado/admin/internal/documents"
	"github.com/fado-project/fado/admin/internal/events"
	"github.com/fado-project/fado/admin/internal/fleet"
	"github.com/fado-project/fado/admin/internal/request"
)

const (
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
		return nil, request.Fail(m.status, fmt.Errorf("%s is not allowed on %s: expected %s", r.Method, r.URL.Path, allowed))
	default:
		return nil, request.Fail(http.StatusNotFound, fmt.Errorf("no such endpoint: %s; /fado/openapi.json lists them all", r.URL.Path))
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
	*request.Request
	streams *events.Streams
	fleets  *fleet.Looks
	largest *fleet.Largest
	planned *documents.Plans
}

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
		return request.Bad("Content-Type: %q: expected application/json", contentType)
	}
	return nil
}

// checkQuery refuses query parameters the operation does not know and those that are
// repeated without need: a typing error must not read as "not given".
func checkQuery(r *http.Request, known []parameter) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return request.Bad("query: %v", err)
	}
	for name, given := range values {
		i := slices.IndexFunc(known, func(p parameter) bool { return p.name == name })
		if i < 0 {
			return request.Bad("unknown query parameter %q: expected %s", name, parameterNames(known))
		}
		if len(given) > 1 && !known[i].repeated {
			return request.Bad("query parameter %q: given %d times, expected once", name, len(given))
		}
		if p := known[i]; p.enum != nil && !slices.Contains(p.enum, given[0]) {
			return request.Bad("query parameter %q: %q: expected %s", name, given[0], strings.Join(p.enum, " or "))
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
