package mirror

import (
	"maps"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

type objectKey struct{ bucket, key, cluster string }

// dirtySet is what changed and is yet to be written.
type dirtySet struct {
	all       bool
	resources map[state.Ref]*state.Record // nil: removed
	copies    map[string][]state.Copy
	objects   map[objectKey]bool // true: gone
}

func newDirtySet() dirtySet {
	return dirtySet{
		resources: make(map[state.Ref]*state.Record), copies: make(map[string][]state.Copy), objects: make(map[objectKey]bool),
	}
}

func (d dirtySet) empty() bool {
	return !d.all && len(d.resources)+len(d.copies)+len(d.objects) == 0
}

// putResource notes the new value of a resource; nil: it is gone.
func (d *dirtySet) putResource(ref state.Ref, rec *state.Record) {
	d.resources[ref] = rec
	if rec == nil && ref.Kind == catalog.KindBucket {
		delete(d.copies, ref.Name)
	}
}

// overtaken adds newer values to a map.
func overtaken[K comparable, V any](old, newer map[K]V) map[K]V {
	maps.Copy(old, newer)
	return old
}
