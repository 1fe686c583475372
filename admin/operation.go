package admin

import "github.com/fado-project/fado/admin/internal/acts"

// role is the least that a user of the console must be to call an operation; each role
// may do what those before it may. Caddy's admin endpoint itself knows no roles.
type role string

const (
	roleViewer   role = "viewer"   // reads
	roleOperator role = "operator" // has work done on data that loses none
	roleAdmin    role = "admin"    // changes the catalogue, or gives data up
)

// operation is one method of one path: how it is served, who may, and how it is
// documented. The router, the OpenAPI document and whatever else serves the API go by it.
type operation struct {
	name    string // unique; the operationId of the document
	method  string
	pattern string // of the path, with variables in braces
	role    role
	// needs says which role a request with this body needs; nil: role.
	needs func(body []byte) role
	// local operations are for Caddy's admin endpoint only.
	local  bool
	handle func(*call) error
	// acts tells what a request has done that the audit records besides changes of the catalogue: nil, or
	// nil from it, for nothing. What requests other than GET do otherwise is the effect.
	acts   func(*call) (*acts.Act, error)
	effect effect
	// standalone operations need no running app.
	standalone bool
	params     []parameter // of the query
	summary    string
	// request is a value of the Go type a request's body is read into; nil for none.
	request      any
	requestTypes []string
	replies      []reply
	// errors lists the statuses answered with an error.
	errors []int
	// conditional operations take If-Match and If-None-Match.
	conditional bool
	// revised operations take the catalogue's revision as If-Match.
	revised bool
}

// operations is the table of all endpoints.
type operations []operation

// parameter is a query parameter.
type parameter struct {
	name string
	doc  string
	// integer parameters are whole numbers from 1 to MaxLimit of package request.
	integer bool
	// enum lists the values taken; nil for any.
	enum []string
	// repeated parameters may be given more than once.
	repeated bool
}

// reply is one answer that is not an error.
type reply struct {
	status int
	doc    string
	body   any // a value of the Go type answered; nil for none
	media  string
	// also lists other media types that the answer comes in.
	also    []string
	headers []string
}

const mediaJSON = "application/json"
