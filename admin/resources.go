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

	"go.uber.org/zap"

	"github.com/fado-project/fado/admin/internal/request"
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
	limit, err := c.Limit(0)
	if err != nil {
		return err
	}
	after, left, chunk := c.Query("after"), math.MaxInt, listChunk
	if limit > 0 {
		left, chunk = limit, limit+1 // one more tells whether there is a next page
		if k.kind == catalog.KindBucket {
			c.W.Header().Set("X-Total-Count", strconv.Itoa(c.catalogue.Router().Snapshot().Len(k.kind)))
		}
	}
	items, err := c.catalogue.List(c.R.Context(), k.kind, after, chunk)
	if err != nil {
		return err
	}
	if limit > 0 && len(items) > limit {
		items = items[:limit]
		c.NextPage(k.path, "after", items[limit-1].Resource.ResourceName())
	}
	out := request.NewArray(c.Request)
	for {
		if err := k.writeItems(c, out, items); err != nil {
			return out.Fail(err)
		}
		if left -= len(items); left <= 0 || len(items) < chunk {
			return out.Close()
		}
		after = items[len(items)-1].Resource.ResourceName()
		if items, err = c.catalogue.List(c.R.Context(), k.kind, after, chunk); err != nil {
			return out.Fail(err)
		}
	}
}

func (k collection) writeItems(c *call, out *request.Array, items []control.Item) error {
	views, err := c.shown().views(k.kind, items, c.Query("status") != "false")
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := out.Add(v); err != nil {
			return err
		}
	}
	return nil
}

// get answers with one item.
func (k collection) get(c *call) error {
	it, err := c.catalogue.Get(c.R.Context(), k.kind, c.Name())
	if err != nil {
		return request.About(k.kind, c.Name(), err)
	}
	if ok, err := request.Matches(c.R.Header, it.ETag); err != nil {
		return err
	} else if !ok {
		return request.About(k.kind, c.Name(), control.ErrPrecondition)
	}
	withStatus := c.Query("status") != "false"
	// The tag does not cover the status, so an item that has one may differ under the
	// same tag: it is always sent.
	if !withStatus || k.kind != catalog.KindCluster && k.kind != catalog.KindBucket {
		same, err := request.NotModified(c.R.Header, it.ETag)
		if err != nil {
			return err
		}
		if same {
			c.W.Header().Set("ETag", it.ETag)
			c.W.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	views, err := c.shown().views(k.kind, []control.Item{it}, withStatus)
	if err != nil {
		return err
	}
	c.W.Header().Set("ETag", it.ETag)
	return c.Reply(http.StatusOK, views[0])
}

// create answers POST to the collection.
func (k collection) create(c *call) error {
	body, err := c.Body()
	if err != nil {
		return err
	}
	res, err := k.decodeNew(c, body)
	if err != nil {
		return err
	}
	if err := draftsOf(&c.backend).fill(res, nil); err != nil {
		return err
	}
	it, err := c.catalogue.Create(c.R.Context(), res)
	if err != nil {
		return request.About(k.kind, res.ResourceName(), err)
	}
	c.W.Header().Set("Location", k.path+"/"+url.PathEscape(it.Resource.ResourceName()))
	if key, ok := it.Resource.(*catalog.Key); ok {
		return replyNewKey(c, key, it)
	}
	return k.replyChanged(c, http.StatusCreated, it)
}

// put creates or replaces an item.
func (k collection) put(c *call) error {
	name := c.Name()
	pre, err := request.Preconditions(c.R.Header)
	if err != nil {
		return err
	}
	body, err := c.Body()
	if err != nil {
		return err
	}
	d := draftsOf(&c.backend)
	res, err := d.decode(k.kind, body, name)
	if err != nil {
		return err
	}
	it, created, err := c.catalogue.Replace(c.R.Context(), res, pre, d.fill)
	if err != nil {
		return request.About(k.kind, name, err)
	}
	if created {
		c.W.Header().Set("Location", k.path+"/"+url.PathEscape(name))
		return k.replyChanged(c, http.StatusCreated, it)
	}
	return k.replyChanged(c, http.StatusOK, it)
}

// patch applies a JSON merge patch (RFC 7396) to an item.
func (k collection) patch(c *call) error {
	name := c.Name()
	if err := checkPatchType(c.R.Header.Get("Content-Type")); err != nil {
		return err
	}
	pre, err := request.Preconditions(c.R.Header)
	if err != nil {
		return err
	}
	patch, err := c.Body()
	if err != nil {
		return err
	}
	if err := checkObject(patch); err != nil {
		return err
	}
	it, err := c.catalogue.Modify(c.R.Context(), k.kind, name, pre, func(now catalog.Resource) (catalog.Resource, error) {
		return draftsOf(&c.backend).merged(now, patch)
	})
	if err != nil {
		return request.About(k.kind, name, err)
	}
	return k.replyChanged(c, http.StatusOK, it)
}

// remove deletes an item.
func (k collection) remove(c *call) error {
	pre, err := request.Preconditions(c.R.Header)
	if err != nil {
		return err
	}
	if err := c.catalogue.Delete(c.R.Context(), k.kind, c.Name(), pre); err != nil {
		return request.About(k.kind, c.Name(), err)
	}
	c.W.WriteHeader(http.StatusNoContent)
	return nil
}

// replyChanged answers a change. The change is done, so a status that can't be told is
// left out, not reported as a failure.
func (k collection) replyChanged(c *call, status int, it control.Item) error {
	views, err := c.shown().views(k.kind, []control.Item{it}, true)
	if err != nil {
		c.Log.Warn("a change is answered without the item's status", zap.Error(err))
		if views, err = c.shown().views(k.kind, []control.Item{it}, false); err != nil {
			return err
		}
	}
	if v, ok := views[0].(policyView); ok {
		v.Status = &policyStatusView{Warnings: control.Shortfalls(c.catalogue.Router().Snapshot(), v.Policy)}
		views[0] = v
	}
	c.W.Header().Set("ETag", it.ETag)
	return c.Reply(status, views[0])
}

// checkPatchType refuses the patch formats that are not merge patches. A missing type
// and curl's default for -d pass: the body has one meaning only.
func checkPatchType(contentType string) error {
	if contentType == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return request.Bad("Content-Type: %q: %v", contentType, err)
	}
	switch media {
	case "application/merge-patch+json", "application/json", "application/x-www-form-urlencoded":
		return nil
	}
	return request.Bad("Content-Type: %q: expected application/merge-patch+json or application/json", contentType)
}

// checkObject names what is wrong with a body that is not one JSON object.
func checkObject(body []byte) error {
	var doc map[string]json.RawMessage
	err := json.Unmarshal(body, &doc)
	var syntax *json.SyntaxError
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return request.Bad("the body is empty: expected a JSON object")
	case errors.As(err, &syntax):
		return request.Bad("the body is not JSON: %v at byte %d", err, syntax.Offset)
	case err != nil || doc == nil:
		return request.Bad("the body is not a JSON object")
	}
	return nil
}
