package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
)

// listChunk is how many items of a list are read and answered at a time, so that a
// list of a million buckets is never held as a whole.
const listChunk = 1000

// collection serves one of the collections.
type collection struct {
	kind catalog.Kind
	path string // of the collection
}

// list answers with all items, or a page of them and a link to the next.
func (k collection) list(c *call) error {
	if k.kind == catalog.KindBucket && c.finding() {
		return findBuckets(c)
	}
	limit, err := c.limit(0)
	if err != nil {
		return err
	}
	after, left, chunk := c.query("after"), math.MaxInt, listChunk
	if limit > 0 {
		left, chunk = limit, limit+1 // one more tells whether there is a next page
		if k.kind == catalog.KindBucket {
			c.w.Header().Set("X-Total-Count", strconv.Itoa(c.catalogue.Router().Snapshot().Len(k.kind)))
		}
	}
	items, err := c.catalogue.List(c.r.Context(), k.kind, after, chunk)
	if err != nil {
		return err
	}
	if limit > 0 && len(items) > limit {
		items = items[:limit]
		c.w.Header().Set("Link", k.nextPage(c, items[limit-1].Resource.ResourceName()))
	}
	out := &arrayWriter{w: c.w}
	for {
		if err := k.writeItems(c, out, items); err != nil {
			return out.fail(c, err)
		}
		if left -= len(items); left <= 0 || len(items) < chunk {
			return out.close()
		}
		after = items[len(items)-1].Resource.ResourceName()
		if items, err = c.catalogue.List(c.r.Context(), k.kind, after, chunk); err != nil {
			return out.fail(c, err)
		}
	}
}

// nextPage is the Link header (RFC 8288) of the page after a name.
func (k collection) nextPage(c *call, after string) string {
	q := c.r.URL.Query()
	q.Set("after", after)
	return "<" + k.path + "?" + q.Encode() + `>; rel="next"`
}

func (k collection) writeItems(c *call, out *arrayWriter, items []control.Item) error {
	views, err := c.viewItems(k.kind, items, c.query("status") != "false")
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := out.add(v); err != nil {
			return err
		}
	}
	return nil
}

// get answers with one item.
func (k collection) get(c *call) error {
	it, err := c.catalogue.Get(c.r.Context(), k.kind, c.name())
	if err != nil {
		return about(k.kind, c.name(), err)
	}
	if ok, err := matches(c.r.Header, it.ETag); err != nil {
		return err
	} else if !ok {
		return about(k.kind, c.name(), control.ErrPrecondition)
	}
	withStatus := c.query("status") != "false"
	// The tag does not cover the status, so an item that has one may differ under the
	// same tag: it is always sent.
	if !withStatus || k.kind != catalog.KindCluster && k.kind != catalog.KindBucket {
		same, err := notModified(c.r.Header, it.ETag)
		if err != nil {
			return err
		}
		if same {
			c.w.Header().Set("ETag", it.ETag)
			c.w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	views, err := c.viewItems(k.kind, []control.Item{it}, withStatus)
	if err != nil {
		return err
	}
	c.w.Header().Set("ETag", it.ETag)
	return c.reply(http.StatusOK, views[0])
}

// create answers POST to the collection.
func (k collection) create(c *call) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	res, err := k.decodeNew(c, body)
	if err != nil {
		return err
	}
	if err := c.fillSecrets(res, nil); err != nil {
		return err
	}
	it, err := c.catalogue.Create(c.r.Context(), res)
	if err != nil {
		return about(k.kind, res.ResourceName(), err)
	}
	c.w.Header().Set("Location", k.path+"/"+url.PathEscape(it.Resource.ResourceName()))
	if key, ok := it.Resource.(*catalog.Key); ok {
		return replyNewKey(c, key, it)
	}
	return k.replyChanged(c, http.StatusCreated, it)
}

// put creates or replaces an item.
func (k collection) put(c *call) error {
	name := c.name()
	pre, err := preconditions(c.r.Header)
	if err != nil {
		return err
	}
	body, err := c.body()
	if err != nil {
		return err
	}
	res, err := c.decode(k.kind, body, name)
	if err != nil {
		return err
	}
	it, created, err := c.catalogue.Replace(c.r.Context(), res, pre, c.fillSecrets)
	if err != nil {
		return about(k.kind, name, err)
	}
	if created {
		c.w.Header().Set("Location", k.path+"/"+url.PathEscape(name))
		return k.replyChanged(c, http.StatusCreated, it)
	}
	return k.replyChanged(c, http.StatusOK, it)
}

// patch applies a JSON merge patch (RFC 7396) to an item.
func (k collection) patch(c *call) error {
	name := c.name()
	if err := checkPatchType(c.r.Header.Get("Content-Type")); err != nil {
		return err
	}
	pre, err := preconditions(c.r.Header)
	if err != nil {
		return err
	}
	patch, err := c.body()
	if err != nil {
		return err
	}
	if err := checkObject(patch); err != nil {
		return err
	}
	it, err := c.catalogue.Modify(c.r.Context(), k.kind, name, pre, func(now catalog.Resource) (catalog.Resource, error) {
		return c.merged(now, patch)
	})
	if err != nil {
		return about(k.kind, name, err)
	}
	return k.replyChanged(c, http.StatusOK, it)
}

// remove deletes an item.
func (k collection) remove(c *call) error {
	pre, err := preconditions(c.r.Header)
	if err != nil {
		return err
	}
	if err := c.catalogue.Delete(c.r.Context(), k.kind, c.name(), pre); err != nil {
		return about(k.kind, c.name(), err)
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// replyChanged answers a change. The change is done, so a status that can't be told is
// left out, not reported as a failure.
func (k collection) replyChanged(c *call, status int, it control.Item) error {
	views, err := c.viewItems(k.kind, []control.Item{it}, true)
	if err != nil {
		c.log.Warn("a change is answered without the item's status", zap.Error(err))
		if views, err = c.viewItems(k.kind, []control.Item{it}, false); err != nil {
			return err
		}
	}
	if v, ok := views[0].(policyView); ok {
		v.Status = &policyStatusView{Warnings: control.Shortfalls(c.catalogue.Router().Snapshot(), v.Policy)}
		views[0] = v
	}
	c.w.Header().Set("ETag", it.ETag)
	return c.reply(status, views[0])
}

// decode reads a resource strictly and gives it the name of its path, if there is one.
func (c *call) decode(kind catalog.Kind, body []byte, name string) (catalog.Resource, error) {
	return catalog.DecodeNamed(kind, body, name, c.declared())
}

// merged applies a merge patch to what clients see of a resource, so that a patch can
// no more read a secret than a GET can.
func (c *call) merged(now catalog.Resource, patch []byte) (catalog.Resource, error) {
	shown := now.Clone()
	redact(shown)
	doc, err := catalog.EncodeResource(shown)
	if err != nil {
		return nil, err
	}
	if doc, err = jsonpatch.MergePatch(doc, patch); err != nil {
		return nil, badRequest("merge patch: %v", err)
	}
	next, err := c.decode(now.ResourceKind(), doc, now.ResourceName())
	if err != nil {
		return nil, err
	}
	return next, c.fillSecrets(next, now)
}

// checkPatchType refuses the patch formats that are not merge patches. A missing type
// and curl's default for -d pass: the body has one meaning only.
func checkPatchType(contentType string) error {
	if contentType == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return badRequest("Content-Type: %q: %v", contentType, err)
	}
	switch media {
	case "application/merge-patch+json", "application/json", "application/x-www-form-urlencoded":
		return nil
	}
	return badRequest("Content-Type: %q: expected application/merge-patch+json or application/json", contentType)
}

// checkObject names what is wrong with a body that is not one JSON object.
func checkObject(body []byte) error {
	var doc map[string]json.RawMessage
	err := json.Unmarshal(body, &doc)
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return badRequest("the body is empty: expected a JSON object")
	case errors.As(err, &syntax):
		return badRequest("the body is not JSON: %v at byte %d", err, syntax.Offset)
	case err != nil || doc == nil:
		return badRequest("the body is not a JSON object")
	}
	return nil
}

// arrayWriter streams a JSON array. Nothing is sent before the first item or the end,
// so an error up to then still gets its own status.
type arrayWriter struct {
	w       http.ResponseWriter
	started bool
	buf     bytes.Buffer
}

func (a *arrayWriter) start() {
	if a.started {
		return
	}
	a.started = true
	a.w.Header().Set("Content-Type", "application/json")
	a.buf.WriteByte('[')
}

func (a *arrayWriter) add(v any) error {
	if a.started {
		a.buf.WriteString(",")
	}
	a.start()
	if err := encode(&a.buf, v); err != nil {
		return err
	}
	a.buf.Truncate(a.buf.Len() - 1) // the encoder's line end
	if a.buf.Len() < 64<<10 {
		return nil
	}
	return a.flush()
}

func (a *arrayWriter) flush() error {
	_, err := a.buf.WriteTo(a.w)
	return err
}

func (a *arrayWriter) close() error {
	a.start()
	a.buf.WriteString("]\n")
	// The client is gone if this fails, so there is no one to report the error to.
	_ = a.flush()
	return nil
}

// fail ends a list that can't continue: with the error while nothing was sent, else by
// cutting the connection, since a short list must not look like a whole one.
func (a *arrayWriter) fail(c *call, err error) error {
	if !a.started {
		return err
	}
	c.log.Error("a list was cut short", zap.String("path", c.r.URL.Path), zap.Error(err))
	panic(http.ErrAbortHandler)
}
