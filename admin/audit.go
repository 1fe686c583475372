package admin

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/ledger"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// As returns a request whose changes are recorded as made by someone.
func As(r *http.Request, who audit.Caller) *http.Request {
	return r.WithContext(audit.WithCaller(r.Context(), who))
}

// adminActor names who sent a request to the admin endpoint.
func adminActor(r *http.Request) string { return strings.TrimSpace("admin " + adminAddress(r)) }

// adminAddress is where a request to the admin endpoint came from, "" for a Unix socket.
func adminAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// auditFilter reads the query of the audit's endpoints.
func (c *call) auditFilter() (f state.AuditFilter, who ledger.Filter, err error) {
	if f.Since, err = c.Moment("since", time.Time{}); err != nil {
		return f, who, err
	}
	if f.Until, err = c.Moment("until", time.Time{}); err != nil {
		return f, who, err
	}
	if f.After, err = c.Number("a record", "after", 0); err != nil {
		return f, who, err
	}
	if f.Before, err = c.Number("a record", "before", 1); err != nil {
		return f, who, err
	}
	f.Newest = c.Query("newest") == "true"
	f.Kind = audit.Kind(c.Query("kind"))
	if bucket := c.Query("bucket"); bucket != "" {
		f.Subject = control.AuditSubject(catalog.KindBucket, bucket)
	}
	return f, ledger.Filter{Role: c.Query("role"), How: c.Query("how"), Result: c.Query("result")}, nil
}

// auditLimit is how many records are listed where no limit is said.
const auditLimit = 1000

func listAudit(c *call) error {
	limit, err := c.Limit(auditLimit)
	if err != nil {
		return err
	}
	f, who, err := c.auditFilter()
	if err != nil {
		return err
	}
	records, last, err := ledger.Find(c.R.Context(), c.catalogue.Store().Audits(), f, who, limit)
	if err != nil {
		return err
	}
	if last > 0 {
		further := "after"
		if f.Newest {
			further = "before"
		}
		c.NextPage("/fado/audit", further, strconv.FormatInt(last, 10))
	}
	return c.Reply(http.StatusOK, views(records, func(r audit.Record) auditView { return auditView(r) }))
}

// exportAudit streams all records that match, one JSON object a line.
func exportAudit(c *call) error {
	f, who, err := c.auditFilter()
	if err != nil {
		return err
	}
	records := c.catalogue.Store().Audits()
	found, last, err := ledger.Find(c.R.Context(), records, f, who, listChunk)
	if err != nil {
		return err
	}
	c.W.Header().Set("Content-Type", mediaNDJSON)
	out := bufio.NewWriter(c.W)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for {
		for i := range found {
			if err := enc.Encode(&found[i]); err != nil {
				return nil // the client is gone: there is no one to tell
			}
		}
		if last == 0 {
			break
		}
		f.After = last
		if found, last, err = ledger.Find(c.R.Context(), records, f, who, listChunk); err != nil {
			c.Log.Error("an export of the audit was cut short", zap.Error(err))
			panic(http.ErrAbortHandler) // a part must not look like the whole
		}
	}
	_ = out.Flush() // the client is gone if this fails
	return nil
}

// auditView is an audit record. Its hash is the SHA-256 of prev and of the other fields as
// canonical JSON (RFC 8785).
type auditView struct {
	Seq   int64           `json:"seq"`   // the record's number, without gaps
	At    string          `json:"at"`    // when it was made (RFC 3339)
	Node  string          `json:"node"`  // the instance that made it
	Kind  audit.Kind      `json:"kind"`  // what it records
	Actor string          `json:"actor"` // who caused it
	Body  json.RawMessage `json:"body"`  // what was recorded, by kind
	Prev  string          `json:"prev"`  // hash of the record before
	Hash  string          `json:"hash"`  // SHA-256 over this record and the hash before
}

const mediaNDJSON = "application/x-ndjson"

// auditOperations are those on the audit.
func auditOperations() operations {
	kinds := []string{string(audit.Change), string(audit.Allowed), string(audit.Copy), string(audit.Pull), string(audit.Invocations), string(audit.Refused), string(audit.Session), string(audit.Action), string(audit.Checkpoint)}
	filters := []parameter{
		{name: "since", doc: "Only records of this time (RFC 3339) or later."},
		{name: "until", doc: "Only records before this time (RFC 3339)."},
		{name: "bucket", doc: "Only records about this bucket."},
		{name: "kind", enum: kinds, doc: "Only records of this kind."},
		{name: "role", enum: []string{string(roleViewer), string(roleOperator), string(roleAdmin)}, doc: "Only records of what people in this role did at the console."},
		{name: "how", enum: []string{"password", "token", "link", "identity", "endpoint"}, doc: "Only records of people who came this way: with a password, a token, a link, or the identity that the site's own authentication found at the console, or through Caddy's admin endpoint."},
		{name: "result", enum: []string{ledger.Done, ledger.Refused, ledger.Failed}, doc: "Only records of what was done or begun, of what was refused, by a policy or at sign-in, or of actions that failed."},
	}
	return operations{
		{
			name: "audit", method: http.MethodGet, pattern: "/fado/audit", role: roleAdmin, handle: listAudit,
			params: append(slices.Clone(filters),
				limitParam,
				parameter{name: "after", doc: "Only records behind the one of this number."},
				parameter{name: "before", doc: "Only records before the one of this number."},
				parameter{name: "newest", enum: []string{"true", "false"}, doc: "Whether the newest come first. Default: false."},
			),
			summary: "Audit records, in order.",
			replies: []reply{{status: 200, doc: "The records, 1000 of them where no limit is given. A Link header names the next page while there may be one; it may be there though a page has few records, or none.", body: []auditView{}, headers: []string{"Link"}}}, errors: []int{400, 503},
		},
		{
			name: "export-audit", method: http.MethodGet, pattern: "/fado/audit/export", role: roleAdmin, handle: exportAudit, params: filters,
			summary: "All audit records, for caddy fado audit verify; or those that match.",
			replies: []reply{{status: 200, doc: "The records, one JSON object a line. Filtered, they are no whole chain, and can not be verified by themselves.", body: auditView{}, media: mediaNDJSON}}, errors: []int{400, 503},
		},
	}
}
