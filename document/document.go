package document

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/fado-project/fado/catalog"
)

// MaxBytes is the size of the largest document.
const MaxBytes = 16 << 20

// Version is the only version of documents there is, the value of their member "fado".
const Version = 1

// Kinds lists what documents declare, in the order of their members.
var Kinds = []catalog.Kind{catalog.KindZone, catalog.KindCluster, catalog.KindPolicy, catalog.KindBucket}

// members names the member of a document for each kind.
var members = map[catalog.Kind]string{
	catalog.KindZone: "zones", catalog.KindCluster: "clusters", catalog.KindPolicy: "policies", catalog.KindBucket: "buckets",
}

// Document is a document that was read.
type Document struct {
	// Items are what it declares, each name once.
	Items []Item
	// Deletes are what it says should not be there, each name once and none of Items.
	Deletes []Deletion
	// Prune says that resources made by the API that it does not name should not be there.
	Prune bool
}

// Item is a resource in a document.
type Item struct {
	// Path in the document, such as "clusters[3]".
	Path     string
	Resource catalog.Resource
}

// Deletion is a name in a document's "delete".
type Deletion struct {
	Path string
	Kind catalog.Kind
	Name string
}

// id names a resource.
type id struct {
	kind catalog.Kind
	name string
}

func idOf(r catalog.Resource) id { return id{r.ResourceKind(), r.ResourceName()} }

// maxViolations bounds what is collected of a document that is wrong throughout.
const maxViolations = 10_000

// problems collects what is wrong with a document.
type problems struct {
	out []catalog.Violation
}

func (p *problems) add(path, value, expected string) {
	p.append(catalog.Violation{Field: path, Value: value, Expected: expected})
}

func (p *problems) append(vs ...catalog.Violation) { p.out = append(p.out, vs...) }

// full says that there are so many that reading on makes no sense.
func (p *problems) full() bool { return len(p.out) >= maxViolations }

// err returns a *catalog.ValidationError of what was collected, nil if nothing was.
func (p *problems) err() error {
	if len(p.out) == 0 {
		return nil
	}
	if p.full() {
		p.out = append(p.out[:maxViolations:maxViolations], catalog.Violation{
			Field: "document", Value: "…", Expected: fmt.Sprintf("fewer than %d violations: reading ended there", maxViolations),
		})
	}
	return &catalog.ValidationError{Violations: p.out}
}

// sorted returns the items ordered by kind and name.
func (d *Document) sorted() []Item {
	items := slices.Clone(d.Items)
	slices.SortFunc(items, func(a, b Item) int { return compareIDs(idOf(a.Resource), idOf(b.Resource)) })
	return items
}

func compareIDs(a, b id) int {
	return cmp.Or(cmp.Compare(slices.Index(Kinds, a.kind), slices.Index(Kinds, b.kind)), cmp.Compare(a.name, b.name))
}
