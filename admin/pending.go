package admin

import (
	"net/http"
	"strings"

	"github.com/fado-project/fado/admin/internal/backlog"
	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// defaultPending is how many rows a page has where no limit is given.
const defaultPending = 200

// pendingOf answers with the rows of a bucket.
func pendingOf(c *call) error {
	f := state.PendingFilter{Cluster: c.Query("cluster")}
	rows, next, err := c.pendingPage(f)
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, backlog.PendingPageView{Pending: views(rows, backlog.ViewPending), Next: next})
}

// heldDeletes answers with the deletes that the breaker holds.
func heldDeletes(c *call) error {
	hold := state.HoldDeletes
	rows, next, err := c.pendingPage(state.PendingFilter{Hold: &hold})
	if err != nil {
		return err
	}
	all, err := c.catalogue.Store().Catalogue().CopiesOf(c.R.Context(), c.Name())
	if err != nil {
		return err
	}
	logs, err := c.catalogue.Store().Queue().Backlogs(c.R.Context(), c.Name())
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, backlog.HeldDeletesView{
		Bound: backlog.MaxDeletesView(c.engine.decisions.MaxDeletes()), Copies: backlog.HeldCopies(all, logs), Next: next,
		Deletes: views(rows, func(r state.Pending) backlog.HeldDeleteView {
			return backlog.HeldDeleteView{Key: r.Key, Cluster: replication.HeldIn(r, all), Size: r.Size, Since: r.Since}
		}),
	})
}

// pendingPage reads a page of the bucket's rows, and says where the next one begins.
func (c *call) pendingPage(f state.PendingFilter) (rows []state.Pending, next string, err error) {
	f.Bucket = c.Name()
	if _, err := c.catalogue.Get(c.R.Context(), catalog.KindBucket, f.Bucket); err != nil {
		return nil, "", request.About(catalog.KindBucket, f.Bucket, err)
	}
	limit, err := c.Limit(defaultPending)
	if err != nil {
		return nil, "", err
	}
	after := state.PendingKey{Bucket: f.Bucket}
	if text := c.Query("after"); text != "" {
		var ok bool
		if after.Cluster, after.Key, ok = strings.Cut(text, "/"); !ok {
			return nil, "", request.Bad("query parameter \"after\": %q: expected what the page before has as next", text)
		}
	}
	if rows, err = c.catalogue.Store().Queue().ListPending(c.R.Context(), f, after, limit); err != nil {
		return nil, "", err
	}
	if len(rows) == limit {
		last := rows[limit-1]
		next = last.Cluster + "/" + last.Key
	}
	return rows, next, nil
}

var pageParam = parameter{name: "after", doc: "What the page before has as next."}

func heldDeletesOperation(base string) operation {
	return operation{
		name: "held-deletes", method: http.MethodGet, pattern: base + "/deletes", role: roleViewer, handle: heldDeletes,
		params:  []parameter{pageParam, limitParam},
		summary: "The deletes that max_deletes holds back, and the bounds.",
		replies: []reply{{status: 200, doc: "A page.", body: backlog.HeldDeletesView{}}}, errors: []int{400, 404, 503},
	}
}

func pendingOperation(base string) operation {
	return operation{
		name: "pending", method: http.MethodGet, pattern: base + "/pending", role: roleViewer, handle: pendingOf,
		params:  []parameter{{name: "cluster", doc: "Only those of this cluster."}, pageParam, limitParam},
		summary: "The objects known to differ from the primary's, with why they wait and when they are tried next.",
		replies: []reply{{status: 200, doc: "A page.", body: backlog.PendingPageView{}}}, errors: []int{400, 404, 503},
	}
}
