package replication

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fado-project/fado/replication/internal/guard"
	"github.com/fado-project/fado/replication/internal/ids"
	"github.com/fado-project/fado/replication/internal/queue"
	"github.com/fado-project/fado/replication/internal/site"
	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/state"
	"github.com/fado-project/fado/storage"
)

// Why a user's request can't be made at a storage, besides the errors of package storage and
// those of a store that takes no rows.
var (
	// ErrForbidden: the policy does not allow the object there, or not on this way.
	ErrForbidden = guard.ErrForbidden
	// ErrPath: the policy does not let the object's bytes pass through this instance.
	ErrPath = guard.ErrPath
	// ErrMoving: the bucket's primary is moving; the same request succeeds soon.
	ErrMoving = guard.ErrMoving
	// ErrMoved is an ErrMoving of a write of which nothing was begun: it is to be made elsewhere.
	ErrMoved = fmt.Errorf("users no longer write there: %w", guard.ErrMoving)
	// ErrDown: the storage is known not to answer.
	ErrDown = site.ErrDown
	// ErrStore: what a write would change can't be recorded.
	ErrStore = state.ErrUnavailable
)

// Gateway is the way of users' requests to the storages. Reads are bound by the storage being
// up; writes pass the guard, and every other copy of what they change is an exception to
// freshness before a storage can show the change. See [Gateway.Write].
type Gateway struct {
	core
	intake   *queue.Intake
	attempts *queue.Attempts
}

// Gateway returns the engine's.
func (e *Engine) Gateway() *Gateway {
	return &Gateway{core: e.core, intake: e.queue.Intake, attempts: e.queue.Attempts}
}

// Passage is where the bytes of an object go on their way to or from a user.
type Passage struct {
	Bucket, Key string
	Cluster     string // whose storage is asked
	Via         string // the cluster that this endpoint is in; "" where that is not said
	// Cut, when set, is called when a change forbids the passage while bytes pass: it must end
	// what is sent to the client, or read from it, however slow it is, and not block.
	Cut func()
}

// allowed judges the way of the bytes, not where they are: what still is where its policy no
// longer allows it may be read until it has moved.
func (p Passage) allowed(s *routing.Snapshot) bool {
	return s.Of(p.Bucket).Passes(p.Key) && (p.Via == "" || s.Of(p.Bucket).Allows(p.Key, p.Via))
}

// cutWith calls Cut when a change forbids what goes on in ctx.
func (p Passage) cutWith(ctx context.Context) {
	if p.Cut != nil {
		context.AfterFunc(ctx, func() {
			if errors.Is(context.Cause(ctx), ErrForbidden) {
				p.Cut()
			}
		})
	}
}

// Capabilities returns what is known of a cluster's storage, and whether anything is.
func (g *Gateway) Capabilities(cluster string) (storage.Capabilities, bool) {
	s := g.sites.Get(cluster)
	if s == nil || !s.Opened() {
		return storage.Capabilities{}, false
	}
	return s.Reader().Capabilities()
}

// ListsUploads tells how a cluster's storage lists uploads under way.
func (g *Gateway) ListsUploads(ctx context.Context, cluster string) (storage.UploadLists, error) {
	s, err := g.sites.Usable(cluster)
	if err != nil {
		return 0, err
	}
	return storage.ListsUploads(ctx, s.Reader())
}

// OwnUploads returns the IDs of the uploads that FaDO itself has under way in a bucket, by their
// clusters: of copies, which are not the users'.
func (g *Gateway) OwnUploads(ctx context.Context, bucket string) (byCluster map[string][]string, err error) {
	byCluster = make(map[string][]string)
	err = g.ctl.Store().Uploads().EachUpload(ctx, func(u state.Upload) error {
		if id := storage.UploadID(u.Token); u.Bucket == bucket && id != "" {
			byCluster[u.Cluster] = append(byCluster[u.Cluster], id)
		}
		return nil
	})
	return byCluster, err
}

// Presign returns a URL by which anyone may read an object at a cluster's storage until it
// expires; "" where that storage has not been opened yet.
func (g *Gateway) Presign(cluster, bucket, key string, expires time.Duration) string {
	s := g.sites.Get(cluster)
	if s == nil || !s.Opened() {
		return ""
	}
	u, err := storage.Presign(s.Reader(), bucket, key, expires)
	if err != nil {
		return ""
	}
	return u
}

// Read makes a request that changes nothing at a cluster's storage. The answer's body ends
// early when a change of the catalogue forbids the passage, or when the storage goes down; it
// must be closed.
func (g *Gateway) Read(ctx context.Context, p Passage, f *storage.Forward) (*storage.Answer, error) {
	s, err := g.sites.Usable(p.Cluster)
	if err != nil {
		return nil, err
	}
	ctx, end, err := g.guard.Carry(ctx, p.Cluster, p.allowed)
	if err != nil {
		g.ctl.Router().Ledger.Refused(g.snap(), p.Bucket, p.Key, cmp.Or(p.Via, g.snap().Here()))
		return nil, err
	}
	if err := refused(ctx, s, f); err != nil {
		end()
		return nil, err
	}
	p.cutWith(ctx)
	a, err := storage.Ask(ctx, s.Reader(), f)
	s.Observed(err)
	if err != nil {
		err = causeOf(ctx, err)
		end()
		return nil, err
	}
	a.Body = &passingBody{ReadCloser: a.Body, ctx: ctx, end: end}
	return a, nil
}

// CanBring returns why an object of some size can't be copied to a cluster now; nil where no
// reason is known.
func (g *Gateway) CanBring(cluster string, size int64) error { return g.attempts.Ready(cluster, size) }

// Lasts reports whether waiting alone does not mend what Bring returned: the object is in
// conflict there, its removal is held, the policy does not allow it, or replication is paused.
func Lasts(err error) bool { return queue.Lasts(err) }

// Bring returns nil once a cluster's copy has what the object's primary has now, or later. It is
// made at once, before all that waits for its turn.
func (g *Gateway) Bring(ctx context.Context, bucket, key, cluster string, size int64) error {
	return g.attempts.Now(ctx, ids.ObjectIn(bucket, key, cluster), size)
}

// Keep registers bytes of objects that stay here between two reads of users, and refuses with
// [ErrForbidden] what the catalogue does not allow to be here. The context it returns ends when a
// change forbids them; that change is answered after end, which must be called once they are
// gone.
func (g *Gateway) Keep(allowed func(*routing.Snapshot) bool) (_ context.Context, end func(), err error) {
	return g.guard.Carry(context.Background(), "", allowed)
}

// causeOf names why the passage was ended, if that is what an error comes from.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && (errors.Is(cause, ErrForbidden) || errors.Is(cause, ErrDown)) {
		return cause
	}
	return err
}

// Refuses reports whether a request would be refused at a cluster because of the names in it; see
// [storage.Refused].
func (g *Gateway) Refuses(ctx context.Context, cluster string, f *storage.Forward) (bool, error) {
	s, err := g.sites.Usable(cluster)
	if err != nil {
		return false, err
	}
	err = refused(ctx, s, f)
	if errors.Is(err, storage.ErrRefused) {
		return true, nil
	}
	return false, err
}

// refused keeps names from storages that would take them for other ones.
func refused(ctx context.Context, s *site.Site, f *storage.Forward) error {
	if f.Key == "" && len(f.Names) == 0 && len(f.Query) == 0 {
		return nil
	}
	why, err := storage.Refused(ctx, s.Reader(), f)
	if err == nil && why != "" {
		err = fmt.Errorf("the storage of %s: %s: %w", s.Name(), why, storage.ErrRefused)
	}
	return err
}

// passingBody is the body of an answer on its way to a user.
type passingBody struct {
	io.ReadCloser
	ctx   context.Context
	end   func()
	ended atomic.Bool
}

func (b *passingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = causeOf(b.ctx, err)
	}
	return n, err
}

func (b *passingBody) Close() error {
	err := b.ReadCloser.Close()
	if !b.ended.Swap(true) {
		b.end()
	}
	return err
}

// A UserWrite is a user's request that may change something at a storage.
type UserWrite struct {
	Passage
	// Keys that change when the request succeeds; none where users see no change of an
	// object: a part of an upload, a setting of a bucket.
	Keys []string
	// Bucket settings and uploads are the business of the bucket as a whole: some rule of it
	// must allow the cluster.
	Whole bool
}

// keys are those that a write is judged by.
func (w *UserWrite) keys() []string {
	if len(w.Keys) == 0 {
		return []string{w.Key}
	}
	return w.Keys
}

// allowed judges a write by a snapshot: its place, its way, and who writes there.
func (w *UserWrite) allowed(s *routing.Snapshot) bool { return w.mayBe(s) && w.writes(s) }

// mayBe reports whether policy lets the bytes pass, and be there.
func (w *UserWrite) mayBe(s *routing.Snapshot) bool {
	if w.Whole && !guard.AnyRule(w.Bucket, w.Cluster)(s) {
		return false
	}
	for _, k := range w.keys() {
		way := Passage{Bucket: w.Bucket, Key: k, Via: w.Via}
		if !w.Whole && !s.Of(w.Bucket).Allows(k, w.Cluster) || !way.allowed(s) {
			return false
		}
	}
	return true
}

// writes reports whether users write the keys in the cluster.
func (w *UserWrite) writes(s *routing.Snapshot) bool {
	for _, k := range w.keys() {
		if !s.Of(w.Bucket).Writer(k, w.Cluster) {
			return false
		}
	}
	return true
}

// Written is a storage's answer to a write.
type Written struct {
	Status int
	Header http.Header
	Body   []byte
}

// intentFor is how long rows of writes that are about to happen are left alone by the workers, beyond what
// a storage may take for them: a worker that looked before would find nothing to do. If this instance ends
// meanwhile, they look afterwards what became of the write.
const intentFor = time.Minute

// Write makes a request that may change something at a cluster's storage.
//
// Before the storage can show the change (before a request without a body goes out, or before
// the last byte of one does) every other copy of the keys is an exception to freshness on every
// instance, durably: a read that sees the change is never followed by one that does not. When
// Write returns an answer of success the workers have the rows, renewed after the storage's
// answer and confirmed by every instance, so that any read through any instance sees the write.
// An error says that the write may not be acknowledged; it may have happened nevertheless.
func (g *Gateway) Write(ctx context.Context, w UserWrite, f *storage.Forward) (out *Written, err error) {
	s, err := g.sites.Usable(w.Cluster)
	if err != nil {
		return nil, err
	}
	op := guard.Op{
		Object: ids.ObjectIn(w.Bucket, w.Key, w.Cluster), Total: f.Size, User: true, Silent: len(w.Keys) == 0, Allowed: w.allowed,
	}
	begun := false
	err = g.guard.Do(ctx, op, func(ctx context.Context, p *guard.Pass) error {
		begun = true
		if err := refused(ctx, s, f); err != nil {
			return err
		}
		w.cutWith(ctx)
		out, err = g.write(ctx, s, p, &w, f)
		return err
	})
	if snap := g.snap(); errors.Is(err, guard.ErrForbidden) && w.mayBe(snap) {
		err = ErrMoving // it is about who writes, not about where bytes may be
		if !begun {
			err = ErrMoved
		}
	}
	return out, err
}

func (g *Gateway) write(ctx context.Context, s *site.Site, p *guard.Pass, w *UserWrite, f *storage.Forward) (*Written, error) {
	writer, err := p.Writer(s)
	if err != nil {
		return nil, err
	}
	req, intent := *f, &intent{do: func() error { return g.intend(ctx, w, p, f) }}
	if f.Body == nil || f.Size == 0 {
		if err := intent.note(); err != nil {
			return nil, err
		}
	} else {
		req.Body = &lastByte{r: f.Body, left: f.Size, before: intent.note}
	}
	out, err := g.send(ctx, s, writer, &req)
	noted, late := intent.outcome()
	if late != nil {
		return nil, late
	}
	if err != nil { // what became of it is open: the rows stay until their time comes
		if noted && ctx.Err() == nil { // the storage is done with it
			if late := g.note(ctx, w, f.Size, intentFor); late != nil {
				err = errors.Join(err, late)
			}
		}
		return nil, err
	}
	if !noted {
		return out, nil // refused before the storage had it all
	}
	rows := g.rows(w, f.Size)
	if err := g.ctl.Pending.AddEverywhere(context.WithoutCancel(ctx), rows...); err != nil {
		return nil, err
	}
	if err := g.stillWriter(ctx, w); err != nil {
		return out, err
	}
	// Another instance may have made copies of what was there before, of which this one has only heard now.
	if unseen := queue.Unseen(g.rows(w, f.Size), rows); len(unseen) > 0 {
		err = g.ctl.Pending.AddEverywhere(context.WithoutCancel(ctx), unseen...)
	}
	return out, err
}

// intend notes what a write is about to change. A primary that is moving refuses what it does not
// wait for: it either finds the rows, or this finds that it moves.
func (g *Gateway) intend(ctx context.Context, w *UserWrite, p *guard.Pass, f *storage.Forward) error {
	if err := g.note(ctx, w, f.Size, f.Wait+intentFor); err != nil {
		return err
	}
	err := g.guard.MayShow(p.Op())
	if err != nil && len(w.Keys) > 0 {
		return errors.Join(err, g.note(context.WithoutCancel(ctx), w, f.Size, 0)) // nothing comes of it
	}
	return nil
}

// send makes the request and reads its answer, which is short.
func (g *Gateway) send(ctx context.Context, s *site.Site, w storage.Writer, f *storage.Forward) (*Written, error) {
	a, err := storage.Send(ctx, w, f)
	s.Observed(err)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		return nil, err
	}
	return &Written{Status: a.Status, Header: a.Header, Body: body}, nil
}

// note makes rows of what a write changes, due after a while.
func (g *Gateway) note(ctx context.Context, w *UserWrite, size int64, after time.Duration) error {
	rows := g.rows(w, size)
	if after > 0 {
		due := g.now().Add(after)
		for i := range rows {
			rows[i].NextAttempt = due
		}
	}
	return g.ctl.Pending.AddEverywhere(ctx, rows...)
}

// rows are those of what a write changes.
func (g *Gateway) rows(w *UserWrite, size int64) []state.Pending {
	events := make([]queue.Event, len(w.Keys))
	for i, k := range w.Keys {
		events[i] = queue.Event{Cluster: w.Cluster, Event: storage.Event{Bucket: w.Bucket, Key: k, Size: size, Removed: true}}
	}
	return g.intake.RowsFor(events)
}

// stillWriter refuses to acknowledge a write to what another instance has made a former
// primary meanwhile: the write will be carried over, but is not to be read yet.
func (g *Gateway) stillWriter(ctx context.Context, w *UserWrite) error {
	if err := g.ctl.Members.CatchUp(ctx); err != nil {
		return fmt.Errorf("making sure of the bucket's primary: %w: %w", err, state.ErrUnavailable)
	}
	if !w.allowed(g.snap()) {
		return ErrMoving
	}
	return nil
}

// intent is the noting of what is about to happen, once. A transport may go on to read a body
// after its request was answered.
type intent struct {
	do func() error

	mu    sync.Mutex
	noted bool
	err   error
}

func (i *intent) note() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.noted {
		i.noted = true
		i.err = i.do()
	}
	return i.err
}

func (i *intent) outcome() (noted bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.noted, i.err
}

// lastByte hands the last bytes of a body out only once the body is known to be whole, and
// something was done.
type lastByte struct {
	r      io.Reader
	left   int64
	before func() error
}

func (b *lastByte) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	if int64(n) < b.left {
		b.left -= int64(n)
		return n, err
	}
	if !errors.Is(err, io.EOF) {
		if err = atEnd(b.r, err); err != nil {
			return 0, err
		}
	}
	if err := b.before(); err != nil {
		return 0, err
	}
	b.left = 0
	return n, nil
}

// atEnd returns nil if nothing is left of a reader: what checks a body says so in place of its
// end.
func atEnd(r io.Reader, err error) error {
	var more [1]byte
	for err == nil {
		var n int
		if n, err = r.Read(more[:]); n > 0 {
			return errors.New("the body is longer than was announced")
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Interface guard
var _ io.ReadCloser = (*passingBody)(nil)
