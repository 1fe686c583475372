package control

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

const (
	// auditEvery is how often the audit is looked after.
	auditEvery = time.Minute
	// A checkpoint follows after so many records, or after so long.
	checkpointRecords = 1000
	checkpointAge     = time.Hour
	// configuredPatience bounds how long a configuration waits for its records.
	configuredPatience = 10 * time.Second
)

// Audits looks after the audit records: checkpoints, and the end of what is kept.
type Audits struct {
	c      *core
	pulls  *pulls
	ledger *ledger
}

// Run works until ctx ends; then it puts on record what was counted last.
func (s *Audits) Run(ctx context.Context) {
	tick := time.Tick(auditEvery)
	for {
		select {
		case <-tick:
		case <-ctx.Done():
			s.last(context.WithoutCancel(ctx))
			return
		}
		if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
			s.c.log.Warn("could not put on record what was counted; trying again in a minute", zap.Error(err))
		}
		if err := s.Maintain(ctx); err != nil && ctx.Err() == nil {
			s.c.log.Warn("could not look after the audit records; trying again in a minute", zap.Error(err))
		}
	}
}

// last is the flush at the end.
func (s *Audits) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, configuredPatience)
	defer cancel()
	if err := s.Flush(ctx); err != nil {
		s.c.log.Warn("could not put on record what was counted last", zap.Error(err))
	}
}

// Maintain adds a checkpoint if one is due, and removes the records that are older than the
// configuration keeps them, up to a checkpoint. One instance does so at a time.
func (s *Audits) Maintain(ctx context.Context) error {
	keep := s.c.declared().cfg.AuditKeep
	if keep <= 0 {
		return nil
	}
	store := s.c.store()
	l, ok, err := store.Locks().TryLock(ctx, "audit")
	if err != nil || !ok {
		return err
	}
	defer func() { _ = l.Unlock() }() // it ends with the lease anyway
	due, err := s.due(ctx, store)
	if err == nil && due {
		err = s.Checkpoint(ctx)
	}
	if err != nil {
		return err
	}
	n, err := store.Audits().TrimAudit(ctx, s.c.now().Add(-keep))
	if n > 0 {
		s.c.log.Info("removed audit records that are older than is kept", zap.Int64("records", n))
	}
	return err
}

// due says whether there is enough since the last checkpoint.
func (s *Audits) due(ctx context.Context, store state.Store) (bool, error) {
	head, err := store.Audits().AuditHead(ctx)
	if err != nil || head.Seq == 0 {
		return false, err
	}
	last, err := store.Audits().AuditRecords(ctx, state.AuditFilter{After: head.Seq - 1}, 1)
	if err != nil || len(last) == 1 && last[0].Kind == audit.Checkpoint {
		return false, err
	}
	recent, err := store.Audits().AuditRecords(ctx, state.AuditFilter{
		Kind: audit.Checkpoint, Since: s.c.now().Add(-checkpointAge), After: head.Seq - checkpointRecords,
	}, 1)
	return len(recent) == 0, err
}

// Session puts on record that someone signs in or out; who is in the context.
func (s *Audits) Session(ctx context.Context, b audit.SessionBody) error {
	b.Request = audit.CallerOf(ctx).Request
	return s.add(ctx, audit.Session, "", b)
}

// Acted puts on record what someone has done, or begins; who is in the context.
func (s *Audits) Acted(ctx context.Context, b audit.ActionBody) error {
	subject, by := "", audit.CallerOf(ctx)
	if b.Name != "" {
		subject = AuditSubject(catalog.Kind(b.Resource), b.Name)
	}
	b.Role, b.How, b.Address, b.Request = by.Role, by.How, by.Address, by.Request
	return s.add(ctx, audit.Action, subject, b)
}

func (s *Audits) add(ctx context.Context, kind audit.Kind, subject string, body any) error {
	return unlessUnchanged(s.c.commit(ctx, change{run: func(tx state.Tx) error {
		if a := s.c.auditor(ctx, tx); a != nil {
			return a.add(kind, subject, body)
		}
		return errUnchanged
	}, edit: func(*routing.Editor) {}}))
}

// Checkpoint adds a checkpoint: what comes before it can be removed and the rest still be
// verified.
func (s *Audits) Checkpoint(ctx context.Context) error {
	return s.c.commit(ctx, change{run: func(tx state.Tx) error {
		a := s.c.auditor(ctx, tx)
		if a == nil {
			return errUnchanged
		}
		head, err := tx.AuditHead()
		if err != nil {
			return err
		}
		allowed, err := tx.AuditAllowed()
		if err != nil {
			return err
		}
		body := audit.CheckpointBody{Size: head.Seq, Head: head.Hash, Allowed: allowed}
		if s := a.cfg.cfg.AuditSigner; s != nil {
			if err := s.Sign(&body); err != nil {
				return err
			}
		}
		return a.add(audit.Checkpoint, "", body)
	}, edit: func(*routing.Editor) {}})
}

// auditConfigured records what a configuration makes policies allow, before it is in force.
func (c *core) auditConfigured(ctx context.Context, next *declared) {
	if next.cfg.AuditKeep <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, configuredPatience)
	defer cancel()
	err := c.commit(ctx, change{run: func(tx state.Tx) error {
		a := c.auditorFor(WithActor(ctx, "configuration"), tx, next)
		if a == nil {
			return errUnchanged
		}
		before, err := tx.AuditHead()
		if err == nil {
			err = a.allowed()
		}
		if err != nil {
			return err
		}
		if after, err := tx.AuditHead(); err != nil || after == before {
			return errUnchanged
		}
		return nil
	}, edit: func(*routing.Editor) {}})
	if unlessUnchanged(err) != nil {
		c.log.Warn("could not record what the configuration's policies allow; it is recorded with the next change", zap.Error(err))
	}
}
