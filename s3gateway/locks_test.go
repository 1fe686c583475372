package s3gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/testenv"
)

// locked makes a bucket with object lock through the endpoint, by a policy. On a busy machine
// its storage may take longer than the answer waits, which says that the bucket exists.
func (w *world) locked(bucket, policy string) {
	w.Helper()
	status, _, body := w.do(http.MethodPut, "/"+bucket, http.Header{"X-Fado-Policy": {policy}, "X-Amz-Bucket-Object-Lock-Enabled": {"true"}}, "")
	late := status == http.StatusServiceUnavailable && strings.Contains(body, "The bucket exists, but its storage is not ready yet")
	if status != http.StatusOK && !late {
		w.Fatalf("making a bucket with object lock: %d %s", status, body)
	}
	w.await(bucket+" is at its storage", func() bool {
		status, _, _ := w.do(http.MethodGet, "/"+bucket+"?object-lock", nil, "")
		return status == http.StatusOK
	})
	w.awaitOK(bucket)
}

// putLocked writes an object under a lock and returns its version.
func (w *world) putLocked(bucket, key string, o minio.PutObjectOptions) string {
	w.Helper()
	o.DisableMultipart = true
	info, err := w.api.PutObject(context.Background(), bucket, key, strings.NewReader("content"), 7, o)
	w.must(err)
	return info.VersionID
}

// lockAt returns what protects the current version of an object at a server.
func (w *world) lockAt(srv *testenv.Server, bucket, key string) (mode, until, hold string) {
	w.Helper()
	info, err := w.direct(srv).StatObject(context.Background(), w.prefix+bucket, key, minio.StatObjectOptions{})
	w.must(err)
	h := info.Metadata
	return h.Get("X-Amz-Object-Lock-Mode"), h.Get("X-Amz-Object-Lock-Retain-Until-Date"), h.Get("X-Amz-Object-Lock-Legal-Hold")
}

// A bucket is created with object lock, at each of its storages; what locks an object locks its
// copies, and changes of it are followed.
func TestObjectLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a, b := minioA.Server(t), minioB.Server(t)
	w.cluster("c1", a)
	w.cluster("c2", b)
	w.policy("both", 2, "c1", "c2")
	w.feedsLive("c1", "c2")
	w.locked("worm", "both")
	ctx := context.Background()

	mode, days, unit := minio.Governance, uint(1), minio.Days
	w.must(w.api.SetObjectLockConfig(ctx, "worm", &mode, &days, &unit))
	enabled, gotMode, gotDays, _, err := w.api.GetObjectLockConfig(ctx, "worm")
	w.must(err)
	if enabled != "Enabled" || *gotMode != mode || *gotDays != days {
		t.Errorf("the bucket's rule is %s %v %v", enabled, gotMode, gotDays)
	}
	id := w.putLocked("worm", "by-rule", minio.PutObjectOptions{})
	w.awaitCopy("worm", "by-rule", "c2")
	m1, u1, _ := w.lockAt(a, "worm", "by-rule")
	m2, u2, _ := w.lockAt(b, "worm", "by-rule")
	if m1 != "GOVERNANCE" || m2 != m1 || u2 != u1 {
		t.Errorf("locked by the rule: %s until %s, its copy %s until %s", m1, u1, m2, u2)
	}

	w.putLocked("worm", "held", minio.PutObjectOptions{LegalHold: minio.LegalHoldEnabled, Mode: minio.Compliance, RetainUntilDate: time.Now().Add(time.Hour)})
	w.awaitCopy("worm", "held", "c2")
	if m, _, hold := w.lockAt(b, "worm", "held"); m != "COMPLIANCE" || hold != "ON" {
		t.Errorf("the copy's lock is %s, hold %s", m, hold)
	}
	off := minio.LegalHoldDisabled
	w.must(w.api.PutObjectLegalHold(ctx, "worm", "held", minio.PutObjectLegalHoldOptions{Status: &off}))
	later := time.Now().Add(3 * time.Hour)
	w.must(w.api.PutObjectRetention(ctx, "worm", "held", minio.PutObjectRetentionOptions{Mode: new(minio.Compliance), RetainUntilDate: &later}))
	_, want, _ := w.lockAt(a, "worm", "held")
	w.await("the copy's lock is changed, too", func() bool {
		_, until, hold := w.lockAt(b, "worm", "held")
		return hold != "ON" && until == want
	})
	w.awaitOK("worm")

	if err := w.api.RemoveObject(ctx, "worm", "by-rule", minio.RemoveObjectOptions{VersionID: id}); !strings.Contains(errText(err), "WORM") {
		t.Errorf("removing a locked version: %v", err)
	}
	w.must(w.api.RemoveObject(ctx, "worm", "by-rule", minio.RemoveObjectOptions{VersionID: id, GovernanceBypass: true}))
	if got := w.get("worm", "by-rule"); got != "NoSuchKey" {
		t.Errorf("removed with leave to: %q", got)
	}
}

// A bucket that had object lock before FaDO knew it has it at its copies, too.
func TestObjectLockOfAnImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a, b := minioA.Server(t), minioB.Server(t)
	w.cluster("c1", a)
	w.cluster("c2", b)
	w.policy("both", 2, "c1", "c2")
	ctx := context.Background()
	w.must(w.direct(a).MakeBucket(ctx, w.prefix+"old", minio.MakeBucketOptions{ObjectLocking: true}))
	_, err := w.direct(a).Client.PutObject(ctx, w.prefix+"old", "held", strings.NewReader("content"), 7,
		minio.PutObjectOptions{LegalHold: minio.LegalHoldEnabled, SendContentMd5: true})
	w.must(err)
	w.bucket("old", "both", "c1")
	w.awaitCopy("old", "held", "c2")
	if _, _, hold := w.lockAt(b, "old", "held"); hold != "ON" {
		t.Errorf("the copy's hold is %q", hold)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// What a lock keeps at a copy that leaves stays there, and the bucket says so; the rest goes. Once
// the lock is gone the copy goes.
func TestLockedCopiesStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := minioB.Server(t)
	w.cluster("c1", minioA.Server(t))
	w.cluster("c2", b)
	w.policy("both", 2, "c1", "c2")
	w.policy("one", 1, "c1")
	w.locked("worm", "both")
	ctx := context.Background()
	w.putLocked("worm", "held", minio.PutObjectOptions{LegalHold: minio.LegalHoldEnabled})
	w.putLocked("worm", "free", minio.PutObjectOptions{})
	w.awaitCopy("worm", "held", "c2")
	w.awaitCopy("worm", "free", "c2")

	bucket := w.ctl.Router().Snapshot().Bucket("worm")
	w.apply(&catalog.Bucket{Name: "worm", Policy: "one", Primary: bucket.Primary, ObjectLock: true})
	at := w.direct(b)
	w.await("the other object goes", func() bool {
		_, err := at.StatObject(ctx, w.prefix+"worm", "free", minio.StatObjectOptions{})
		return code(err) == "NoSuchKey"
	})
	w.await("the bucket says what keeps the copy", func() bool {
		st, err := w.ctl.Status.Bucket(ctx, "worm")
		return err == nil && st.State != control.BucketOK && strings.Contains(strings.Join(texts(st), " "), "locked")
	})
	if _, err := at.StatObject(ctx, w.prefix+"worm", "held", minio.StatObjectOptions{}); err != nil {
		t.Errorf("what is locked: %v", err)
	}
	off := minio.LegalHoldDisabled
	w.must(w.direct(b).PutObjectLegalHold(ctx, w.prefix+"worm", "held", minio.PutObjectLegalHoldOptions{Status: &off}))
	w.awaitOK("worm")
	w.await("the copy's bucket is gone", func() bool {
		ok, err := at.BucketExists(ctx, w.prefix+"worm")
		return err == nil && !ok
	})
}

// A primary that moves takes locks along, and what they keep at the former one stays there, too.
func TestLockedObjectsMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a, b := minioA.Server(t), minioB.Server(t)
	w.cluster("c1", a)
	w.cluster("c2", b)
	w.policy("one", 1, "c1", "c2")
	w.locked("worm", "one")
	ctx := context.Background()
	w.putLocked("worm", "held", minio.PutObjectOptions{LegalHold: minio.LegalHoldEnabled})
	w.apply(&catalog.Bucket{Name: "worm", Policy: "one", Primary: "c2", ObjectLock: true})
	w.await("the bucket is written in c2", func() bool { return w.ctl.Router().Snapshot().Of("worm").Primary() == "c2" })
	w.await("the bucket says what keeps the former copy", func() bool {
		st, err := w.ctl.Status.Bucket(ctx, "worm")
		return err == nil && st.State == control.BucketStuck && strings.Contains(strings.Join(texts(st), " "), "locked")
	})
	for _, srv := range []*testenv.Server{a, b} {
		if _, _, hold := w.lockAt(srv, "worm", "held"); hold != "ON" {
			t.Errorf("at %s the hold is %q", srv.Endpoint, hold)
		}
	}
	if got := w.get("worm", "held"); got != "content" {
		t.Errorf("read %q", got)
	}
	off := minio.LegalHoldDisabled
	w.must(w.direct(a).PutObjectLegalHold(ctx, w.prefix+"worm", "held", minio.PutObjectLegalHoldOptions{Status: &off}))
	w.awaitOK("worm")
	if _, _, hold := w.lockAt(b, "worm", "held"); hold != "ON" {
		t.Errorf("the primary's hold is %q", hold)
	}
}

// The rule that locks new objects moves with the primary: so does its change, and its end.
func TestLockRuleMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a, b := minioA.Server(t), minioB.Server(t)
	w.cluster("c1", a)
	w.cluster("c2", b)
	w.policy("both", 2, "c1", "c2")
	w.locked("worm", "both")
	mode, days, unit := minio.Governance, uint(3), minio.Days
	w.must(w.api.SetObjectLockConfig(context.Background(), "worm", &mode, &days, &unit))
	move := func(to string) {
		t.Helper()
		w.apply(&catalog.Bucket{Name: "worm", Policy: "both", Primary: to, ObjectLock: true})
		w.await("the bucket is written in "+to, func() bool { return w.ctl.Router().Snapshot().Of("worm").Primary() == to })
	}
	move("c2")
	w.putLocked("worm", "new", minio.PutObjectOptions{})
	if m, until, _ := w.lockAt(b, "worm", "new"); m != "GOVERNANCE" || until == "" {
		t.Errorf("what is written at the new primary is locked as %q until %q", m, until)
	}
	w.awaitOK("worm")
	w.must(w.api.SetObjectLockConfig(context.Background(), "worm", nil, nil, nil))
	move("c1")
	w.putLocked("worm", "free", minio.PutObjectOptions{})
	if m, _, _ := w.lockAt(a, "worm", "free"); m != "" {
		t.Errorf("written after the rule's end: locked as %q", m)
	}
}

// Where objects are written anywhere their locks are set with their content: copies follow no
// change of them, so none is taken.
func TestLocksWhereWrittenAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h *Handler) { h.Cluster = "c2" })
	a, b := minioA.Server(t), minioB.Server(t)
	w.cluster("c1", a)
	w.cluster("c2", b)
	both := []string{"c1", "c2"}
	w.apply(&catalog.Policy{Name: "any", Copies: catalog.Copies{N: 2}, Clusters: both, Prefer: both, Writes: catalog.WritesAnywhere})
	w.feedsLive("c1", "c2")
	w.locked("worm", "any")
	ctx := context.Background()
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	w.putLocked("worm", "held", minio.PutObjectOptions{LegalHold: minio.LegalHoldEnabled, Mode: minio.Governance, RetainUntilDate: until})
	w.awaitCopy("worm", "held", "c1")
	for _, srv := range []*testenv.Server{a, b} {
		if m, _, hold := w.lockAt(srv, "worm", "held"); m != "GOVERNANCE" || hold != "ON" {
			t.Errorf("at %s: locked as %q, hold %q", srv.Endpoint, m, hold)
		}
	}
	off, later := minio.LegalHoldDisabled, until.Add(time.Hour)
	mode, days, unit := minio.Governance, uint(3), minio.Days
	for name, err := range map[string]error{
		"PutObjectLegalHold":         w.api.PutObjectLegalHold(ctx, "worm", "held", minio.PutObjectLegalHoldOptions{Status: &off}),
		"PutObjectRetention":         w.api.PutObjectRetention(ctx, "worm", "held", minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: &later}),
		"PutObjectLockConfiguration": w.api.SetObjectLockConfig(ctx, "worm", &mode, &days, &unit),
	} {
		if code(err) != "NotImplemented" || !strings.Contains(errText(err), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m, _, hold := w.lockAt(b, "worm", "held"); m != "GOVERNANCE" || hold != "ON" {
		t.Errorf("a refused change was made: locked as %q, hold %q", m, hold)
	}
}

func texts(st control.BucketStatus) (out []string) {
	for _, r := range st.Reasons {
		out = append(out, r.Text)
	}
	return out
}

// Object lock passes through to a storage that is no MinIO.
func TestObjectLockAtAnotherStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.cluster("c1", versA.Server(t))
	w.policy("one", 1, "c1")
	w.locked("worm", "one")
	ctx := context.Background()
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	id := w.putLocked("worm", "k", minio.PutObjectOptions{Mode: minio.Governance, RetainUntilDate: until})
	mode, got, err := w.api.GetObjectRetention(ctx, "worm", "k", id)
	w.must(err)
	if *mode != minio.Governance || !got.Equal(until) {
		t.Errorf("retained as %v until %v", *mode, got)
	}
	if err := w.api.RemoveObject(ctx, "worm", "k", minio.RemoveObjectOptions{VersionID: id}); code(err) != "AccessDenied" {
		t.Errorf("removing a locked version: %v", err)
	}
	w.must(w.api.RemoveObject(ctx, "worm", "k", minio.RemoveObjectOptions{VersionID: id, GovernanceBypass: true}))
}
