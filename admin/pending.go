package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/admin/internal/clusters"
	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/state"
)

// defaultPending is how many rows a page has where no limit is given.
const defaultPending = 200

// pendingPageView answers GET /fado/buckets/{name}/pending.
type pendingPageView struct {
	// The rows, by key and cluster.
	Pending []pendingRowView `json:"pending"`
	// What to give as after for the next page; "" at the end.
	Next string `json:"next"`
}

// pendingRowView is an object known to differ in one cluster.
type pendingRowView struct {
	Key     string    `json:"key"`     // the object's key
	Cluster string    `json:"cluster"` // where it differs
	Size    int64     `json:"size"`    // its bytes, as far as known
	Since   time.Time `json:"since"`   // since when
	// Why it is not worked on: conflict, deletes (both wait for people), or "".
	Hold     string `json:"hold"`
	Attempts int    `json:"attempts"` // how many failed
	// When it is tried next; null where that is now, or waits for people.
	NextAttempt *time.Time `json:"next_attempt"`
	Error       string     `json:"error"`      // why the last attempt failed
	Cause       string     `json:"cause"`      // the kind of error, of those that metrics count; "" where it is not known
	Background  bool       `json:"background"` // whether a comparison found it; such rows come after others
	Node        string     `json:"node"`       // the instance that works on it; "" for none
}

// heldDeletesView answers GET /fado/buckets/{name}/deletes.
type heldDeletesView struct {
	// The bounds that the deletes of a copy exceeded: each that is given.
	Bound maxDeletesView `json:"bound"`
	// The copies whose deletes are held.
	Copies []heldCopyView `json:"copies"`
	// Some of the deletes, by key and cluster.
	Deletes []heldDeleteView `json:"deletes"`
	// What to give as after for the next page; "" at the end.
	Next string `json:"next"`
}

type maxDeletesView struct {
	Objects int64   `json:"objects"` // deletes within ten minutes; 0: any number
	Percent float64 `json:"percent"` // the same, of the copy's objects; 0: any part
}

// heldCopyView is a copy whose deletes are held.
type heldCopyView struct {
	Cluster string `json:"cluster"` // where it is
	Held    int64  `json:"held"`    // deletes known so far
	Objects int64  `json:"objects"` // objects of the copy, as of its last comparison
	// When the first of the held deletes was noticed; null where none is known yet.
	Since *time.Time `json:"since"`
}

// heldDeleteView is a delete that is held.
type heldDeleteView struct {
	Key     string    `json:"key"`     // the object's key
	Cluster string    `json:"cluster"` // the copy that still has it
	Size    int64     `json:"size"`    // its bytes, as far as known
	Since   time.Time `json:"since"`   // when its delete was noticed
}

// pendingOf answers with the rows of a bucket.
func pendingOf(c *call) error {
	f := state.PendingFilter{Cluster: c.Query("cluster")}
	rows, next, err := c.pendingPage(f)
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, pendingPageView{Pending: views(rows, viewPendingRow), Next: next})
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
	copies, err := c.heldCopies(all)
	if err != nil {
		return err
	}
	return c.Reply(http.StatusOK, heldDeletesView{
		Bound: maxDeletesView(c.engine.decisions.MaxDeletes()), Copies: copies, Next: next,
		Deletes: views(rows, func(r state.Pending) heldDeleteView {
			return heldDeleteView{r.Key, replication.HeldIn(r, all), r.Size, r.Since}
		}),
	})
}

// heldCopies are the copies of the bucket whose deletes are held.
func (c *call) heldCopies(rows []state.Copy) ([]heldCopyView, error) {
	logs, err := c.catalogue.Store().Queue().Backlogs(c.R.Context(), c.Name())
	if err != nil {
		return nil, err
	}
	held := []heldCopyView{}
	for _, l := range logs {
		marked := slices.ContainsFunc(rows, func(r state.Copy) bool { return r.Cluster == l.Cluster && r.HeldDeletes })
		if l.HeldDeletes == 0 && !marked {
			continue
		}
		v := heldCopyView{Cluster: l.Cluster, Held: l.HeldDeletes, Since: clusters.Moment(l.OldestHeld)}
		for _, r := range rows {
			if r.Cluster == l.Cluster {
				v.Objects += r.Objects
			}
		}
		held = append(held, v)
	}
	return held, nil
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

func viewPendingRow(r state.Pending) pendingRowView {
	v := pendingRowView{
		Key: r.Key, Cluster: r.Cluster, Size: r.Size, Since: r.Since, Hold: string(r.Hold), Attempts: r.Attempts,
		Error: r.Error, Cause: string(r.Cause), Background: r.Background, Node: r.ClaimedBy,
	}
	if !r.NextAttempt.IsZero() && r.Hold == state.HoldNone {
		v.NextAttempt = &r.NextAttempt
	}
	return v
}

var pageParam = parameter{name: "after", doc: "What the page before has as next."}

func heldDeletesOperation(base string) operation {
	return operation{
		name: "held-deletes", method: http.MethodGet, pattern: base + "/deletes", role: roleViewer, handle: heldDeletes,
		params:  []parameter{pageParam, limitParam},
		summary: "The deletes that max_deletes holds back, and the bounds.",
		replies: []reply{{status: 200, doc: "A page.", body: heldDeletesView{}}}, errors: []int{400, 404, 503},
	}
}

func pendingOperation(base string) operation {
	return operation{
		name: "pending", method: http.MethodGet, pattern: base + "/pending", role: roleViewer, handle: pendingOf,
		params:  []parameter{{name: "cluster", doc: "Only those of this cluster."}, pageParam, limitParam},
		summary: "The objects known to differ from the primary's, with why they wait and when they are tried next.",
		replies: []reply{{status: 200, doc: "A page.", body: pendingPageView{}}}, errors: []int{400, 404, 503},
	}
}
