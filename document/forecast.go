package document

import (
	"cmp"
	"slices"

	"github.com/fado-project/fado/catalog"
)

// Forecast works out what the changes would bring about.
func (c *Comparison) Forecast(w *World, page Page) (*Outlook, error) {
	f := newForecaster(c, w, page)
	f.noFunctions()
	left := f.allBuckets()
	err := w.Copies(func(bucket string, rows []Row) error {
		for len(left) > 0 && left[0] < bucket {
			f.bucket(left[0], nil)
			left = left[1:]
		}
		if len(left) > 0 && left[0] == bucket {
			left = left[1:]
		}
		f.bucket(bucket, rows)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, bucket := range left {
		f.bucket(bucket, nil)
	}
	f.capacities()
	f.sum()
	return &f.out, nil
}

func newForecaster(c *Comparison, w *World, page Page) *forecaster {
	f := &forecaster{
		change: c, world: w, page: page, settle: w.Settling(c.target),
		before: newSide(c.base.Catalogue), after: newSide(c.target), changed: make(map[string]bool),
		links: make(map[[2]string]*LinkLoad), added: make(map[string]int64),
	}
	f.out = Outlook{after: page.After, Violations: []Issue{}, Routes: Routes{Examples: []RouteExample{}}}
	f.out.Moves.Buckets, f.out.Moves.Links = []Move{}, []LinkLoad{}
	for name, b := range f.after.policies {
		a := f.before.policies[name]
		f.changed[name] = a == nil || a.sign != b.sign
	}
	return f
}

// allBuckets lists the buckets that there will be, sorted: those that have no copies yet are not
// among the world's.
func (f *forecaster) allBuckets() (names []string) {
	f.change.target.Buckets(func(name string) bool {
		names = append(names, name)
		return true
	})
	slices.Sort(names)
	return names
}

// rules returns the rules of a bucket in a catalogue, the default policy resolved, sorted by
// prefix.
func rules(b *catalog.Bucket, in Catalogue) []catalog.PrefixRule {
	if b == nil {
		return nil
	}
	all := append([]catalog.PrefixRule{{Policy: cmp.Or(b.Policy, in.DefaultPolicy())}}, b.Prefixes...)
	slices.SortFunc(all, func(x, y catalog.PrefixRule) int { return cmp.Compare(x.Prefix, y.Prefix) })
	return all
}

// bucket forecasts one bucket.
func (f *forecaster) bucket(name string, rows []Row) {
	was, will := f.change.base.Bucket(name), f.change.target.Bucket(name)
	d := dossier{name: name, old: rules(was, f.change.base), next: rules(will, f.change.target)}
	d.holds(rows, f.room.has)
	f.room.has = d.has
	switch {
	case will == nil: // forgotten, or not declared before: its data stays
	case was != nil && !f.affects(was, will, &d):
		f.sameRoutes(&d)
		return
	default:
		if err := catalog.PrimaryAllowed(will, f.change.target); err != nil {
			f.issue(PrimaryOutside, "bucket "+name, err.Error(), true)
			break
		}
		settled, issue := f.settle(will, d.next, f.room.copiesOf(rows))
		if issue != "" {
			f.issue(TooFewClusters, "bucket "+name, issue, false)
		}
		d.settles(settled, f.room.gets)
		f.room.gets = d.gets
		f.move(&d)
	}
	f.routes(&d)
}

// affects says whether the changes may move or route a bucket otherwise.
func (f *forecaster) affects(was, will *catalog.Bucket, d *dossier) bool {
	return !f.change.target.same(catalog.KindBucket, will.Name) &&
		(was.Policy != will.Policy || was.Primary != will.Primary || was.Promote != will.Promote || !slices.Equal(d.old, d.next)) ||
		slices.ContainsFunc(d.next, func(r catalog.PrefixRule) bool { return f.changed[r.Policy] })
}

// Target returns the catalogue as it is after the changes.
func (c *Comparison) Target() Catalogue { return c.target }
