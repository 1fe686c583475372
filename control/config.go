package control

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// declared is a Config indexed by kind and name. It is not changed once made.
type declared struct {
	cfg    Config
	byName map[catalog.Kind]map[string]catalog.Resource
}

func declare(cfg Config) declared {
	d := declared{cfg: cfg, byName: make(map[catalog.Kind]map[string]catalog.Resource)}
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
	return rs
}

func (d declared) defaultPolicy() string {
	if d.cfg.DefaultPolicy == "" {
		return catalog.DefaultPolicyName
	}
	return d.cfg.DefaultPolicy
}

func (d declared) has(r state.Ref) bool { return d.byName[r.Kind][r.Name] != nil }

func (d declared) referrers(to state.Ref) (by []state.Ref) {
	for _, r := range d.cfg.resources() {
		if slices.Contains(refsOf(r), to) {
			by = append(by, state.Ref{Kind: r.ResourceKind(), Name: r.ResourceName()})
		}
	}
	return by
}

// config returns the declarations in force.
func (c *Control) config() declared {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inForce
}

// configItem makes the item of a declared resource. Its entity tag is derived from
// the redacted form, so that it tells nothing about a secret.
func configItem(r catalog.Resource) Item {
	shown := r.Clone()
	if cl, ok := shown.(*catalog.Cluster); ok && cl.Storage != nil {
		cl.Storage.AccessKey, cl.Storage.SecretKey = "", ""
	}
	body, _ := json.Marshal(shown) // resources always encode: plain fields and checked JSON
	sum := sha256.Sum256(body)
	return Item{Resource: r.Clone(), Origin: OriginConfig, ETag: `"c-` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// ValidateConfig checks a configuration by itself: names, values, and references,
// which may only be to what it declares too, so that a configuration means the same
// on every instance. Every violation is named.
func ValidateConfig(cfg Config, checkBalance func(catalog.RawObject) error) error {
	var all []catalog.Violation
	seen := make(map[state.Ref]bool)
	in := configLookup{declare(cfg)}
	for _, r := range cfg.resources() {
		r.Normalize()
		ref := state.Ref{Kind: r.ResourceKind(), Name: r.ResourceName()}
		if seen[ref] {
			all = append(all, catalog.Violation{Field: string(ref.Kind) + " " + ref.Name, Value: ref.Name, Expected: "a name declared once"})
		}
		seen[ref] = true
		vs, err := violations(r, in, checkBalance)
		if err != nil {
			return err
		}
		all = append(all, vs...)
	}
	if name := cfg.DefaultPolicy; name != "" && in.Policy(name) == nil {
		all = append(all, catalog.Violation{Field: "default_policy", Value: name, Expected: "a declared policy"})
	}
	if len(all) > 0 {
		return &catalog.ValidationError{Violations: all}
	}
	return nil
}

// violations collects what is wrong with one resource.
func violations(r catalog.Resource, in catalog.Lookup, checkBalance func(catalog.RawObject) error) ([]catalog.Violation, error) {
	var vs []catalog.Violation
	if err := catalog.ValidateResource(r, in); err != nil {
		var ve *catalog.ValidationError
		if !errors.As(err, &ve) {
			return nil, err
		}
		vs = append(vs, ve.Violations...)
	}
	if p, ok := r.(*catalog.Policy); ok && len(p.Balance) > 0 && checkBalance != nil {
		if err := checkBalance(p.Balance); err != nil {
			vs = append(vs, catalog.Violation{
				Field: "policy " + p.Name + ": balance", Value: "{…}", // it may hold a secret, as cookie's does
				Expected: "the JSON of a Caddy selection policy: " + err.Error(),
			})
		}
	}
	return vs, nil
}

// Attachment is a configuration's hold on the catalogue.
type Attachment struct {
	c    *Control
	decl declared
}

// Attach makes cfg the configuration in force: its resources join the catalogue. The
// most recently attached configuration that is still attached is in force, so that a
// reload that fails falls back to what ran before. An error changes nothing.
func (c *Control) Attach(ctx context.Context, cfg Config) (*Attachment, error) {
	if err := ValidateConfig(cfg, c.checkBalance); err != nil {
		return nil, err
	}
	a := &Attachment{c: c, decl: declare(cfg)}
	if err := c.attach(ctx, a); err != nil {
		return nil, err
	}
	c.readyOnce.Do(func() { close(c.ready) })
	c.beforeAnswer(ctx)
	c.bus.Emit(Event{Type: EventConfiguration, Op: "attached"})
	return a, nil
}

func (c *Control) attach(ctx context.Context, a *Attachment) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.checkAgainstStore(ctx, a.decl); err != nil {
		return err
	}
	if err := c.enforce(ctx, a.decl); err != nil {
		return err
	}
	c.attached = append(c.attached, a)
	return nil
}

// Detach takes the configuration's resources back. It may be called more than once.
func (a *Attachment) Detach() {
	c := a.c
	ctx := context.Background()
	if !c.detach(ctx, a) {
		return
	}
	c.beforeAnswer(ctx)
	c.bus.Emit(Event{Type: EventConfiguration, Op: "detached"})
}

func (c *Control) detach(ctx context.Context, a *Attachment) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.attached, a)
	if i < 0 {
		return false
	}
	last := i == len(c.attached)-1
	c.attached = slices.Delete(c.attached, i, i+1)
	switch {
	case len(c.attached) == 0:
		// The process ends, or another store takes over: what was declared stays in
		// memory until then, so that the last requests still find their way.
	case last:
		if err := c.enforce(ctx, c.attached[len(c.attached)-1].decl); err != nil {
			c.log.Error("going back to the configuration before", zap.Error(err))
		}
	default:
		c.forgetUndeclared(ctx, a.decl)
	}
	return true
}

// enforce makes next's resources those in the snapshot, in place of the ones in force
// now. The caller holds mu.
func (c *Control) enforce(ctx context.Context, next declared) error {
	puts, err := c.transition(ctx, next)
	if err != nil {
		return err
	}
	copies := make(map[string][]catalog.Copy)
	for _, b := range next.cfg.Buckets {
		rows, err := c.Store().CopiesOf(ctx, b.Name)
		if err != nil {
			return fmt.Errorf("loading the copies of bucket %s: %w", b.Name, err)
		}
		copies[b.Name] = routed(rows)
	}
	c.publish(func(e *routing.Editor) {
		for ref, r := range puts {
			if r == nil {
				e.Delete(ref.Kind, ref.Name)
			} else {
				put(e, r)
			}
		}
		for b, cs := range copies {
			e.SetCopies(b, cs)
		}
		e.SetDefaultPolicy(next.defaultPolicy())
	})
	c.inForce = next
	return c.loadPendingOf(ctx, next.cfg.Buckets)
}

// loadPendingOf makes the stored pending rows of buckets exceptions again.
func (c *Control) loadPendingOf(ctx context.Context, buckets []*catalog.Bucket) error {
	for _, b := range buckets {
		if err := c.reloadPending(ctx, b.Name, ""); err != nil {
			return err
		}
	}
	return c.loadPulledOf(ctx, buckets)
}

// transition says what each name that the configuration in force or the next one
// declares is to be: the next one's resource, else the API's, else nothing.
func (c *Control) transition(ctx context.Context, next declared) (map[state.Ref]catalog.Resource, error) {
	puts := make(map[state.Ref]catalog.Resource)
	for k, names := range c.inForce.byName {
		for name := range names {
			if next.byName[k][name] != nil {
				continue
			}
			rec, err := c.Store().Get(ctx, k, name)
			if errors.Is(err, state.ErrNotFound) {
				puts[state.Ref{Kind: k, Name: name}] = nil
				continue
			}
			if err != nil {
				return nil, err
			}
			if puts[state.Ref{Kind: k, Name: name}], err = decodeRecord(rec); err != nil {
				return nil, err
			}
		}
	}
	for _, r := range next.cfg.resources() {
		puts[state.Ref{Kind: r.ResourceKind(), Name: r.ResourceName()}] = r
	}
	return puts, nil
}

// checkAgainstStore compares a configuration with what the API made: a name in both
// is a warning (the configuration wins), a storage shared with an API-made cluster an
// error.
func (c *Control) checkAgainstStore(ctx context.Context, d declared) error {
	var all []catalog.Violation
	for _, r := range d.cfg.resources() {
		if _, err := c.Store().Get(ctx, r.ResourceKind(), r.ResourceName()); err == nil {
			c.log.Warn("declared by the configuration and made by the API: the configuration wins",
				zap.String("kind", string(r.ResourceKind())), zap.String("name", r.ResourceName()))
		} else if !errors.Is(err, state.ErrNotFound) {
			return err
		}
	}
	recs, err := c.Store().List(ctx, catalog.KindCluster, "", 0)
	if err != nil {
		return err
	}
	in := configLookup{d}
	for _, rec := range recs {
		res, err := decodeRecord(rec)
		if err != nil {
			return err
		}
		if cl := res.(*catalog.Cluster); !d.has(state.Ref{Kind: catalog.KindCluster, Name: cl.Name}) {
			if other := catalog.SharedStorage(cl, in); other != "" {
				all = append(all, catalog.Violation{
					Field: "cluster " + other + ": storage", Value: cl.Storage.Endpoint,
					Expected: "a storage and bucket prefix that no other cluster has; the API-made cluster " + cl.Name + " has them",
				})
			}
		}
	}
	if len(all) > 0 {
		return &catalog.ValidationError{Violations: all}
	}
	return nil
}

// forgetUndeclared is called when a configuration has gone for good: the copies of
// buckets that no longer exist are not watched from now on, so that, were the bucket
// declared again, they must be compared before they count as synced.
func (c *Control) forgetUndeclared(ctx context.Context, gone declared) {
	snap := c.router.Snapshot()
	for _, b := range gone.cfg.Buckets {
		if snap.Bucket(b.Name) != nil {
			continue
		}
		_, err := c.Store().Update(ctx, func(tx state.Tx) error {
			rows, err := tx.Copies(b.Name)
			for _, r := range rows {
				if !r.Primary && r.State == catalog.CopySynced {
					r.State = catalog.CopyWaiting
					err = errors.Join(err, tx.PutCopy(r))
				}
			}
			return err
		})
		if err != nil {
			c.log.Error("marking the copies of an undeclared bucket", zap.String("bucket", b.Name), zap.Error(err))
		}
		c.router.Pulled.RemoveAll(b.Name)
		c.issues.forget(b.Name)
	}
}

// configLookup finds what a configuration declares, and the built-in policy.
type configLookup struct{ d declared }

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

func routed(rows []state.Copy) []catalog.Copy {
	cs := make([]catalog.Copy, len(rows))
	for i := range rows {
		cs[i] = rows[i].Routed()
	}
	return cs
}
