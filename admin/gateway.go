package admin

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/events"
	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
)

// Role is what a user of the console may do.
type Role = role

// The roles, each of which may do what those before it may.
const (
	RoleViewer   = roleViewer
	RoleOperator = roleOperator
	RoleAdmin    = roleAdmin
)

// rank orders the roles; 0 for what is none.
func (r role) rank() int {
	switch r {
	case roleViewer:
		return 1
	case roleOperator:
		return 2
	case roleAdmin:
		return 3
	default:
		return 0
	}
}

// Valid says whether it is one of the roles.
func (r role) Valid() bool { return r.rank() > 0 }

// may says whether the role may do what another one may.
func (r role) may(least role) bool { return least.Valid() && r.rank() >= least.rank() }

// Gateway serves the API to callers that go by roles, from elsewhere than Caddy's admin
// endpoint. Its operations are the same, but for those that are the admin endpoint's alone.
type Gateway struct{ api *API }

// NewGateway returns a Gateway. The running app is looked up for every request.
func NewGateway(log *zap.Logger) *Gateway {
	return &Gateway{&API{log: log, find: findApp, streams: events.NewStreams(events.MaxStreams)}}
}

// Serve answers a request to a path below /fado/ for a caller in a role.
func (g *Gateway) Serve(w http.ResponseWriter, r *http.Request, as Role) {
	if err := g.api.serveAs(w, r, as); err != nil {
		g.api.fail(w, r, err)
	}
}

// RequestHeader is the header of an answer that has its request's ID.
const RequestHeader = "X-Request-Id"

// Identify gives a request an ID, which its answer has in [RequestHeader].
func Identify(w http.ResponseWriter) string {
	id := strings.ToLower(rand.Text()[:16])
	w.Header().Set(RequestHeader, id)
	return id
}

// fail answers with an error, and logs it.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	told, ok := errors.AsType[caddy.APIError](err)
	if !ok {
		told = caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err}
	}
	if told.Message == "" && told.Err != nil {
		told.Message = told.Err.Error()
	}
	log := a.log.Info
	if told.HTTPStatus >= http.StatusInternalServerError {
		log = a.log.Error
	}
	log("a request failed", zap.String("request_id", w.Header().Get(RequestHeader)), zap.String("actor", audit.CallerOf(r.Context()).Who),
		zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Int("status", told.HTTPStatus), zap.Error(told.Err))
	WriteError(w, told.HTTPStatus, told.Message)
}

// WriteError answers with the JSON that every error of the API has.
func WriteError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", mediaJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	body := map[string]string{"error": text}
	if id := w.Header().Get(RequestHeader); id != "" {
		body["request_id"] = id
	}
	_ = request.Encode(w, body) // the client is gone if this fails
}

// allow checks that a caller in a role may call an operation. The admin endpoint itself knows
// no roles.
func allow(q *request.Request, op *operation, as role) error {
	if as == adminEndpoint {
		return nil
	}
	if op.local {
		return request.Fail(http.StatusNotFound, fmt.Errorf("%s is for Caddy's admin endpoint only", q.R.URL.Path))
	}
	least := op.role
	if op.needs != nil {
		body, err := q.Peek()
		if err != nil {
			return err
		}
		least = op.needs(body)
	}
	if !as.may(least) {
		return request.Fail(http.StatusForbidden, fmt.Errorf("this needs the role %s, and you are %s", least, as))
	}
	return nil
}

// adminEndpoint stands for callers of Caddy's admin endpoint.
const adminEndpoint role = ""

// needsOfPatch says what a merge patch of a cluster needs: draining it loses nothing.
func needsOfPatch(kind catalog.Kind) func(body []byte) role {
	if kind != catalog.KindCluster {
		return nil
	}
	return func(body []byte) role {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil || len(fields) != 1 || fields["drain"] == nil {
			return roleAdmin
		}
		return roleOperator
	}
}

// needsOfResolution says what the resolution of conflicts needs: with discard it gives data
// up. What can't be read as false is taken for true.
func needsOfResolution(body []byte) role {
	var in struct{ Discard json.RawMessage }
	if err := json.Unmarshal(body, &in); err != nil || in.Discard != nil && string(in.Discard) != "false" {
		return roleAdmin
	}
	return roleOperator
}
