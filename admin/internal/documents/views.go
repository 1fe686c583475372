package documents

import (
	"encoding/json"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/document"
	"github.com/fado-project/fado/state"
)

// Document is a document, as it is read and written.
type Document struct {
	// The version of the language: 1.
	Fado     int                `json:"fado"`
	Zones    []*catalog.Zone    `json:"zones,omitempty"`    // zones as the API has them
	Clusters []*catalog.Cluster `json:"clusters,omitempty"` // clusters as the API has them
	Policies []*catalog.Policy  `json:"policies,omitempty"` // policies as the API has them
	Buckets  []*catalog.Bucket  `json:"buckets,omitempty"`  // buckets as the API has them
	// Names of what should not be there.
	Delete *deleteView `json:"delete,omitempty"`
	// Whether resources made by the API that the document does not name should not be there.
	// Data is never removed.
	Prune bool `json:"prune,omitempty"`
}

type deleteView struct {
	Zones    []string `json:"zones,omitempty"`    // names of zones
	Clusters []string `json:"clusters,omitempty"` // names of clusters
	Policies []string `json:"policies,omitempty"` // names of policies
	Buckets  []string `json:"buckets,omitempty"`  // names of buckets
}

// Plan is what a document would do.
type Plan struct {
	// Revision of the catalogue that the plan was made for.
	Revision state.Seq    `json:"revision"`
	Changes  []changeView `json:"changes"` // what would be created, changed or deleted
	// How many changes there are in all.
	ChangesTotal int `json:"changes_total"`
	// What to give as changes_after for the following page, empty at the end.
	ChangesNext string          `json:"changes_next"`
	Moves       movesView       `json:"moves"`      // the data that would move
	Violations  []violationView `json:"violations"` // what is not as policies or prices want it
	Routes      routesView      `json:"routes"`     // what changes for invocations
	// Whether a violation keeps the document from being applied.
	Blocked bool `json:"blocked"`
}

type changeView struct {
	Kind   catalog.Kind    `json:"kind"`   // of the resource
	Name   string          `json:"name"`   // of the resource
	Action document.Action `json:"action"` // what would happen to it
	// What differs; empty for a deletion.
	Fields []fieldView `json:"fields"`
}

type fieldView struct {
	Path string          `json:"path"` // the field, as in the resource's JSON
	From json.RawMessage `json:"from"` // its value now
	To   json.RawMessage `json:"to"`   // its value then
}

type movesView struct {
	Total   moveTotalView    `json:"total"`   // of all buckets, whatever page this is
	Removed removedView      `json:"removed"` // copies that would go
	Links   []linkLoadView   `json:"links"`   // what each link would carry
	Buckets []bucketMoveView `json:"buckets"` // a page of the buckets whose data would move
	// What to give as after for the following page, empty at the end.
	Next string `json:"next"`
}

type moveTotalView struct {
	Buckets int64 `json:"buckets"` // buckets whose data would move
	Copies  int64 `json:"copies"`  // copies to make
	Objects int64 `json:"objects"` // objects to copy
	Bytes   int64 `json:"bytes"`   // bytes to copy
	// Whether not all of the data was counted.
	Estimated bool        `json:"estimated"`
	Seconds   secondsView `json:"seconds"` // how long it would take
	// What copying costs, in the currency of the prices.
	Egress float64 `json:"egress"`
	// What is paid more for storage, or less where it is negative.
	StoragePerMonth float64 `json:"storage_per_month"`
}

type secondsView struct {
	Low  float64 `json:"low"`  // at best
	High float64 `json:"high"` // at worst
}

type removedView struct {
	Copies  int64 `json:"copies"`  // how many
	Objects int64 `json:"objects"` // their objects
	Bytes   int64 `json:"bytes"`   // their bytes
}

type linkLoadView struct {
	From  string `json:"from"`  // the cluster read from
	To    string `json:"to"`    // the cluster written to
	Bytes int64  `json:"bytes"` // bytes over the link
	// Bytes per second, and where that is known from.
	Rate       float64             `json:"rate"`
	RateSource document.RateSource `json:"rate_source"` // whether the rate was measured, declared or assumed
	Seconds    float64             `json:"seconds"`     // how long that takes at the rate
	Egress     float64             `json:"egress"`      // what it costs, in the currency of the prices
}

type bucketMoveView struct {
	Bucket string   `json:"bucket"` // the bucket's name
	Prefix string   `json:"prefix"` // the prefix of its rule; "" for the bucket's own
	Add    []string `json:"add"`    // clusters that would get a copy
	Remove []string `json:"remove"` // clusters whose copy would go
	// Where the bucket is written before and after; null where that stays.
	Primary *PrimaryMove `json:"primary"`
	// Objects and bytes of one copy, of which each added cluster gets one.
	Objects int64   `json:"objects"`
	Bytes   int64   `json:"bytes"`   // bytes of one copy
	Seconds float64 `json:"seconds"` // how long its copies would take
	Egress  float64 `json:"egress"`  // what they would cost
}

type PrimaryMove struct {
	From string `json:"from"` // where the bucket is written now
	To   string `json:"to"`   // where it would be written
}

type violationView struct {
	Kind     document.IssueKind `json:"kind"`     // what is violated
	Resource string             `json:"resource"` // the resource it is about
	Detail   string             `json:"detail"`   // a sentence
	Blocking bool               `json:"blocking"` // whether it keeps the document from being applied
}

type routesView struct {
	// Rules whose clusters that hold the data and can run invocations are others.
	Changed int64 `json:"changed"`
	// Rules that have such a cluster.
	Local beforeAfterView `json:"local"`
	// Rules whose invocations are refused.
	Refused  beforeAfterView    `json:"refused"`
	Examples []routeExampleView `json:"examples"` // some of the rules that change
}

type beforeAfterView struct {
	Before int64 `json:"before"` // how many now
	After  int64 `json:"after"`  // how many then
}

type routeExampleView struct {
	Bucket string   `json:"bucket"` // the bucket's name
	Prefix string   `json:"prefix"` // the prefix of its rule; "" for the bucket's own
	Before []string `json:"before"` // clusters that hold it and run functions now
	After  []string `json:"after"`  // the same, then
}

// Applied is what a document did.
type Applied struct {
	// Revision of the catalogue from now on.
	Revision state.Seq `json:"revision"`
	// How many resources were created, changed or deleted.
	Changes int       `json:"changes"`
	Moves   movesView `json:"moves"` // the data that moves
}

func viewPlan(revision state.Seq, c *document.Comparison, o *document.Outlook, after string, limit int) Plan {
	changes, next := c.Page(after, limit)
	v := Plan{
		Revision: revision, Changes: make([]changeView, 0, len(changes)), ChangesTotal: len(c.Changes), ChangesNext: next, Moves: viewMoves(&o.Moves),
		Violations: make([]violationView, 0, len(o.Violations)), Routes: viewRoutes(&o.Routes), Blocked: o.Blocked,
	}
	for i := range changes {
		ch := &changes[i]
		fields := c.Fields(ch)
		cv := changeView{Kind: ch.Kind, Name: ch.Name, Action: ch.Action, Fields: make([]fieldView, 0, len(fields))}
		for _, f := range fields {
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
			bv.Primary = &PrimaryMove{b.From, b.To}
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
