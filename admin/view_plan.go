package admin

import (
	"encoding/json"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/state"
)

// documentView is a document, as it is read and written.
type documentView struct {
	// The version of the language: 1.
	Fado     int                `json:"fado"`
	Zones    []*catalog.Zone    `json:"zones,omitempty"`
	Clusters []*catalog.Cluster `json:"clusters,omitempty"`
	Policies []*catalog.Policy  `json:"policies,omitempty"`
	Buckets  []*catalog.Bucket  `json:"buckets,omitempty"`
	// Names of what should not be there.
	Delete *deleteView `json:"delete,omitempty"`
	// Whether resources made by the API that the document does not name should not be there.
	// Data is never removed.
	Prune bool `json:"prune,omitempty"`
}

type deleteView struct {
	Zones    []string `json:"zones,omitempty"`
	Clusters []string `json:"clusters,omitempty"`
	Policies []string `json:"policies,omitempty"`
	Buckets  []string `json:"buckets,omitempty"`
}

// planView is what a document would do.
type planView struct {
	// Revision of the catalogue that the plan was made for.
	Revision   state.Seq       `json:"revision"`
	Changes    []changeView    `json:"changes"`
	Moves      movesView       `json:"moves"`
	Violations []violationView `json:"violations"`
	Routes     routesView      `json:"routes"`
	// Whether a violation keeps the document from being applied.
	Blocked bool `json:"blocked"`
}

type changeView struct {
	Kind   catalog.Kind    `json:"kind"`
	Name   string          `json:"name"`
	Action document.Action `json:"action"`
	// What differs; empty for a deletion.
	Fields []fieldView `json:"fields"`
}

type fieldView struct {
	Path string          `json:"path"`
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

type movesView struct {
	Total   moveTotalView    `json:"total"`
	Removed removedView      `json:"removed"`
	Links   []linkLoadView   `json:"links"`
	Buckets []bucketMoveView `json:"buckets"`
	// What to give as after for the following page, empty at the end.
	Next string `json:"next"`
}

type moveTotalView struct {
	Buckets int64 `json:"buckets"`
	Copies  int64 `json:"copies"`
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Whether not all of the data was counted.
	Estimated bool        `json:"estimated"`
	Seconds   secondsView `json:"seconds"`
	// What copying costs, in the currency of the prices.
	Egress float64 `json:"egress"`
	// What is paid more for storage, or less where it is negative.
	StoragePerMonth float64 `json:"storage_per_month"`
}

type secondsView struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

type removedView struct {
	Copies  int64 `json:"copies"`
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

type linkLoadView struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Bytes int64  `json:"bytes"`
	// Bytes per second, and where that is known from.
	Rate       float64             `json:"rate"`
	RateSource document.RateSource `json:"rate_source"`
	Seconds    float64             `json:"seconds"`
	Egress     float64             `json:"egress"`
}

type bucketMoveView struct {
	Bucket string   `json:"bucket"`
	Prefix string   `json:"prefix"`
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
	// Where the bucket is written before and after; null where that stays.
	Primary *primaryMoveView `json:"primary"`
	// Objects and bytes of one copy, of which each added cluster gets one.
	Objects int64   `json:"objects"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	Egress  float64 `json:"egress"`
}

type primaryMoveView struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type violationView struct {
	Kind     document.IssueKind `json:"kind"`
	Resource string             `json:"resource"`
	Detail   string             `json:"detail"`
	Blocking bool               `json:"blocking"`
}

type routesView struct {
	// Rules whose clusters that hold the data and can run invocations are others.
	Changed int64 `json:"changed"`
	// Rules that have such a cluster.
	Local beforeAfterView `json:"local"`
	// Rules whose invocations are refused.
	Refused  beforeAfterView    `json:"refused"`
	Examples []routeExampleView `json:"examples"`
}

type beforeAfterView struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

type routeExampleView struct {
	Bucket string   `json:"bucket"`
	Prefix string   `json:"prefix"`
	Before []string `json:"before"`
	After  []string `json:"after"`
}

// appliedView is what a document did.
type appliedView struct {
	// Revision of the catalogue from now on.
	Revision state.Seq `json:"revision"`
	// How many resources were created, changed or deleted.
	Changes int       `json:"changes"`
	Moves   movesView `json:"moves"`
}

func viewPlan(revision state.Seq, c *document.Comparison, o *document.Outlook) planView {
	v := planView{
		Revision: revision, Changes: make([]changeView, 0, len(c.Changes)), Moves: viewMoves(&o.Moves),
		Violations: make([]violationView, 0, len(o.Violations)), Routes: viewRoutes(&o.Routes), Blocked: o.Blocked,
	}
	for _, ch := range c.Changes {
		cv := changeView{Kind: ch.Kind, Name: ch.Name, Action: ch.Action, Fields: make([]fieldView, 0, len(ch.Fields))}
		for _, f := range ch.Fields {
			cv.Fields = append(cv.Fields, fieldView(f))
		}
		v.Changes = append(v.Changes, cv)
	}
	for _, i := range o.Violations {
		v.Violations = append(v.Violations, violationView(i))
	}
	return v
}

func viewMoves(m *document.Moves) movesView {
	t := &m.Total
	v := movesView{
		Total: moveTotalView{
			Buckets: t.Buckets, Copies: t.Copies, Objects: t.Objects, Bytes: t.Bytes, Estimated: t.Estimated,
			Seconds: secondsView{t.SecondsLow, t.SecondsHigh}, Egress: t.Egress, StoragePerMonth: t.StoragePerMonth,
		},
		Removed: removedView(m.Removed), Links: make([]linkLoadView, 0, len(m.Links)),
		Buckets: make([]bucketMoveView, 0, len(m.Buckets)), Next: m.Next,
	}
	for _, l := range m.Links {
		v.Links = append(v.Links, linkLoadView(l))
	}
	for _, b := range m.Buckets {
		bv := bucketMoveView{
			Bucket: b.Bucket, Prefix: b.Prefix, Add: b.Add, Remove: b.Remove,
			Objects: b.Objects, Bytes: b.Bytes, Seconds: b.Seconds, Egress: b.Egress,
		}
		if b.From != b.To {
			bv.Primary = &primaryMoveView{b.From, b.To}
		}
		v.Buckets = append(v.Buckets, bv)
	}
	return v
}

func viewRoutes(r *document.Routes) routesView {
	v := routesView{
		Changed: r.Changed, Local: beforeAfterView{r.LocalBefore, r.LocalAfter},
		Refused: beforeAfterView{r.RefusedBefore, r.RefusedAfter}, Examples: make([]routeExampleView, 0, len(r.Examples)),
	}
	for _, e := range r.Examples {
		v.Examples = append(v.Examples, routeExampleView(e))
	}
	return v
}
