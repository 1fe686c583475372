package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/state"
)

const (
	// movesListed is how many moves a plan lists where none is said.
	movesListed = 1000
	// applyAttempts is how often an apply without a revision begins again when the catalogue
	// changes meanwhile.
	applyAttempts = 5
)

// bodyTime is how long a client may take to send a document, where its server sets no bound.
const bodyTime = time.Minute

var (
	// documentRoom bounds how many documents are worked on at a time: each may take some hundred
	// megabytes. No client holds a place of it by being slow.
	documentRoom = make(room, 2)
	// bodyRoom bounds how many documents are held or read at a time.
	bodyRoom = make(room, 8)
)

// room bounds how many do something at a time.
type room chan struct{}

// enter waits for a place; leave gives it back.
func (r room) enter(ctx context.Context) (leave func(), err error) {
	select {
	case r <- struct{}{}:
		return func() { <-r }, nil
	case <-ctx.Done():
		return nil, unavailable("waiting for other documents: %v", ctx.Err())
	}
}

// inDocument reads the body and has do work with it, in turn with other documents.
func (c *call) inDocument(do func(*document.Document) error) error {
	return c.inBody(func(format document.Format, body []byte) error {
		doc, err := document.Parse(body, format)
		if err != nil {
			return err
		}
		return do(doc)
	})
}

// inBody is inDocument for a document that may need no reading.
func (c *call) inBody(do func(document.Format, []byte) error) error {
	leave, err := bodyRoom.enter(c.r.Context())
	if err != nil {
		return err
	}
	defer leave()
	body, err := c.documentBody()
	if err != nil {
		return err
	}
	done, err := documentRoom.enter(c.r.Context())
	if err != nil {
		return err
	}
	defer done()
	return do(documentFormat(c.r.Header.Get("Content-Type")), body)
}

// documentBody reads the body, within a bounded time.
func (c *call) documentBody() ([]byte, error) {
	conn := http.NewResponseController(c.w)
	if conn.SetReadDeadline(time.Now().Add(bodyTime)) == nil { // else the server is one that can't
		defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	}
	return c.bodyUpTo(document.MaxBytes)
}

func documentFormat(contentType string) document.Format {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case mediaYAML, "application/x-yaml", "text/yaml", "text/x-yaml":
		return document.YAML
	default:
		return document.JSON
	}
}

// prospect is a document held against one version of the catalogue.
type prospect struct {
	at      *control.Catalogue
	changes *document.Comparison
	outlook *document.Outlook
}

// prospect works out what a document would do now.
func (c *call) prospect(doc *document.Document, at *control.Catalogue, page document.Page) (*prospect, error) {
	changes, err := document.Compare(doc, c.base(at))
	if err != nil {
		return nil, err
	}
	outlook, err := changes.Forecast(c.world(), page)
	return &prospect{at, changes, outlook}, err
}

// base is what documents are compared with.
func (c *call) base(at *control.Catalogue) *document.Base {
	return &document.Base{
		Catalogue: at.Snapshot,
		Owner: func(k catalog.Kind, name string) document.Owner {
			switch at.Origin(k, name) {
			case control.OriginConfig:
				return document.Configuration
			case control.OriginAPI:
				return document.API
			default:
				return document.Nobody
			}
		},
		Complete: func(r, now catalog.Resource) []catalog.Violation {
			if at.Origin(r.ResourceKind(), r.ResourceName()) == control.OriginConfig {
				keepSecrets(r, now) // nothing of it can change
				return nil
			}
			return fillSecrets(r, now, c.secrets)
		},
		Redact: redact, CheckBalance: c.catalogue.CheckBalance, Holding: c.catalogue.Holding,
	}
}

// keepSecrets puts the declared value where a client sent "***".
func keepSecrets(r, now catalog.Resource) {
	cl, ok := r.(*catalog.Cluster)
	old, _ := now.(*catalog.Cluster)
	if ok && old != nil && cl.Storage != nil && old.Storage != nil && cl.Storage.SecretKey == redacted {
		cl.Storage.SecretKey = old.Storage.SecretKey
	}
}

// world is what a forecast knows besides.
func (c *call) world() *document.World {
	return &document.World{
		Used: c.catalogue.All(), Measured: c.engine.LinkRate,
		Settling: func(cat document.Catalogue) document.Settle { return c.engine.Forecast(cat).Settle },
		Copies: func(f func(string, []document.Row) error) error {
			return eachBucketsCopies(c.r.Context(), c.catalogue.Store(), f)
		},
	}
}

// eachBucketsCopies streams the copies of the store, a bucket at a time.
func eachBucketsCopies(ctx context.Context, store state.Store, f func(string, []document.Row) error) error {
	bucket, rows := "", []document.Row(nil)
	err := store.EachCopy(ctx, func(cp state.Copy) error {
		if cp.Bucket != bucket && len(rows) > 0 {
			if err := f(bucket, rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
		bucket = cp.Bucket
		rows = append(rows, document.Row{Copy: cp.Routed(), Objects: cp.Objects, Bytes: cp.Bytes, Counted: !cp.VerifiedAt.IsZero()})
		return nil
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	return f(bucket, rows)
}

// planDocument answers what a document would do.
func planDocument(c *call) error {
	limit, err := c.limit(movesListed)
	if err != nil {
		return err
	}
	var answer any
	err = c.inBody(func(format document.Format, body []byte) error {
		at, err := c.catalogue.Catalogue(c.r.Context())
		if err != nil {
			return err
		}
		p, err := c.planPage(format, body, at, document.Page{After: c.query("after"), Limit: limit})
		if err != nil {
			return err
		}
		c.w.Header().Set("ETag", revisionTag(at.Revision))
		answer = viewPlan(at.Revision, p.changes, p.outlook, c.query("changes_after"), limit)
		return nil
	})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, answer)
}

// planPage returns a page of a document's plan: a following page from the plan that is kept, if it
// is still that of the catalogue.
func (c *call) planPage(format document.Format, body []byte, at *control.Catalogue, page document.Page) (*prospect, error) {
	of := planKeyOf(format, body)
	if page.After != "" || c.query("changes_after") != "" {
		if p := c.planned.page(of, at, page); p != nil {
			return p, nil
		}
	}
	doc, err := document.Parse(body, format)
	if err != nil {
		return nil, err
	}
	p, err := c.prospect(doc, at, document.Page{After: page.After, Limit: max(page.Limit, plannedMoves)})
	if err != nil {
		return nil, err
	}
	c.planned.keep(of, p)
	outlook, _ := p.outlook.Page(page)
	return &prospect{p.at, p.changes, outlook}, nil
}

func revisionTag(s state.Seq) string { return `"` + strconv.FormatInt(int64(s), 10) + `"` }

// applyDocument makes a document's changes.
func applyDocument(c *call) error {
	tags, err := ifMatch(c.r.Header)
	if err != nil {
		return err
	}
	var answer appliedView
	err = c.inDocument(func(doc *document.Document) error {
		for attempt := 1; ; attempt++ {
			p, revision, err := c.applyOnce(doc, tags)
			if errors.Is(err, control.ErrPrecondition) && tags == nil && attempt < applyAttempts {
				continue
			}
			if err != nil {
				return err
			}
			c.w.Header().Set("ETag", revisionTag(revision))
			answer = appliedView{Revision: revision, Changes: len(p.changes.Changes), Moves: viewMoves(&p.outlook.Moves)}
			return nil
		}
	})
	if err != nil {
		return err
	}
	return c.reply(http.StatusOK, answer)
}

func (c *call) applyOnce(doc *document.Document, tags []string) (*prospect, state.Seq, error) {
	at, err := c.catalogue.Catalogue(c.r.Context())
	if err != nil {
		return nil, 0, err
	}
	if tags != nil && !slices.Contains(tags, "*") && !slices.Contains(tags, revisionTag(at.Revision)) {
		return nil, 0, fmt.Errorf("the catalogue's revision is %d: %w", at.Revision, control.ErrPrecondition)
	}
	p, err := c.prospect(doc, at, document.Page{Limit: movesListed})
	if err != nil {
		return nil, 0, err
	}
	if p.outlook.Blocked {
		return nil, 0, blockedBy(p.outlook.Violations)
	}
	revision, err := c.catalogue.Apply(c.r.Context(), at, batchOf(p.changes.Changes))
	return p, revision, err
}

func batchOf(changes []document.Change) (b control.Batch) {
	for _, ch := range changes {
		if ch.Action == document.Delete {
			b.Deletes = append(b.Deletes, state.Ref{Kind: ch.Kind, Name: ch.Name})
		} else {
			b.Puts = append(b.Puts, ch.Resource)
		}
	}
	return b
}

// blockedBy refuses a document because of what it would break.
func blockedBy(issues []document.Issue) error {
	var why []string
	for _, i := range issues {
		if i.Blocking {
			why = append(why, fmt.Sprintf("%s: %s: %s", i.Resource, i.Kind, i.Detail))
		}
	}
	return &requestError{http.StatusConflict, errors.New("the document can't be applied: " + strings.Join(why, "; "))}
}
