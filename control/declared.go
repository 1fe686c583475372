package control

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// Config is what a running configuration declares.
type Config struct {
	DefaultPolicy string // "" for the built-in one
	// Here is the cluster that this instance is in: bytes of objects pass through it only
	// where their policy allows that cluster. "": nobody says, and all pass.
	Here string
	// AuditKeep is for how long audit records are kept; 0: none are made.
	AuditKeep time.Duration
	// AuditSigner signs checkpoints; nil: they are not signed.
	AuditSigner *audit.Signer
	Zones       []*catalog.Zone
	Clusters    []*catalog.Cluster
	Policies    []*catalog.Policy
	Buckets     []*catalog.Bucket
	Keys        []*catalog.Key
}

// declared is a Config indexed by kind and name. It is not changed once made.
type declared struct {
	cfg    Config
	byName map[catalog.Kind]map[string]catalog.Resource
}

func declare(cfg Config) *declared {
	d := &declared{cfg: cfg, byName: make(map[catalog.Kind]map[string]catalog.Resource)}
	for _, k := range catalog.Kinds {
		d.byName[k] = make(map[string]catalog.Resource)
	}
	for _, r := range cfg.resources() {
		d.byName[r.ResourceKind()][r.ResourceName()] = r
	}
	return d
}

// resources returns all that is declared, what is referred to before what refers.
func (cfg Config) resources() []catalog.Resource {
	var rs []catalog.Resource
	for _, z := range cfg.Zones {
		rs = append(rs, z)
	}
	for _, c := range cfg.Clusters {
		rs = append(rs, c)
	}
	for _, p := range cfg.Policies {
		rs = append(rs, p)
	}
	for _, b := range cfg.Buckets {
		rs = append(rs, b)
	}
	for _, k := range cfg.Keys {
		rs = append(rs, k)
	}
	return rs
}

func (d *declared) defaultPolicy() string {
	if d.cfg.DefaultPolicy == "" {
		return catalog.DefaultPolicyName
	}
	return d.cfg.DefaultPolicy
}

// apply makes a snapshot follow what is declared besides resources.
func (d *declared) apply(e *routing.Editor) {
	e.SetDefaultPolicy(d.defaultPolicy())
	e.SetHere(d.cfg.Here)
}

func (d *declared) has(r state.Ref) bool { return d.byName[r.Kind][r.Name] != nil }

// refs names all that is declared.
func (d *declared) refs() []state.Ref {
	var all []state.Ref
	for _, r := range d.cfg.resources() {
		all = append(all, record.RefTo(r))
	}
	return all
}

func (d *declared) referrers(to state.Ref) (by []state.Ref) {
	for _, r := range d.cfg.resources() {
		if slices.Contains(record.RefsOf(r), to) {
			by = append(by, record.RefTo(r))
		}
	}
	return by
}

// configItem makes the item of a declared resource. Its entity tag is derived from
// the redacted form, so that it tells nothing about a secret.
func configItem(r catalog.Resource) Item {
	shown := r.Clone()
	switch r := shown.(type) {
	case *catalog.Cluster:
		if r.Storage != nil {
			r.Storage.AccessKey, r.Storage.SecretKey = "", ""
		}
	case *catalog.Key:
		r.Secret = ""
	}
	body, _ := json.Marshal(shown) // resources always encode: plain fields and checked JSON
	sum := sha256.Sum256(body)
	return Item{Resource: r.Clone(), Origin: OriginConfig, ETag: `"c-` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// configLookup finds what a configuration declares, and the built-in policy.
type configLookup struct{ d *declared }

func (l configLookup) Zone(name string) *catalog.Zone {
	z, _ := l.d.byName[catalog.KindZone][name].(*catalog.Zone)
	return z
}

func (l configLookup) Cluster(name string) *catalog.Cluster {
	c, _ := l.d.byName[catalog.KindCluster][name].(*catalog.Cluster)
	return c
}

func (l configLookup) Policy(name string) *catalog.Policy {
	p, _ := l.d.byName[catalog.KindPolicy][name].(*catalog.Policy)
	if p == nil && name == catalog.DefaultPolicyName {
		return catalog.BuiltinPolicy()
	}
	return p
}

func (l configLookup) Bucket(name string) *catalog.Bucket {
	b, _ := l.d.byName[catalog.KindBucket][name].(*catalog.Bucket)
	return b
}

func (l configLookup) Buckets(f func(name string) bool) {
	for _, b := range l.d.cfg.Buckets {
		if !f(b.Name) {
			return
		}
	}
}

func (l configLookup) DefaultPolicy() string { return l.d.defaultPolicy() }

func (l configLookup) Clusters(f func(*catalog.Cluster) bool) {
	for _, c := range l.d.cfg.Clusters {
		if !f(c) {
			return
		}
	}
}

func (l configLookup) Zones(f func(*catalog.Zone) bool) {
	for _, z := range l.d.cfg.Zones {
		if !f(z) {
			return
		}
	}
}
