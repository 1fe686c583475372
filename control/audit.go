package control

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control/internal/record"
	"github.com/fado-project/fado/state"
)

// WithActor says who makes the changes of a context, for the audit.
func WithActor(ctx context.Context, who string) context.Context {
	by := audit.CallerOf(ctx)
	by.Who = who
	return audit.WithCaller(ctx, by)
}

// auditor writes the audit records of one transaction.
type auditor struct {
	c   *core
	tx  state.Tx
	cfg *declared
	by  audit.Caller
}

// auditor returns what writes the records of a transaction, nil where none are kept.
func (c *core) auditor(ctx context.Context, tx state.Tx) *auditor {
	return c.auditorFor(ctx, tx, c.declared())
}

func (c *core) auditorFor(ctx context.Context, tx state.Tx, cfg *declared) *auditor {
	if cfg.cfg.AuditKeep <= 0 {
		return nil
	}
	return &auditor{c: c, tx: tx, cfg: cfg, by: audit.CallerOf(ctx)}
}

func (a *auditor) add(kind audit.Kind, subject string, body any) error {
	return a.tx.Audit(audit.Entry{At: a.c.now(), Node: a.c.node, Kind: kind, Actor: cmp.Or(a.by.Who, "fado"), Subject: subject, Body: body})
}

// AuditSubject is how records are found that are about a resource.
func AuditSubject(k catalog.Kind, name string) string { return string(k) + " " + name }

// changed records the change of a resource; nil stands for nothing.
func (a *auditor) changed(ref state.Ref, before, after catalog.Resource) error {
	if a == nil {
		return nil
	}
	op := OpChanged
	switch {
	case before == nil:
		op = OpCreated
	case after == nil:
		op = OpDeleted
	}
	body := audit.ChangeBody{Resource: string(ref.Kind), Name: ref.Name, Action: string(op), Role: a.by.Role, How: a.by.How, Address: a.by.Address, Request: a.by.Request}
	return a.add(audit.Change, AuditSubject(ref.Kind, ref.Name), body.Of(withoutSecrets(before), withoutSecrets(after)))
}

// withoutSecrets is the JSON of a resource without its secrets; nil for none.
func withoutSecrets(r catalog.Resource) []byte {
	if r == nil {
		return nil
	}
	text, err := catalog.EncodeResource(catalog.WithoutSecrets(r))
	if err != nil {
		return nil
	}
	return text
}

// allowed records the policies whose clusters are others than was recorded last. The
// transaction has what changes already.
func (a *auditor) allowed() error {
	if a == nil {
		return nil
	}
	last, err := a.tx.AuditAllowed()
	if err != nil {
		return err
	}
	now, err := a.allowedNow()
	if err != nil {
		return err
	}
	for policy := range last {
		if now[policy] == nil {
			now[policy] = []string{} // the policy is gone
		}
	}
	for _, policy := range slices.Sorted(maps.Keys(now)) {
		clusters, known := now[policy], last[policy]
		if known != nil && slices.Equal(clusters, known) || known == nil && len(clusters) == 0 {
			continue
		}
		err := a.add(audit.Allowed, AuditSubject(catalog.KindPolicy, policy), audit.AllowedBody{Policy: policy, Clusters: clusters, Digest: audit.DigestOf(clusters)})
		if err != nil {
			return err
		}
	}
	return nil
}

// allowedNow returns the clusters that each policy allows, by the configuration and what the
// transaction sees.
func (a *auditor) allowedNow() (map[string][]string, error) {
	in := &txLookup{tx: a.tx, cfg: configLookup{a.cfg}, snap: a.c.router.Snapshot()}
	zones, clusters := tables(in)
	policies := map[string]*catalog.Policy{catalog.DefaultPolicyName: catalog.BuiltinPolicy()}
	visitAll(in, catalog.KindPolicy, func(r catalog.Resource) bool {
		policies[r.ResourceName()] = r.(*catalog.Policy)
		return true
	})
	for name, r := range a.cfg.byName[catalog.KindPolicy] {
		policies[name] = r.(*catalog.Policy)
	}
	all := make(map[string][]string, len(policies))
	for name, p := range policies {
		all[name] = slices.Sorted(maps.Keys(catalog.AllowedClusters(p, zones, clusters)))
		if all[name] == nil {
			all[name] = []string{}
		}
	}
	return all, in.err
}

// copies records what became of the copies of a bucket.
func (a *auditor) copies(bucket string, before, next []state.Copy) error {
	if a == nil {
		return nil
	}
	events := record.CopyEvents(before, next)
	if len(events) == 0 {
		return nil
	}
	allowed, err := a.tx.AuditAllowed()
	if err != nil {
		return err
	}
	for i := range events {
		e := &events[i]
		e.Bucket, e.Policy = bucket, a.policyOf(bucket, e.Prefix)
		if here := a.cfg.cfg.Here; here == "" || slices.Contains(allowed[e.Policy], here) {
			e.Via, e.ViaCluster = a.c.node, viaCluster(here)
		}
		writes := e.Event == audit.Created || e.Event == audit.Synced
		if writes && !slices.Contains(allowed[e.Policy], e.To) {
			if allowed, err = a.caughtUp(&e.Movement); err != nil {
				return err
			}
		}
		e.Digest = audit.DigestOf(allowed[e.Policy])
		if err := a.add(audit.Copy, AuditSubject(catalog.KindBucket, bucket), *e); err != nil {
			return err
		}
	}
	return nil
}

// caughtUp records what policies allow now, where a copy is begun that is not known to be
// allowed. With several instances another one may have forbidden it a moment ago.
func (a *auditor) caughtUp(m *audit.Movement) (map[string][]string, error) {
	if err := a.allowed(); err != nil {
		return nil, err
	}
	allowed, err := a.tx.AuditAllowed()
	if err == nil && a.c.shared() && !slices.Contains(allowed[m.Policy], m.To) {
		err = fmt.Errorf("policy %s does not allow bucket %s in %s any longer: %w", m.Policy, m.Bucket, m.To, state.ErrUnavailable)
	}
	return allowed, err
}

// pulls records objects that are about to be copied on demand.
func (a *auditor) pulls(b *audit.PullBody) error {
	allowed, err := a.tx.AuditAllowed()
	if err == nil && !slices.Contains(allowed[b.Policy], b.To) {
		allowed, err = a.caughtUp(&b.Movement)
	}
	if err != nil {
		return err
	}
	if !slices.Contains(allowed[b.Policy], b.To) {
		return errNotAllowed
	}
	b.Digest = audit.DigestOf(allowed[b.Policy])
	return a.add(audit.Pull, AuditSubject(catalog.KindBucket, b.Bucket), *b)
}

// viaCluster names the cluster that an instance is in.
func viaCluster(here string) string { return cmp.Or(here, audit.NotDeclared) }

func (a *auditor) policyOf(bucket, prefix string) string {
	rule, _ := a.c.router.Snapshot().Of(bucket).RuleOf(prefix)
	return rule.Policy
}
