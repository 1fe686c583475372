package admin

import (
	"net/http"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
)

// promoteBucket has a prepared move of a bucket's primary happen.
func promoteBucket(c *call) error {
	name, ctx := c.Name(), c.R.Context()
	pre, err := request.Preconditions(c.R.Header)
	if err != nil {
		return err
	}
	all, err := c.catalogue.Buckets(ctx, name)
	if err != nil {
		return request.About(catalog.KindBucket, name, err)
	}
	st, known := all[name]
	if known && (st.Promotion == nil || !st.Promotion.Ready) {
		why := `no move of the primary is prepared; PATCH it with {"primary": "<cluster>", "promote": "manual"} first`
		if st.Promotion != nil {
			why = "the move to " + st.Promotion.To + " is not ready: " + st.Promotion.Reason
		}
		return request.Refused("bucket %q: %s", name, why)
	}
	it, err := c.catalogue.Modify(ctx, catalog.KindBucket, name, pre, func(now catalog.Resource) (catalog.Resource, error) {
		b := now.(*catalog.Bucket)
		if known && (b.Promote != catalog.PromoteManual || b.Primary != st.Promotion.To) {
			return nil, request.Refused("bucket %q: it was changed meanwhile", name)
		}
		b.Promote = ""
		return b, nil
	})
	if err != nil {
		return request.About(catalog.KindBucket, name, err)
	}
	return collection{catalog.KindBucket, "/fado/buckets"}.replyChanged(c, http.StatusAccepted, it)
}
