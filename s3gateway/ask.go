package s3gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/replication"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/storage"
)

// attempt is one holder that was asked.
type attempt struct {
	at     int
	a      *storage.Answer
	err    error
	cancel context.CancelFunc
}

// drop gives an answer up.
func (t *attempt) drop() {
	if t != nil && t.err == nil {
		_ = t.a.Body.Close()
		t.cancel()
	}
}

// race asks one holder after the other until one answers for itself, and the next one as well
// when one takes longer than it does in 99 of 100 cases.
type race struct {
	c       reader
	holders []routing.Holder
	f       storage.Forward
	answers chan attempt
	cancels []context.CancelFunc
	open    int
	hedges  map[int]bool // those asked while another was
}

// askAny asks holders until one answers for itself: what a storage that is away, or a copy that
// lost the object, says is not the answer while there is another.
func (c reader) askAny(holders []routing.Holder, f storage.Forward) (a *storage.Answer, at int, err error) {
	c.h.latency.Asked()
	if len(holders) == 1 {
		a, err = c.ask(c.ctx, &holders[0], f, false)
		return a, 0, err
	}
	r := &race{c: c, holders: holders, f: f, answers: make(chan attempt, len(holders)), hedges: make(map[int]bool)}
	won, err := r.run()
	r.abandon(won)
	if err != nil {
		return nil, 0, err
	}
	if r.hedges[won.at] {
		c.h.app.S3().CountS3Failover()
	}
	won.a.Body = &heldBody{won.a.Body, won.cancel}
	return won.a, won.at, nil
}

// heldBody gives its attempt up when it is closed.
type heldBody struct {
	io.ReadCloser
	end func()
}

func (b *heldBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

// start asks the next holder, if there is one.
func (r *race) start() {
	at := len(r.cancels)
	if at == len(r.holders) {
		return
	}
	ctx, cancel := context.WithCancel(r.c.ctx)
	r.cancels = append(r.cancels, cancel)
	r.open++
	go func() {
		a, err := r.c.ask(ctx, &r.holders[at], r.f, at < len(r.holders)-1)
		r.answers <- attempt{at, a, err, cancel}
	}()
}

// run returns the attempt whose answer it is.
func (r *race) run() (won *attempt, err error) {
	r.start()
	hedge := time.NewTimer(r.c.h.latency.HedgeAfter(r.holders[0].Cluster))
	defer hedge.Stop()
	for r.open > 0 {
		select {
		case <-hedge.C:
			if next := len(r.cancels); next < len(r.holders) && r.c.h.latency.MayHedge() {
				r.hedges[next] = true
				r.start()
				hedge.Reset(r.c.h.latency.HedgeAfter(r.holders[next].Cluster))
			}
		case got := <-r.answers:
			r.open--
			h := &r.holders[got.at]
			switch {
			case got.err == nil && authoritative(got.a, h):
				won.drop()
				return &got, nil
			case got.err == nil && got.at == len(r.holders)-1:
				won = &got // if no other knows better
				continue
			case got.err != nil && !passes(got.err):
				won.drop()
				return nil, got.err
			}
			err = r.lost(&got)
			if won == nil && r.open == 0 {
				r.start()
			}
		}
	}
	if won != nil {
		return won, nil
	}
	return nil, err
}

// lost tells of an attempt that was not the answer.
func (r *race) lost(got *attempt) error {
	missing := got.err == nil && got.a.Status == http.StatusNotFound
	h := &r.holders[got.at]
	if got.err == nil {
		got.err = fmt.Errorf("%s: status %d", h.Cluster, got.a.Status)
		_ = got.a.Body.Close()
	}
	got.cancel()
	if next := got.at + 1; next < len(r.holders) && !missing { // a copy that has no such object is only made sure of
		r.c.h.app.S3().CountS3Failover()
		r.c.h.log.Info("reading from another copy", zap.String("request_id", r.c.id), zap.String("bucket", r.c.bucket),
			zap.String("from", h.Cluster), zap.String("to", r.holders[next].Cluster), zap.Error(got.err))
	}
	return got.err
}

// abandon ends all attempts but one.
func (r *race) abandon(won *attempt) {
	for at, cancel := range r.cancels {
		if won == nil || won.at != at {
			cancel()
		}
	}
	if r.open == 0 {
		return
	}
	go func(open int) {
		for range open {
			got := <-r.answers
			got.drop()
		}
	}(r.open)
}

// reading is the way of an object's bytes through this endpoint to the client.
func (c reader) reading(cluster, bucket, key string) replication.Passage {
	return replication.Passage{Bucket: bucket, Key: key, Cluster: cluster, Via: c.h.Cluster, Cut: c.w.CutAnswer}
}

// ask makes the request at one holder.
func (c reader) ask(ctx context.Context, h *routing.Holder, f storage.Forward, others bool) (*storage.Answer, error) {
	if others {
		f.Wait = firstWait
	}
	began := time.Now()
	a, err := c.gateway.Read(ctx, c.reading(h.Cluster, f.Bucket, f.Key), &f)
	if err != nil {
		if ctx.Err() != nil && c.ctx.Err() == nil {
			c.h.latency.Note(h.Cluster, time.Since(began)) // another was quicker; it took longer than this
		}
		if errors.Is(err, storage.ErrRefused) && f.Key != "" {
			return nil, s3err.NoSuchKey(f.Key) // it can't be there
		}
		return nil, err
	}
	c.h.latency.Note(h.Cluster, time.Since(began))
	return a, nil
}

// passes reports whether another storage may do what one could not.
func passes(err error) bool {
	return errors.Is(err, replication.ErrDown) || errors.Is(err, storage.ErrUnavailable)
}

// authoritative reports whether an answer stands for the object: 404 only where the primary
// says so, and no complaint of a storage about FaDO's credentials or about itself.
func authoritative(a *storage.Answer, h *routing.Holder) bool {
	switch {
	case a.Status >= http.StatusInternalServerError, a.Status == http.StatusForbidden, a.Status == http.StatusUnauthorized:
		return false
	case a.Status == http.StatusNotFound:
		return h.Primary
	}
	return true
}

// readAnswer reads a short answer that must be a success.
func (c *call) readAnswer(a *storage.Answer) ([]byte, error) {
	defer a.Body.Close()
	if a.Status != http.StatusOK {
		return nil, c.storageError(a.Status, a.Header, a.Body)
	}
	return io.ReadAll(a.Body) // bounded by the storage's client
}
