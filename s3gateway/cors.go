package s3gateway

import (
	"encoding/xml"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/cors"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/urls"
	"github.com/fado-project/fado/storage"
)

// origins is a call that pages of other origins may make.
type origins struct{ c reader }

// rules returns the rules of the call's bucket: those of its primary's storage, as they were
// known last while it does not answer.
func (o origins) rules() *cors.Rules {
	c := o.c
	snap := c.router().Snapshot()
	if snap.Bucket(c.bucket) == nil {
		return new(cors.Rules)
	}
	now := c.h.now()
	rules, fresh := c.h.cors.Get(c.bucket, now)
	if fresh {
		return rules
	}
	_, body, err := c.page(&routing.Holder{Cluster: snap.Of(c.bucket).Primary(), Primary: true}, storage.Forward{
		Name: "GetBucketCors", Method: http.MethodGet, Bucket: c.bucket, Query: map[string][]string{"cors": {""}}, Wait: firstWait,
	})
	said := new(cors.Rules)
	if err == nil {
		err = xml.Unmarshal(body, said)
	}
	if err != nil {
		said = new(cors.Rules)
		refused, ok := errors.AsType[*s3err.Error](err)
		none := ok && (refused.Status < http.StatusInternalServerError || refused.Status == http.StatusNotImplemented)
		if !none && rules != nil {
			said = rules
		}
	}
	c.h.cors.Put(c.bucket, said, now.Add(cors.Fresh))
	return said
}

// tell tells a browser what the page that asks may see of the answer.
func (o origins) tell() {
	c := o.c
	origin := c.r.Header.Get("Origin")
	if origin == "" || c.bucket == "" || c.op != nil && c.op.open {
		return
	}
	c.w.Header().Add("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
	if o.signedFor(origin, c.r.Method) {
		ownRule.Answer(c.w.Header(), origin)
		return
	}
	for _, rule := range o.rules().List {
		if rule.Allows(origin, c.r.Method, nil) {
			rule.Answer(c.w.Header(), origin)
			return
		}
	}
}

// preflight answers OPTIONS: whether a page of another origin may make a request. It says
// nothing of buckets that are not.
func preflight(c reader) error {
	origin, method := c.r.Header.Get("Origin"), c.r.Header.Get("Access-Control-Request-Method")
	if origin == "" {
		return s3err.BadRequest("BadRequest", "Insufficient information. Origin request header needed.")
	}
	if !slices.Contains(verbs, method) {
		return s3err.BadRequest("BadRequest", "Invalid Access-Control-Request-Method: %s", method)
	}
	var headers []string
	for h := range strings.SplitSeq(c.r.Header.Get("Access-Control-Request-Headers"), ",") {
		if h = strings.ToLower(strings.TrimSpace(h)); h != "" {
			headers = append(headers, h)
		}
	}
	h := c.w.Header()
	h.Add("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
	rules := []cors.Rule{ownRule}
	if !(origins{c}).signedFor(origin, method) {
		rules = origins{c}.rules().List
	}
	for _, rule := range rules {
		if rule.Allows(origin, method, headers) {
			rule.Answer(h, origin)
			if len(headers) > 0 {
				h.Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
			}
			c.writeBody(http.StatusOK, "", nil)
			return nil
		}
	}
	return s3err.New(http.StatusForbidden, "AccessForbidden", "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
}

// ownRule is for pages that a URL was signed for: what the URL allows, they may do.
var ownRule = cors.Rule{Origins: []string{"*"}, Methods: verbs, Headers: []string{"*"}, Expose: []string{"*"}}

// signedFor reports whether FaDO signed the URL of a request, made by a method, for the pages of an
// origin: then the bucket needs no rule for it.
func (o origins) signedFor(origin, method string) bool {
	c := o.c
	id, _, _ := strings.Cut(c.query.Get("X-Amz-Credential"), "/")
	g, ok := urls.ParseID(id)
	if !ok || g.Origin == "" || g.Origin != origin || g.Bucket != c.bucket {
		return false
	}
	_, err := c.h.verifier().Presigned(c.r, method)
	return err == nil
}

// putCORS answers PutBucketCors and DeleteBucketCors.
func putCORS(c writer) error {
	err := setAtPrimary(c)
	c.h.cors.Forget(c.bucket)
	return err
}
