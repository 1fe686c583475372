package documents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/admin/internal/secrets"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/replication"
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

// Resources are what documents are held against, and changed.
type Resources interface {
	Catalogue(ctx context.Context) (*control.Catalogue, error)
	Apply(ctx context.Context, at *control.Catalogue, b control.Batch) (state.Seq, error)
	Holding(cluster string) []string
	CheckBalance(o catalog.RawObject) error
	List(ctx context.Context, k catalog.Kind, after string, limit int) ([]control.Item, error)
}

// Usage tells the bytes that are used in each cluster.
type Usage interface{ All() map[string]int64 }

// Engine tells what is known of the work that moves make.
type Engine interface {
	LinkRate(from, to string) float64
	Forecast(of replication.Catalogue) *replication.Forecast
}

// Handler answers one request.
type Handler struct {
	Catalogue interface {
		Resources
		Usage
		Store() state.Store
	}
	Engine Engine
	// Secrets are the placeholders that resources may use.
	Secrets catalog.SecretPatterns
	// Plans keeps what following pages are of.
	Plans *Plans
}

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
		return nil, request.Unavailable("waiting for other documents: %v", ctx.Err())
	}
}

// inDocument reads the body and has do work with it, in turn with other documents.
func inDocument(q *request.Request, do func(*document.Document) error) error {
	return inBody(q, func(format document.Format, body []byte) error {
		doc, err := document.Parse(body, format)
		if err != nil {
			return err
		}
		return do(doc)
	})
}

// inBody is inDocument for a document that may need no reading.
func inBody(q *request.Request, do func(document.Format, []byte) error) error {
	leave, err := bodyRoom.enter(q.R.Context())
	if err != nil {
		return err
	}
	defer leave()
	body, err := documentBody(q)
	if err != nil {
		return err
	}
	done, err := documentRoom.enter(q.R.Context())
	if err != nil {
		return err
	}
	defer done()
	return do(documentFormat(q.R.Header.Get("Content-Type")), body)
}

// documentBody reads the body, within a bounded time.
func documentBody(q *request.Request) ([]byte, error) {
	conn := http.NewResponseController(q.W)
	if conn.SetReadDeadline(time.Now().Add(bodyTime)) == nil { // else the server is one that can't
		defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	}
	return q.BodyUpTo(document.MaxBytes)
}

func documentFormat(contentType string) document.Format {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml":
		return document.YAML
	default:
		return document.JSON
	}
}

// prospect works out what a document would do now.
func (h *Handler) prospect(ctx context.Context, doc *document.Document, at *control.Catalogue, page document.Page) (*prospect, error) {
	changes, err := document.Compare(doc, h.base(at))
	if err != nil {
		return nil, err
	}
	outlook, err := changes.Forecast(h.world(ctx), page)
	return &prospect{at, changes, outlook}, err
}

// base is what documents are compared with.
func (h *Handler) base(at *control.Catalogue) *document.Base {
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
				secrets.Keep(r, now) // nothing of it can change
				return nil
			}
			return secrets.Fill(r, now, h.Secrets)
		},
		Redact: secrets.Redact, CheckBalance: h.Catalogue.CheckBalance, Holding: h.Catalogue.Holding,
	}
}

// world is what a forecast knows besides.
func (h *Handler) world(ctx context.Context) *document.World {
	return &document.World{
		Used: h.Catalogue.All(), Measured: h.Engine.LinkRate,
		Settling: func(cat document.Catalogue) document.Settle { return h.Engine.Forecast(cat).Settle },
		Copies: func(f func(string, []document.Row) error) error {
			return eachBucketsCopies(ctx, h.Catalogue.Store(), f)
		},
	}
}

// eachBucketsCopies streams the copies of the store, a bucket at a time.
func eachBucketsCopies(ctx context.Context, store state.Store, f func(string, []document.Row) error) error {
	bucket, rows := "", []document.Row(nil)
	err := store.Catalogue().EachCopy(ctx, func(cp state.Copy) error {
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

// Plan answers what a document would do.
func (h *Handler) Plan(q *request.Request) error {
	limit, err := q.Limit(movesListed)
	if err != nil {
		return err
	}
	var answer any
	err = inBody(q, func(format document.Format, body []byte) error {
		at, err := h.Catalogue.Catalogue(q.R.Context())
		if err != nil {
			return err
		}
		p, err := h.planPage(q, format, body, at, document.Page{After: q.Query("after"), Limit: limit})
		if err != nil {
			return err
		}
		q.W.Header().Set("ETag", revisionTag(at.Revision))
		answer = viewPlan(at.Revision, p.changes, p.outlook, q.Query("changes_after"), limit)
		return nil
	})
	if err != nil {
		return err
	}
	return q.Reply(http.StatusOK, answer)
}

// planPage returns a page of a document's plan: a following page from the plan that is kept, if it
// is still that of the catalogue.
func (h *Handler) planPage(q *request.Request, format document.Format, body []byte, at *control.Catalogue, page document.Page) (*prospect, error) {
	of := planKeyOf(format, body)
	if page.After != "" || q.Query("changes_after") != "" {
		if p := h.Plans.page(of, at, page); p != nil {
			return p, nil
		}
	}
	doc, err := document.Parse(body, format)
	if err != nil {
		return nil, err
	}
	p, err := h.prospect(q.R.Context(), doc, at, document.Page{After: page.After, Limit: max(page.Limit, plannedMoves)})
	if err != nil {
		return nil, err
	}
	h.Plans.keep(of, p)
	outlook, _ := p.outlook.Page(page)
	return &prospect{p.at, p.changes, outlook}, nil
}

func revisionTag(s state.Seq) string { return `"` + strconv.FormatInt(int64(s), 10) + `"` }

// Apply makes a document's changes.
func (h *Handler) Apply(q *request.Request) error {
	tags, err := request.IfMatch(q.R.Header)
	if err != nil {
		return err
	}
	var answer Applied
	err = inDocument(q, func(doc *document.Document) error {
		for attempt := 1; ; attempt++ {
			p, revision, err := h.applyOnce(q.R.Context(), doc, tags)
			if errors.Is(err, control.ErrPrecondition) && tags == nil && attempt < applyAttempts {
				continue
			}
			if err != nil {
				return err
			}
			q.W.Header().Set("ETag", revisionTag(revision))
			answer = Applied{Revision: revision, Changes: len(p.changes.Changes), Moves: viewMoves(&p.outlook.Moves)}
			return nil
		}
	})
	if err != nil {
		return err
	}
	return q.Reply(http.StatusOK, answer)
}

func (h *Handler) applyOnce(ctx context.Context, doc *document.Document, tags []string) (*prospect, state.Seq, error) {
	at, err := h.Catalogue.Catalogue(ctx)
	if err != nil {
		return nil, 0, err
	}
	if tags != nil && !slices.Contains(tags, "*") && !slices.Contains(tags, revisionTag(at.Revision)) {
		return nil, 0, fmt.Errorf("the catalogue's revision is %d: %w", at.Revision, control.ErrPrecondition)
	}
	p, err := h.prospect(ctx, doc, at, document.Page{Limit: movesListed})
	if err != nil {
		return nil, 0, err
	}
	if p.outlook.Blocked {
		return nil, 0, blockedBy(p.outlook.Violations)
	}
	revision, err := h.Catalogue.Apply(ctx, at, batchOf(p.changes.Changes))
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
	return request.Fail(http.StatusConflict, errors.New("the document can't be applied: "+strings.Join(why, "; ")))
}
