package document

import (
	"errors"
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// Compare returns what a document would change. The error is a *catalog.ValidationError that
// names, by paths in the document, every reference to nothing, everything that belongs to the
// configuration and differs, and every deletion of what is still needed. Whether policies
// allow the primaries of buckets is for [Forecast] to say.
func Compare(doc *Document, base *Base) (*Comparison, error) {
	c := &comparer{
		Comparison: &Comparison{base: base, target: newTarget(base.Catalogue)},
		named:      make(map[id]bool, len(doc.Items)),
	}
	for _, it := range doc.sorted() {
		c.item(it)
	}
	for _, d := range doc.Deletes {
		c.deletion(d)
	}
	if doc.Prune {
		c.prune()
	}
	slices.SortFunc(c.Changes, func(a, b Change) int { return compareIDs(id{a.Kind, a.Name}, id{b.Kind, b.Name}) })
	c.validate()
	c.needed()
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.Comparison, nil
}

type comparer struct {
	*Comparison
	problems
	named map[id]bool
}

func (p *problems) conflict(path, value, expected string) {
	p.append(catalog.Violation{Field: path, Value: value, Expected: expected, Conflict: true})
}

// Fields says in what a change's resource differs, secrets hidden. Empty for a deletion.
func (c *Comparison) Fields(ch *Change) []Field {
	if ch.Action == Delete {
		return nil
	}
	now, _ := c.now(id{ch.Kind, ch.Name})
	return c.fields(now, ch.Resource)
}

func lookUp(in Catalogue, i id) catalog.Resource {
	switch i.kind {
	case catalog.KindZone:
		return orNil(in.Zone(i.name))
	case catalog.KindCluster:
		return orNil(in.Cluster(i.name))
	case catalog.KindPolicy:
		return orNil(in.Policy(i.name))
	case catalog.KindBucket:
		return orNil(in.Bucket(i.name))
	default:
		return nil
	}
}

// orNil makes an interface that is nil where the pointer is.
func orNil[P interface {
	comparable
	catalog.Resource
}](p P) catalog.Resource {
	var none P
	if p == none {
		return nil
	}
	return p
}

// item compares what a document declares.
func (c *comparer) item(it Item) {
	i := idOf(it.Resource)
	c.named[i] = true
	now, owner := c.now(i)
	next := it.Resource.Clone()
	if c.base.Complete != nil {
		if wrong := c.base.Complete(next, now); len(wrong) > 0 {
			c.within(it.Path, wrong)
			return
		}
	}
	next.Normalize()
	ch := Change{Kind: i.kind, Name: i.name, Action: Create, Resource: next, path: it.Path}
	if now != nil {
		ch.Action = Update
	}
	fields := c.fields(now, next)
	if now != nil && len(fields) == 0 {
		return
	}
	if owner == Configuration {
		c.conflict(it.Path, i.name, "what the configuration declares of this "+string(i.kind)+", which is changed there; "+differing(fields))
		return
	}
	c.target.put(i, next)
	c.Changes = append(c.Changes, ch)
}

// within puts the path of an item before violations whose fields begin with its kind and
// name.
func (c *comparer) within(path string, wrong []catalog.Violation) {
	for _, v := range wrong {
		if _, field, ok := strings.Cut(v.Field, ": "); ok {
			v.Field = path + "." + field
		} else {
			v.Field = path
		}
		c.append(v)
	}
}

// deletion takes in a name that should not be there.
func (c *comparer) deletion(d Deletion) {
	i := id{d.Kind, d.Name}
	now, owner := c.now(i)
	if owner == Configuration {
		c.conflict(d.Path, d.Name, "a "+string(d.Kind)+" that the configuration does not declare")
		return
	}
	if now != nil {
		c.remove(i, d.Path)
	}
}

func (c *comparer) remove(i id, path string) {
	c.target.gone[i] = true
	c.Changes = append(c.Changes, Change{Kind: i.kind, Name: i.name, Action: Delete, path: path})
}

// prune removes what the API made and the document does not name.
func (c *comparer) prune() {
	unnamed := func(k catalog.Kind, name string) bool {
		i := id{k, name}
		if !c.named[i] && !c.target.gone[i] && c.base.Owner(k, name) == API {
			c.remove(id{k, strings.Clone(name)}, "prune")
		}
		return true
	}
	c.base.Zones(func(z *catalog.Zone) bool { return unnamed(catalog.KindZone, z.Name) })
	c.base.Clusters(func(cl *catalog.Cluster) bool { return unnamed(catalog.KindCluster, cl.Name) })
	c.base.Policies(func(p *catalog.Policy) bool { return unnamed(catalog.KindPolicy, p.Name) })
	c.base.Buckets(func(name string) bool { return unnamed(catalog.KindBucket, name) })
}

// validate holds what changes against the catalogue as it would be.
func (c *comparer) validate() {
	for _, ch := range c.Changes {
		if ch.Action == Delete || c.full() {
			continue
		}
		c.append(catalog.ValidatePart(ch.Resource, c.target, ch.path)...)
		if p, ok := ch.Resource.(*catalog.Policy); ok && len(p.Balance) > 0 && c.base.CheckBalance != nil {
			if err := c.base.CheckBalance(p.Balance); err != nil {
				c.add(ch.path+".balance", "{…}", "the JSON of a Caddy selection policy: "+err.Error())
			}
		}
	}
}

// maxNamed is how many resources a violation names.
const maxNamed = 10

// needed refuses to delete what something refers to, and to take from a cluster the storage
// that holds data.
func (c *comparer) needed() {
	by := make(map[id][]string)
	for _, ch := range c.Changes {
		if ch.Action == Delete && ch.Kind != catalog.KindBucket {
			by[id{ch.Kind, ch.Name}] = nil
		}
	}
	if len(by) > 0 {
		c.referrers(by)
	}
	for _, ch := range c.Changes {
		if names := by[id{ch.Kind, ch.Name}]; len(names) > 0 {
			c.conflict(ch.path, ch.Name, "a "+string(ch.Kind)+" that nothing refers to: "+listed(names)+" would")
		} else if c.losesStorage(ch) {
			if held := c.base.Holding(ch.Name); len(held) > 0 {
				c.conflict(ch.path, ch.Name, "a cluster whose storage holds no data, drained before: it holds data of bucket "+listed(held))
			}
		}
	}
}

func (c *comparer) losesStorage(ch Change) bool {
	was := c.base.Cluster(ch.Name)
	if ch.Kind != catalog.KindCluster || c.base.Holding == nil || was == nil || was.Storage == nil {
		return false
	}
	next, _ := ch.Resource.(*catalog.Cluster)
	return next == nil || next.Storage == nil
}

// referrers adds what would refer to resources that go.
func (c *comparer) referrers(by map[id][]string) {
	note := func(r catalog.Resource) bool {
		catalog.References(r, func(k catalog.Kind, name string) {
			from, goes := by[id{k, name}]
			if goes && c.target.gone[id{k, name}] {
				by[id{k, name}] = noted(from, string(r.ResourceKind())+" "+r.ResourceName())
			}
		})
		return true
	}
	c.target.Zones(func(z *catalog.Zone) bool { return note(z) })
	c.target.Clusters(func(cl *catalog.Cluster) bool { return note(cl) })
	c.target.Policies(func(p *catalog.Policy) bool { return note(p) })
	c.target.Buckets(func(name string) bool { return note(c.target.Bucket(name)) })
}

// noted adds a name to some that are sorted, each once, and keeps the first of them: as many as
// are told, and one that says that there are others.
func noted(names []string, name string) []string {
	at, found := slices.BinarySearch(names, name)
	if found || at > maxNamed {
		return names
	}
	names = slices.Insert(names, at, name)
	return names[:min(len(names), maxNamed+1)]
}

func listed(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxNamed {
		return strings.Join(names[:maxNamed], ", ") + " and others"
	}
	return strings.Join(names, ", ")
}

func differing(fields []Field) string {
	paths := make([]string, 0, len(fields))
	for _, f := range fields {
		paths = append(paths, f.Path)
	}
	return "it differs in " + listed(paths)
}

// Violations returns what is wrong with a document by an error of [Parse] or [Compare].
func Violations(err error) []catalog.Violation {
	if invalid, ok := errors.AsType[*catalog.ValidationError](err); ok {
		return invalid.Violations
	}
	return nil
}
