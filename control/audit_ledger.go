package control

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// ledger puts on record what routing and replication count. What is counted and not yet on
// record is lost in a crash: at most what a minute brings, see [auditEvery].
type ledger struct {
	c *core
	// since is when the counting began, owed what the store did not take. One flush at a time
	// has them.
	since time.Time
	owed  []routing.LedgerLine
	lost  int64
	turn  chan struct{}
}

// Flush puts on record what was counted so far.
func (s *Audits) Flush(ctx context.Context) error { return s.ledger.flush(ctx) }

func (l *ledger) flush(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	on := l.c.declared().cfg.AuditKeep > 0
	l.c.router.Ledger.Enable(on)
	now := l.c.now()
	lines, lost := l.c.router.Ledger.Take(l.c.router.Snapshot(), l.owed...)
	lost += l.lost
	l.owed, l.lost = nil, 0
	if !on || len(lines) == 0 && lost == 0 {
		l.since = now
		return nil
	}
	err := l.store(ctx, lines, audit.Period{Since: audit.FormatTime(l.since), Until: audit.FormatTime(now)})
	if err != nil {
		l.owed, l.lost = lines, lost
		return err
	}
	l.since = now
	if lost > 0 {
		l.c.log.Warn("more was counted in a minute than the audit has room for; it is not on record", zap.Int64("invocations, refusals and copies", lost))
	}
	return nil
}

// store writes the records in one transaction, behind what policies allow now.
func (l *ledger) store(ctx context.Context, lines []routing.LedgerLine, p audit.Period) error {
	return unlessUnchanged(l.c.commit(ctx, change{progress: true, run: func(tx state.Tx) error {
		a := l.c.auditor(ctx, tx)
		if a == nil || len(lines) == 0 {
			return errUnchanged
		}
		if err := a.allowed(); err != nil {
			return err
		}
		for i := range lines {
			if err := a.counted(&lines[i], p); err != nil {
				return err
			}
		}
		return nil
	}, edit: func(*routing.Editor) {}}))
}

// counted records what was counted of one thing.
func (a *auditor) counted(n *routing.LedgerLine, p audit.Period) error {
	subject, d := "", audit.DigestOf(n.Allowed)
	if !n.Any {
		subject = AuditSubject("bucket", n.Bucket)
	}
	switch n.Kind {
	case routing.Invoked:
		return a.add(audit.Invocations, subject, audit.InvocationsBody{
			Period: p, Bucket: n.Bucket, Prefix: n.Prefix, Others: n.Any, Run: n.To, Read: n.From, Count: n.Count, Bytes: n.Bytes, Policy: n.Policy, Digest: d,
		})
	case routing.Refused:
		return a.add(audit.Refused, subject, audit.RefusedBody{
			Period: p, Bucket: n.Bucket, Prefix: n.Prefix, Others: n.Any, Cluster: n.To, By: n.By, Count: n.Count, Policy: n.Policy, Digest: d,
		})
	default:
		return a.add(audit.Copy, subject, audit.CopyBody{Event: audit.Carried, Period: p, Movement: audit.Movement{
			Bucket: n.Bucket, Prefix: n.Prefix, From: n.From, To: n.To, Via: a.c.node, ViaCluster: viaCluster(n.Via),
			Objects: n.Count, Bytes: n.Bytes, Policy: n.Policy, Digest: d,
		}})
	}
}
