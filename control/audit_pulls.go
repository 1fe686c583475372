package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
)

// pulls collects the records of objects that are about to be copied on demand: those that come
// while a transaction is under way share the next one.
type pulls struct {
	c *core

	mu   sync.Mutex
	next *pullBatch // collects
	busy bool       // a batch is being stored
}

// pullBatch is what one transaction stores.
type pullBatch struct {
	sums map[pullOf]*audit.PullBody
	done chan struct{} // closes when it is stored, or has failed
	// err is why nothing of it is stored; refused are those that policies don't allow.
	err     error
	refused map[pullOf]bool
}

// pullOf names objects that are told of as one.
type pullOf struct{ bucket, prefix, policy, from, to, via string }

// errNotAllowed: what policies allow has changed since the pull was allowed.
var errNotAllowed = errors.New("the policy does not allow the object there any longer")

// pullsPatience bounds how long a transaction of records may take.
const pullsPatience = 30 * time.Second

// Pulling puts on record that an object is about to be copied to a cluster on demand. When it
// returns nil the record survives a crash, so no copy is made without one.
func (s *Audits) Pulling(ctx context.Context, bucket, key, from, to string, bytes int64) error {
	if s.c.declared().cfg.AuditKeep <= 0 {
		return nil
	}
	snap := s.c.router.Snapshot()
	rule, _ := snap.Of(bucket).RuleOf(key)
	of := pullOf{bucket, rule.Prefix, rule.Policy, from, to, viaCluster(snap.Here())}
	b := s.pulls.join(ctx, of, bytes)
	select {
	case <-b.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case b.err != nil:
		return b.err
	case b.refused[of]:
		return fmt.Errorf("bucket %s in %s: %w", bucket, to, errNotAllowed)
	default:
		return nil
	}
}

// join adds an object to the batch that is stored next.
func (p *pulls) join(ctx context.Context, of pullOf, bytes int64) *pullBatch {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = &pullBatch{sums: make(map[pullOf]*audit.PullBody), done: make(chan struct{}), refused: make(map[pullOf]bool)}
	}
	b := p.next
	sum := b.sums[of]
	if sum == nil {
		sum = &audit.PullBody{Movement: audit.Movement{
			Bucket: of.bucket, Prefix: of.prefix, From: of.from, To: of.to, Via: p.c.node, ViaCluster: of.via, Policy: of.policy,
		}}
		b.sums[of] = sum
	}
	sum.Objects, sum.Bytes = sum.Objects+1, sum.Bytes+bytes
	if !p.busy {
		p.busy = true
		go p.work(context.WithoutCancel(ctx)) // it is for all that join
	}
	return b
}

// work stores batches until none is left.
func (p *pulls) work(ctx context.Context) {
	for {
		p.mu.Lock()
		b := p.next
		p.next, p.busy = nil, b != nil
		p.mu.Unlock()
		if b == nil {
			return
		}
		b.err = p.store(ctx, b)
		close(b.done)
	}
}

func (p *pulls) store(ctx context.Context, b *pullBatch) error {
	ctx, cancel := context.WithTimeout(ctx, pullsPatience)
	defer cancel()
	order := slices.SortedFunc(maps.Keys(b.sums), func(x, y pullOf) int {
		return cmp.Or(cmp.Compare(x.bucket, y.bucket), cmp.Compare(x.prefix, y.prefix), cmp.Compare(x.to, y.to), cmp.Compare(x.from, y.from), cmp.Compare(x.policy, y.policy), cmp.Compare(x.via, y.via))
	})
	return p.c.commit(ctx, change{progress: true, run: func(tx state.Tx) error {
		clear(b.refused) // a transaction may be tried again
		a := p.c.auditor(ctx, tx)
		for _, of := range order {
			if a == nil {
				return nil
			}
			sum := *b.sums[of]
			switch err := a.pulls(&sum); {
			case errors.Is(err, errNotAllowed):
				b.refused[of] = true
			case err != nil:
				return err
			}
		}
		return nil
	}, edit: func(*routing.Editor) {}})
}
