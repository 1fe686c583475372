package console

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin"
	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/s3gateway/urls"
)

// presignInput is the body of POST api/presign: one request about one object.
type presignInput struct {
	Bucket    string    `json:"bucket"`
	Key       string    `json:"key"`
	Operation operation `json:"operation"`
	// Version of the object, for get, head, tags and delete.
	Version string `json:"version"`
	// Upload and Part are about an upload in parts.
	Upload string `json:"upload"`
	Part   int    `json:"part"`
	// Marker is where a page of versions begins.
	Marker string `json:"marker"`
	// Seconds until the URL expires.
	Seconds int `json:"seconds"`
}

// operation is what a signed URL does.
type operation string

// signs says how an operation's request is made.
type signs struct {
	method string
	// write says that it needs the right to write; recorded that it is put on record.
	write, recorded bool
	query           func(in presignInput) url.Values
}

// operations are those that URLs are signed for.
var operations = map[operation]signs{
	"get":      {method: http.MethodGet, recorded: true, query: attached},
	"head":     {method: http.MethodHead, query: ofVersion},
	"tags":     {method: http.MethodGet, query: func(in presignInput) url.Values { return with(ofVersion(in), "tagging", "") }},
	"versions": {method: http.MethodGet, query: versions},

	"put":      {method: http.MethodPut, write: true, recorded: true, query: none},
	"delete":   {method: http.MethodDelete, write: true, recorded: true, query: ofVersion},
	"begin":    {method: http.MethodPost, write: true, recorded: true, query: func(presignInput) url.Values { return url.Values{"uploads": {""}} }},
	"part":     {method: http.MethodPut, write: true, query: ofPart},
	"complete": {method: http.MethodPost, write: true, query: ofUpload},
	"abort":    {method: http.MethodDelete, write: true, query: ofUpload},
}

func none(presignInput) url.Values { return url.Values{} }

func with(q url.Values, name, value string) url.Values {
	q.Set(name, value)
	return q
}

func ofVersion(in presignInput) url.Values {
	if in.Version == "" {
		return url.Values{}
	}
	return url.Values{"versionId": {in.Version}}
}

// attached has browsers store what they get: no page of the endpoint's origin is ever made of it.
func attached(in presignInput) url.Values {
	name := path.Base(in.Key)
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": name})
	if disposition == "" {
		disposition = "attachment"
	}
	return with(ofVersion(in), "response-content-disposition", disposition)
}

func ofUpload(in presignInput) url.Values { return url.Values{"uploadId": {in.Upload}} }

func ofPart(in presignInput) url.Values {
	return with(ofUpload(in), "partNumber", strconv.Itoa(in.Part))
}

// versions are listed of the whole bucket: the page begins at the key.
func versions(in presignInput) url.Values {
	q := url.Values{"versions": {""}, "prefix": {in.Key}, "max-keys": {"100"}, "encoding-type": {"url"}}
	if in.Marker != "" {
		q.Set("key-marker", in.Key)
		q.Set("version-id-marker", in.Marker)
	}
	return q
}

const (
	// maxSigned bounds how long a URL holds.
	maxSigned     = 15 * time.Minute
	defaultSigned = 5 * time.Minute
	maxKey        = 1024
	maxParts      = 10_000
)

// check names what is wrong with the input.
func (in *presignInput) check() error {
	_, known := operations[in.Operation]
	seconds := int(maxSigned / time.Second)
	parts := strings.Split(in.Key, "/")
	switch {
	case !known:
		return fmt.Errorf("operation: %q: expected get, head, tags, versions, put, delete, begin, part, complete or abort", in.Operation)
	case in.Bucket == "":
		return fmt.Errorf("bucket: expected the name of a bucket")
	case in.Key == "" || len(in.Key) > maxKey:
		return fmt.Errorf("key: expected 1 to %d bytes", maxKey)
	case slices.Contains(parts, ".") || slices.Contains(parts, ".."):
		return fmt.Errorf("key: %q: browsers can't ask for keys with . or .. between slashes: use another S3 client", in.Key)
	case in.Seconds < 0 || in.Seconds > seconds:
		return fmt.Errorf("seconds: %d: expected 1 to %d", in.Seconds, seconds)
	case in.Operation == "part" && (in.Part < 1 || in.Part > maxParts):
		return fmt.Errorf("part: %d: expected 1 to %d", in.Part, maxParts)
	case slices.Contains([]operation{"part", "complete", "abort"}, in.Operation) && in.Upload == "":
		return fmt.Errorf("upload: expected the ID of an upload")
	}
	return nil
}

// presignView answers POST api/presign.
type presignView struct {
	Method  string    `json:"method"`
	URL     string    `json:"url"`
	Expires time.Time `json:"expires"`
}

// presign signs a URL for one request about one object, which the caller's role allows.
func (h *Handler) presign(w http.ResponseWriter, r *http.Request, c *caller) {
	var in presignInput
	if !readJSON(w, r, maxSignIn, &in) {
		return
	}
	if err := in.check(); err != nil {
		admin.WriteError(w, http.StatusBadRequest, err.Error())
		return
	}
	does := operations[in.Operation]
	if needs, has := rightOf(does), rights(h.Data).of(c.Role); !has.covers(needs) {
		admin.WriteError(w, http.StatusForbidden, fmt.Sprintf("this needs the right to %s objects, and the role %s has %s", needs, c.Role, has))
		return
	}
	e := h.endpoint(r)
	if e == nil {
		admin.WriteError(w, http.StatusConflict, noEndpoint)
		return
	}
	app, err := h.app()
	if err != nil {
		h.refuse(w, err)
		return
	}
	if app.Control() == nil || app.Control().Router().Snapshot().Bucket(in.Bucket) == nil {
		admin.WriteError(w, http.StatusNotFound, fmt.Sprintf("bucket %q: not found", in.Bucket))
		return
	}
	if does.recorded { // before it can be used
		if err := h.recordSigned(r, c, &in); err != nil {
			h.refuse(w, err)
			return
		}
	}
	key, err := app.URLKey(control.WithActor(r.Context(), actorOf(c)))
	if err != nil {
		h.refuse(w, err)
		return
	}
	holds := time.Duration(in.Seconds) * time.Second
	if holds == 0 {
		holds = defaultSigned
	}
	req := urls.Request{Method: does.method, Bucket: in.Bucket, Key: in.Key, Query: does.query(in)}
	if in.Operation == "versions" {
		req.Key = ""
	}
	signed := e.Sign(key, req, originOf(r), holds)
	if signed == "" {
		admin.WriteError(w, http.StatusForbidden, "the access key "+urls.SystemKey+" does not allow it")
		return
	}
	reply(w, http.StatusOK, presignView{Method: does.method, URL: signed, Expires: h.now().Add(holds).UTC()})
}

// recordSigned puts on record that someone may read or change an object.
func (h *Handler) recordSigned(r *http.Request, c *caller, in *presignInput) error {
	h.log.Info("signed a URL", requestID(r), zap.String("user", c.Name), zap.String("role", string(c.Role)), zap.String("operation", string(in.Operation)),
		zap.String("bucket", in.Bucket), zap.String("key", in.Key), zap.String("address", address(r)))
	return h.passes.record(r, c, audit.SessionBody{
		Event: audit.URLSigned, Session: c.ID, User: c.Name, Role: string(c.Role), How: c.How, Address: address(r),
		Operation: string(in.Operation), Bucket: in.Bucket, Key: in.Key, Version: in.Version,
	})
}

// originOf is the origin of the console's pages.
func originOf(r *http.Request) string {
	if o := r.Header.Get("Origin"); o != "" { // the guard has looked at it
		return o
	}
	return schemeOf(r) + "://" + r.Host
}

func schemeOf(r *http.Request) string {
	if overTLS(r) {
		return "https"
	}
	return "http"
}
