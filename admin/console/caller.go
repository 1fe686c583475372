package console

import (
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/audit"
)

// caller is who asks.
type caller struct {
	Name string
	Role admin.Role
	// How they came in: password, token, link or identity.
	How string
	// Until is when the session ends at the latest; zero for an identity.
	Until time.Time
	// ID of the session or the token.
	ID string
	// SignOut leads out of the site's own authentication.
	SignOut string
	// Named is the user or the @group of an identity that has the role.
	Named string
}

// why says what gives someone their role.
func (c *caller) why() string {
	switch c.How {
	case "identity":
		if group, ok := strings.CutPrefix(c.Named, "@"); ok {
			return "the configuration gives it to the group " + group + ", in which the site's own authentication finds you"
		}
		return "the configuration gives it to you by the name that the site's own authentication finds"
	case "token":
		return "the token that you signed in with has it"
	case "link":
		return "the link that you opened was made with it"
	default:
		return "the configuration gives it to the user of this name"
	}
}

// audited is someone in audit records, with what they ask for.
func (c *caller) audited(r *http.Request) audit.Caller {
	by := audit.CallerOf(r.Context())
	by.Who, by.Role, by.How = actorOf(c), string(c.Role), c.How
	return by
}

// requestID names a request in the log.
func requestID(r *http.Request) zap.Field {
	return zap.String("request_id", audit.CallerOf(r.Context()).Request)
}

// actorOf names someone in audit records.
func actorOf(c *caller) string { return strings.TrimSpace("console " + c.Name) }
