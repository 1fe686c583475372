package document

import (
	"cmp"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// Row is a copy that there is, with what is known of its data.
type Row struct {
	catalog.Copy
	Objects, Bytes int64
	// Counted says that Objects and Bytes were counted once.
	Counted bool
}

// Settle returns the copies that a bucket has once everything was done that a catalogue
// asks for, and what stands in the way of what its policies want. Rules are sorted by prefix.
type Settle func(b *catalog.Bucket, rules []catalog.PrefixRule, copies []catalog.Copy) (settled []catalog.Copy, issue string)

// World is what a forecast knows besides the catalogue.
type World struct {
	// Settling returns what settles buckets under a catalogue.
	Settling func(Catalogue) Settle
	// Copies calls f with the copies of every bucket that has some, buckets sorted by name.
	Copies func(f func(bucket string, rows []Row) error) error
	// Used are the bytes in each cluster's storage, where known.
	Used map[string]int64
	// Measured returns the bytes per second that were measured between two clusters, 0 where
	// nothing was. Nil: nothing was.
	Measured func(from, to string) float64
}

// Page is the part of the moves that is listed one by one.
type Page struct {
	// After is the Key of the last move of the page before, "" for the first page.
	After string
	// Limit is the most moves listed.
	Limit int
}

// Outlook is what a document's changes would bring about.
type Outlook struct {
	Moves      Moves
	Violations []Issue
	// Blocked says that a violation blocks, whether it is listed or not.
	Blocked bool
	Routes  Routes

	after string // the Key that the moves listed come after
}

// Moves is what has to be copied and removed.
type Moves struct {
	Total   Total
	Removed Removed
	// Links are sorted by From and To.
	Links []LinkLoad
	// Buckets are one page of the buckets and prefixes that move, sorted; Next is the page's
	// last Key, "" if there is nothing after it.
	Buckets []Move
	Next    string
}

// Total sums what is copied. Copies counts those that rules have not had yet: keys whose rule
// ends may have to be copied to copies that there are.
type Total struct {
	Buckets, Copies, Objects, Bytes int64
	// Estimated says that not all of the data was counted.
	Estimated bool
	// Seconds are the least and the most that copying is expected to take.
	SecondsLow, SecondsHigh float64
	// Egress is what copying costs, StoragePerMonth what is paid more (or less) for storage.
	Egress, StoragePerMonth float64
}

// Removed sums what is removed.
type Removed struct{ Copies, Objects, Bytes int64 }

// Move is what one rule of a bucket moves.
type Move struct {
	Bucket, Prefix string
	// Add and Remove are clusters, sorted: those that get the keys and those that lose them.
	Add, Remove []string
	// From and To are the clusters that the bucket is written in, where that changes.
	From, To string
	// Objects and Bytes are those of one copy, of which each added cluster gets one.
	Objects, Bytes  int64
	Seconds, Egress float64

	policy string
	// source is the rule that has the keys now; partly says that it has others, too, or that
	// some of its own leave it. joins says that the rule is no more.
	source        string
	partly, joins bool
}

// Key names a move, as the end of a page.
func (m *Move) Key() string { return m.Bucket + "/" + m.Prefix }

// Issue is something that the changes would break, or leave short of what is asked for.
type Issue struct {
	Kind     IssueKind
	Resource string
	Detail   string
	// Blocking says that the changes are refused because of it.
	Blocking bool
}

// Page returns an outlook with another page of its moves, and false if they are not among those
// that it lists.
func (o *Outlook) Page(p Page) (*Outlook, bool) {
	moves := o.Moves.Buckets
	for len(moves) > 0 && p.after(&moves[0]) {
		moves = moves[1:]
	}
	begins := len(moves) < len(o.Moves.Buckets) || p.After == o.after // else its begin may be on a page before
	if !begins || len(moves) < p.Limit && o.Moves.Next != "" {
		return nil, false
	}
	page := *o
	page.Moves.Buckets, page.Moves.Next = moves, ""
	if len(moves) > p.Limit {
		page.Moves.Buckets = moves[:p.Limit:p.Limit]
		page.Moves.Next = moves[p.Limit-1].Key()
	} else if o.Moves.Next != "" {
		page.Moves.Next = o.Moves.Next
	}
	return &page, true
}

// after reports whether a move belongs to a page before.
func (p *Page) after(m *Move) bool {
	bucket, prefix, _ := strings.Cut(p.After, "/") // which no bucket has in its name
	return p.After != "" && cmp.Or(strings.Compare(m.Bucket, bucket), strings.Compare(m.Prefix, prefix)) <= 0
}

// IssueKind names an issue.
type IssueKind string

// The kinds of issues.
const (
	PrimaryOutside IssueKind = "primary-outside"
	CopyOutside    IssueKind = "copy-outside"
	TooFewClusters IssueKind = "too-few-clusters"
	OverCapacity   IssueKind = "capacity"
	NoFunction     IssueKind = "no-function"
)

// LinkLoad is what is copied from one cluster to another.
type LinkLoad struct {
	From, To string
	Bytes    int64
	// Rate is in bytes per second.
	Rate       float64
	RateSource RateSource
	Seconds    float64
	Egress     float64
}

// RateSource says where a rate is from.
type RateSource string

// The sources of rates, best first.
const (
	Measured RateSource = "measured"
	Declared RateSource = "declared"
	Default  RateSource = "default"
)

// Routes is what the changes mean to invocations, by structure: what clusters hold and may
// run. A rule is a bucket's own policy or that of one of its prefixes.
type Routes struct {
	// Changed counts the rules whose clusters that hold the data and can run invocations are
	// others.
	Changed int64
	// Local counts the rules that have such a cluster, Refused those that no cluster may run.
	LocalBefore, LocalAfter     int64
	RefusedBefore, RefusedAfter int64
	// Examples are a few of what changed.
	Examples []RouteExample
}

// RouteExample is a rule whose invocations run elsewhere.
type RouteExample struct {
	Bucket, Prefix string
	Before, After  []string
}

// maxIssues bounds the issues listed; buckets may be many, and all have the same.
const maxIssues = 1000
