package replication

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/fado-project/fado/control"
)

// Verification is the last verification of a bucket, or the one under way.
type Verification struct {
	Bucket string
	// State is never, waiting, running, repairing (everything was compared, and what
	// differed is on its way), done, or failed.
	State string
	// Deep: the bytes were read again, not only the listings.
	Deep bool
	// Error says why the last attempt ended early; it is tried again unless the state is
	// failed.
	Error    string
	Started  *time.Time
	Finished *time.Time
	// Objects and bytes compared so far, each copy's counted. Bytes are those of the
	// listings, or with deep those that were read.
	Objects int64
	Bytes   int64
	// Total objects and bytes, as far as they were known at the start.
	Total      int64
	TotalBytes int64
	// Estimate is when it will have ended at the pace so far; nil if that can't be told.
	Estimate *time.Time
	// Mismatches found, and what became of them: repaired from a good copy, or not.
	Mismatches   int64
	Repaired     int64
	Unrepairable int64
	// Keys lists mismatches, at most 100 of them.
	Keys []Mismatch
}

// Mismatch is an object in one cluster that was not what it should be.
type Mismatch struct {
	Key     string
	Cluster string
	Reason  string
	// State is repairing, repaired or unrepairable.
	State string
}

// The states of a Verification and of a Mismatch.
const (
	verifyNever     = "never"
	verifyWaiting   = "waiting"
	verifyRunning   = "running"
	verifyRepairing = "repairing"
	verifyDone      = "done"
	verifyFailed    = "failed"

	mismatchRepairing    = "repairing"
	mismatchRepaired     = "repaired"
	mismatchUnrepairable = "unrepairable"
)

const (
	maxMismatches   = 100     // listed
	maxRepairs      = 100_000 // followed until they are done
	verifyAtATime   = 2       // buckets
	verifySave      = 2 * time.Second
	verifyAttempts  = 20 // in a row without getting further
	metaVerify      = "verify/bucket/"
	metaVerifyIndex = "verify/node/"
)

// verification is one bucket's on this instance: what is shown, and where it stands.
type verification struct {
	mu   sync.Mutex
	show Verification
	// Done names the steps that have ended; Cursor is the key up to which the step named
	// Step has come, and at what had been compared when it came there.
	Done   []string
	Step   string
	Cursor string
	at     compared
	// deepSeen: the steps that were done last included those that read the bytes.
	deepSeen bool
	// closing, guarded by the verifier's mu: its outcome is being stored, so nobody may
	// join it any more. gone is closed when it is stored.
	closing bool
	gone    chan struct{}
	// repairs are the mismatches whose pending rows are to be followed.
	repairs map[objectRef]bool
	told    time.Time // of the last event
}

// compared counts what was compared.
type compared struct {
	Objects int64
	Bytes   int64
}

// storedVerification is what the store keeps of one; [encodeVerification] says how.
type storedVerification struct {
	Show    Verification
	Done    []string
	Step    string
	Cursor  string
	At      compared
	Repairs []objectKey
}

type objectKey struct {
	Key     string
	Cluster string
}

// verifier verifies buckets that somebody asked for on this instance, a few at a time. It
// survives restarts: the instance's buckets under way are noted in the store.
type verifier struct {
	*run
	wake chan struct{}

	mu    sync.Mutex
	known map[string]*verification // waiting or running, by bucket
	queue []string
	index verifyIndex
}

// verifyIndex is what this instance remembers of its verifications.
type verifyIndex struct {
	// Running buckets are gone on with after a restart.
	Running []string `json:"running,omitempty"`
	// Damaged tells per bucket what could not be repaired.
	Damaged map[string]string `json:"damaged,omitempty"`
}

func newVerifier(r *run) *verifier {
	return &verifier{run: r, wake: make(chan struct{}, 1), known: make(map[string]*verification)}
}

// VerifyBucket asks for a verification of a bucket; one that waits or runs already is
// what is asked for, unless it is to be deep and was not. control.ErrNotFound if there is
// no such bucket.
func (e *Engine) VerifyBucket(ctx context.Context, bucket string, deep bool) (Verification, error) {
	if e.ctl.Router().Snapshot().Bucket(bucket) == nil {
		return Verification{}, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	r := e.run.Load()
	if r == nil || e.conf().Disabled {
		return Verification{}, ErrOff
	}
	return r.verifier.request(ctx, bucket, deep)
}

// Verification returns the last verification of a bucket, or the one under way.
func (e *Engine) Verification(ctx context.Context, bucket string) (Verification, error) {
	if e.ctl.Router().Snapshot().Bucket(bucket) == nil {
		return Verification{}, fmt.Errorf("bucket %s: %w", bucket, control.ErrNotFound)
	}
	if r := e.run.Load(); r != nil {
		if v := r.verifier.find(bucket); v != nil {
			return v.view(e.now()), nil
		}
	}
	st, err := e.loadVerification(ctx, bucket)
	return st.Show, err
}

func (e *Engine) loadVerification(ctx context.Context, bucket string) (storedVerification, error) {
	st := storedVerification{Show: Verification{Bucket: bucket, State: verifyNever, Keys: []Mismatch{}}}
	text, err := e.ctl.Store().GetMeta(ctx, metaVerify+bucket)
	if err != nil || text == "" {
		return st, err
	}
	if err := decodeVerification(text, &st); err != nil {
		return st, fmt.Errorf("reading the verification of bucket %s: %w", bucket, err)
	}
	if st.Show.Keys == nil {
		st.Show.Keys = []Mismatch{}
	}
	return st, nil
}

// verifications lists those that wait or run on this instance, by bucket.
func (r *run) verifications() []Verification {
	list := []Verification{}
	r.verifier.mu.Lock()
	known := make([]*verification, 0, len(r.verifier.known))
	for _, v := range r.verifier.known {
		known = append(known, v)
	}
	r.verifier.mu.Unlock()
	for _, v := range known {
		list = append(list, v.view(r.now()))
	}
	slices.SortFunc(list, func(a, b Verification) int { return strings.Compare(a.Bucket, b.Bucket) })
	return list
}

func (v *verifier) find(bucket string) *verification {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.known[bucket]
}

// request notes that a bucket is to be verified, durably, and returns what is shown of it.
// One that has come to its end is not what is asked for: a new one begins behind it.
func (v *verifier) request(ctx context.Context, bucket string, deep bool) (Verification, error) {
	v.mu.Lock()
	vn := v.known[bucket]
	for vn != nil && vn.closing {
		v.mu.Unlock()
		select {
		case <-vn.gone:
		case <-ctx.Done():
			return Verification{}, context.Cause(ctx)
		}
		v.mu.Lock()
		vn = v.known[bucket]
	}
	if vn != nil && (vn.view(v.now()).Deep || !deep) {
		v.mu.Unlock()
		return vn.view(v.now()), nil
	}
	if vn != nil { // under way with the listings alone: the bytes come behind them
		vn.mu.Lock()
		vn.show.Deep = true
		vn.mu.Unlock()
	} else {
		vn = newVerification(bucket, deep, v.now())
		v.known[bucket] = vn
		v.queue = append(v.queue, bucket)
	}
	v.mu.Unlock()
	if err := errors.Join(v.save(ctx, vn), v.saveIndex(ctx)); err != nil {
		return Verification{}, err
	}
	v.signal()
	return vn.view(v.now()), nil
}

func newVerification(bucket string, deep bool, now time.Time) *verification {
	return &verification{
		show:    Verification{Bucket: bucket, State: verifyWaiting, Deep: deep, Started: &now, Keys: []Mismatch{}},
		repairs: make(map[objectRef]bool), gone: make(chan struct{}),
	}
}

func (v *verifier) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// loop verifies until ctx ends. What is under way then goes on with the next start.
func (v *verifier) loop(ctx context.Context) {
	v.load(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, verifyAtATime)
	for ctx.Err() == nil {
		vn := v.next()
		if vn == nil {
			select {
			case <-ctx.Done():
			case <-v.wake:
			}
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Go(func() {
			defer func() { <-room }()
			v.verify(ctx, vn)
		})
	}
}

func (v *verifier) next() *verification {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.queue) == 0 {
		return nil
	}
	bucket := v.queue[0]
	v.queue = v.queue[1:]
	return v.known[bucket]
}

// load takes up what was under way when this instance ended.
func (v *verifier) load(ctx context.Context) {
	text, err := v.ctl.Store().GetMeta(ctx, v.indexKey())
	var idx verifyIndex
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &idx)
	}
	if err != nil {
		v.store(fmt.Errorf("reading which buckets were being verified: %w", err))
	}
	for bucket, why := range idx.Damaged {
		v.ctl.SetIssue(bucket, "verify", why)
	}
	v.mu.Lock()
	v.index.Damaged = idx.Damaged
	v.mu.Unlock()
	for _, bucket := range idx.Running {
		if v.ctl.Router().Snapshot().Bucket(bucket) == nil {
			continue
		}
		st, err := v.loadVerification(ctx, bucket)
		if err != nil {
			v.store(err)
			continue
		}
		v.resume(bucket, st)
	}
}

func (v *verifier) indexKey() string { return metaVerifyIndex + v.ctl.Node() }

func (v *verifier) resume(bucket string, st storedVerification) {
	vn := &verification{
		show: st.Show, Done: st.Done, Step: st.Step, Cursor: st.Cursor, at: st.At,
		repairs: make(map[objectRef]bool), gone: make(chan struct{}),
	}
	for _, k := range st.Repairs {
		vn.repairs[objectRef{bucket, k.Key, k.Cluster}] = true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known[bucket] == nil {
		v.known[bucket] = vn
		v.queue = append(v.queue, bucket)
	}
}

// save stores where a verification stands.
func (v *verifier) save(ctx context.Context, vn *verification) error {
	vn.mu.Lock()
	st := storedVerification{Show: vn.show, Done: vn.Done, Step: vn.Step, Cursor: vn.Cursor, At: vn.at}
	st.Show.Keys = slices.Clone(vn.show.Keys)
	for ref := range vn.repairs {
		st.Repairs = append(st.Repairs, objectKey{ref.key, ref.cluster})
	}
	vn.mu.Unlock()
	return v.put(ctx, st)
}

func (v *verifier) put(ctx context.Context, st storedVerification) error {
	text, err := encodeVerification(st)
	if err != nil {
		return fmt.Errorf("encoding a verification: %w", err)
	}
	return v.ctl.Store().PutMeta(ctx, metaVerify+st.Show.Bucket, text)
}

// saveIndex stores which buckets are under way here, and what could not be repaired.
func (v *verifier) saveIndex(ctx context.Context) error {
	v.mu.Lock()
	v.index.Running = v.index.Running[:0]
	for bucket := range v.known {
		v.index.Running = append(v.index.Running, bucket)
	}
	slices.Sort(v.index.Running)
	text, err := json.Marshal(v.index)
	v.mu.Unlock()
	if err != nil {
		return fmt.Errorf("encoding which buckets are being verified: %w", err)
	}
	return v.ctl.Store().PutMeta(ctx, v.indexKey(), string(text))
}

// close makes a verification one that nobody can join; false if it was joined since its
// last steps by somebody who wants the bytes read, too.
func (v *verifier) close(vn *verification, state string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	vn.mu.Lock()
	defer vn.mu.Unlock()
	if state == verifyDone && vn.show.Deep && !vn.deepSeen {
		return false
	}
	vn.closing = true
	return true
}

// ended notes how a verification ended; false if there is more to do. Its outcome is shown
// once it is stored.
func (v *verifier) ended(ctx context.Context, vn *verification, state string, cause error) bool {
	if !v.close(vn, state) {
		return false
	}
	now := v.now()
	vn.mu.Lock()
	show, damage := vn.show, vn.damage()
	vn.mu.Unlock()
	show.State, show.Finished, show.Error = state, &now, ""
	if cause != nil {
		show.Error = cause.Error()
	}
	if state == verifyDone {
		v.noteDamage(show.Bucket, damage)
	}
	v.store(v.put(ctx, storedVerification{Show: show}))
	v.mu.Lock()
	vn.mu.Lock()
	vn.show, vn.repairs = show, make(map[objectRef]bool)
	vn.mu.Unlock()
	delete(v.known, show.Bucket)
	v.mu.Unlock()
	close(vn.gone)
	v.store(v.saveIndex(ctx))
	vn.tell(v.ctl.Events(), v.now(), true)
	v.log.Info("verified a bucket", zap.String("bucket", show.Bucket), zap.String("state", state), zap.Bool("deep", show.Deep),
		zap.Int64("objects", show.Objects), zap.Int64("mismatches", show.Mismatches),
		zap.Int64("unrepairable", show.Unrepairable), zap.Error(cause))
	return true
}

// noteDamage says what could not be repaired in a bucket's status, over restarts; "" if
// everything is well.
func (v *verifier) noteDamage(bucket, damage string) {
	v.ctl.SetIssue(bucket, "verify", damage)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.index.Damaged == nil {
		v.index.Damaged = make(map[string]string)
	}
	if v.index.Damaged[bucket] = damage; damage == "" {
		delete(v.index.Damaged, bucket)
	}
}
