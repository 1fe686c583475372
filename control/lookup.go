package control

import (
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// tables collects the zones and clusters of a Lookup.
func tables(in catalog.Lookup) (map[string]*catalog.Zone, map[string]*catalog.Cluster) {
	zones, clusters := make(map[string]*catalog.Zone), make(map[string]*catalog.Cluster)
	in.Zones(func(z *catalog.Zone) bool { zones[z.Name] = z; return true })
	in.Clusters(func(c *catalog.Cluster) bool { clusters[c.Name] = c; return true })
	return zones, clusters
}

// txLookup finds what is declared: the configuration's first, then what the
// transaction sees. It remembers the first error a read met.
type txLookup struct {
	tx   state.Tx
	cfg  configLookup
	snap *routing.Snapshot
	err  error
}

// Bucket and Buckets answer from memory: they are asked about as many buckets as
// there are, and only whether two would share a physical bucket.
func (l *txLookup) Bucket(name string) *catalog.Bucket { return l.snap.Bucket(name) }
func (l *txLookup) Buckets(f func(name string) bool)   { l.snap.Buckets(f) }

func lookUp[T catalog.Resource](l *txLookup, k catalog.Kind, name string) (found T) {
	res, _, err := record.Read(l.tx, k, name)
	if err != nil && l.err == nil {
		l.err = err
	}
	found, _ = res.(T)
	return found
}

func (l *txLookup) Zone(name string) *catalog.Zone {
	if z := l.cfg.Zone(name); z != nil {
		return z
	}
	return lookUp[*catalog.Zone](l, catalog.KindZone, name)
}

func (l *txLookup) Cluster(name string) *catalog.Cluster {
	if c := l.cfg.Cluster(name); c != nil {
		return c
	}
	return lookUp[*catalog.Cluster](l, catalog.KindCluster, name)
}

func (l *txLookup) Policy(name string) *catalog.Policy {
	if l.cfg.d.byName[catalog.KindPolicy][name] != nil {
		return l.cfg.Policy(name)
	}
	if p := lookUp[*catalog.Policy](l, catalog.KindPolicy, name); p != nil {
		return p
	}
	return l.cfg.Policy(name) // the built-in one
}

func (l *txLookup) DefaultPolicy() string { return l.cfg.DefaultPolicy() }

func (l *txLookup) Clusters(f func(*catalog.Cluster) bool) {
	if visitAll(l, catalog.KindCluster, func(r catalog.Resource) bool { return f(r.(*catalog.Cluster)) }) {
		l.cfg.Clusters(f)
	}
}

func (l *txLookup) Zones(f func(*catalog.Zone) bool) {
	if visitAll(l, catalog.KindZone, func(r catalog.Resource) bool { return f(r.(*catalog.Zone)) }) {
		l.cfg.Zones(f)
	}
}

// visitAll calls f with the API-made resources of a kind that the configuration does
// not declare as well, and says whether f wanted all of them.
func visitAll(l *txLookup, k catalog.Kind, f func(catalog.Resource) bool) bool {
	recs, err := l.tx.List(k, "", 0)
	if err != nil && l.err == nil {
		l.err = err
	}
	for _, rec := range recs {
		if l.cfg.d.byName[k][rec.Name] != nil {
			continue
		}
		res, err := record.Decode(rec)
		if err != nil {
			if l.err == nil {
				l.err = err
			}
			return false
		}
		if !f(res) {
			return false
		}
	}
	return true
}
