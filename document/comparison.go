package document

import (
	"slices"
	"strings"

	"github.com/fado-project/fado/catalog"
)

// Base is what a document is compared with.
type Base struct {
	Catalogue
	// Owner says who declares a resource: nobody, the configuration, or the API. The built-in
	// policy is nobody's.
	Owner func(k catalog.Kind, name string) Owner
	// Complete puts what is stored where a secret says "***", and says what is wrong with the
	// secrets; now is what there is under the name, nil for nothing. Nil: nothing is wrong.
	Complete func(r, now catalog.Resource) []catalog.Violation
	// Redact hides the secrets of a resource that is the caller's own. Nil: there are none.
	Redact func(catalog.Resource)
	// CheckBalance says what is wrong with a selection policy. Nil: nothing is.
	CheckBalance func(catalog.RawObject) error
	// Holding names buckets that have data in a cluster. Nil: there are none.
	Holding func(cluster string) []string
}

// Owner declares a resource.
type Owner uint8

// The owners.
const (
	Nobody Owner = iota
	Configuration
	API
)

// Action is what is done to a resource.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
)

// Change is the change of one resource.
type Change struct {
	Kind   catalog.Kind
	Name   string
	Action Action
	// Resource is what is to be there, secrets in clear; nil for a deletion.
	Resource catalog.Resource
	path     string
}

// Key names a change, as the end of a page.
func (c *Change) Key() string { return string(c.Kind) + "/" + c.Name }

// Comparison is what a document would change.
type Comparison struct {
	// Changes are sorted by kind and name. What fields they differ in is worked out when it is
	// asked for: of a large document that is more than there is room for at a time.
	Changes []Change
	base    *Base
	target  *target
}

// Page returns the changes after the one with a key ("": from the first), at most limit, and
// the key of the last of them where others follow.
func (c *Comparison) Page(after string, limit int) (page []Change, next string) {
	kind, name, _ := strings.Cut(after, "/")
	from := 0
	if after != "" {
		at, found := slices.BinarySearchFunc(c.Changes, id{catalog.Kind(kind), name}, func(ch Change, last id) int {
			return compareIDs(id{ch.Kind, ch.Name}, last)
		})
		if from = at; found {
			from++
		}
	}
	page = c.Changes[from:min(len(c.Changes), from+limit)]
	if from+limit < len(c.Changes) && len(page) > 0 {
		next = page[len(page)-1].Key()
	}
	return page, next
}

// now returns what the base holds under a name, nil for nothing, and whose it is.
func (c *Comparison) now(i id) (catalog.Resource, Owner) {
	owner := c.base.Owner(i.kind, i.name)
	if owner == Nobody {
		return nil, owner
	}
	return lookUp(c.base.Catalogue, i), owner
}
