package console

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/s3gateway/urls"
)

// Right is what someone may do with the bytes of objects.
type Right string

// The rights, each of which covers those before it.
const (
	RightNone  Right = "none"
	RightRead  Right = "read"
	RightWrite Right = "write"
)

func (r Right) rank() int {
	switch r {
	case RightNone:
		return 1
	case RightRead:
		return 2
	case RightWrite:
		return 3
	default:
		return 0
	}
}

// covers says whether the right is enough for what needs another one.
func (r Right) covers(needed Right) bool { return r.rank() >= needed.rank() }

// defaultRights are those of roles that the configuration says nothing of.
var defaultRights = map[admin.Role]Right{admin.RoleViewer: RightNone, admin.RoleOperator: RightRead, admin.RoleAdmin: RightWrite}

// rights are what the configuration says that roles may do with objects.
type rights map[admin.Role]Right

// of is what a role may do with objects.
func (rs rights) of(role admin.Role) Right {
	if r, ok := rs[role]; ok {
		return r
	}
	return defaultRights[role]
}

// rightOf is what an operation needs.
func rightOf(s signs) Right {
	if s.write {
		return RightWrite
	}
	return RightRead
}

// check names what is wrong with rights.
func (rs rights) check() error {
	var errs []error
	for role, right := range rs {
		if !role.Valid() {
			errs = append(errs, fmt.Errorf("data: %q: expected viewer, operator or admin", role))
		}
		if right.rank() == 0 {
			errs = append(errs, fmt.Errorf("data %s: %q: expected none, read or write", role, right))
		}
	}
	return errors.Join(errs...)
}

const noEndpoint = "the console does not know how browsers reach an S3 endpoint: add fado_s3 to the configuration, with public_url or on a port of its own, or the option s3 to fado_console"

// defaultRegion is that of endpoints elsewhere.
const defaultRegion = "us-east-1"

// endpoint returns the S3 endpoint that the browser moves objects to and from: the one that is
// configured; else one of the same configuration, which says how it is reached, or is reached by
// the console's own name at another port. nil for none.
func (h *Handler) endpoint(r *http.Request) *urls.Endpoint {
	var all []*urls.Endpoint
	if app, err := h.app(); err == nil {
		all = app.Endpoints().All()
	}
	if h.S3 != "" {
		e := urls.Endpoint{Region: defaultRegion}
		if len(all) > 0 {
			e = *all[0]
		}
		e.Scheme, e.Host, _ = urls.ParseURL(h.S3) // checked before
		return &e
	}
	for _, e := range all {
		if e.Host != "" {
			return e
		}
	}
	name, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		name, port = r.Host, map[string]string{"http": "80", "https": "443"}[schemeOf(r)]
	}
	for _, e := range all {
		if e.Port != "" && e.Port != port && hostName.MatchString(name) {
			beside := *e
			beside.Host = (&url.URL{Host: net.JoinHostPort(name, e.Port)}).Host
			return &beside
		}
	}
	return nil
}

// hostName is what may stand in a policy of a page; brackets of IPv6 are taken off before.
var hostName = regexp.MustCompile(`^[A-Za-z0-9.:-]{1,255}$`)

// policyOf is the policy of the pages, which move objects to and from an S3 endpoint; nil for none.
func policyOf(e *urls.Endpoint) string {
	if e != nil {
		return policyBefore + " " + e.URL() + policyAfter
	}
	return policyBefore + policyAfter
}
