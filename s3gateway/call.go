package s3gateway

import (
	"context"
	"net/http"
	"net/url"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/pace"
	"github.com/fado-project/fado/s3gateway/internal/sigv4"
)

// level is what a request is about.
type level uint8

const (
	atService level = iota
	atBucket
	atObject
)

// operation is one operation of the S3 API.
type operation struct {
	name   string
	level  level
	method string
	sub    string // the query parameter that names it; "" for the plain one
	header string // a header that, present, names it

	open      bool // asked by browsers, without a signature
	form      bool // authenticated by the policy of a form
	write     bool // a key that is read_only may not
	anonymous bool // public buckets offer it to everyone
	run       func(*call) error
}

// call is one request on its way to its answer.
type call struct {
	h   *Handler
	w   *pace.Writer
	r   *http.Request
	ctx context.Context
	id  string // of the request, in log and answer
	op  *operation

	bucket, key string
	query       url.Values

	asker    *catalog.Key // nil: nobody
	verified *sigv4.Verified
	form     *sigv4.Form // of PostObject

	control *control.Control
	gateway Storages
}

// router answers where objects are.
func (c *call) router() *routing.Router { return c.control.Router() }

// sees reports whether who asks may know of a bucket.
func (c *call) sees(bucket string) bool { return c.asker != nil && c.asker.Allows(bucket) }
