package statetest

import (
	"testing"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// formerRows are rows of every table but meta, which engines make differently, and since which version of the schema there is one.
// Values are written so that both engines read them as what their columns are.
var formerRows = []struct {
	since int
	sql   string
}{
	{1, "UPDATE counters SET seq = 7"},
	{1, "INSERT INTO resources (kind, name, rev, body, refs) VALUES ('bucket', 'b', 7, '{}', 'policy/gold')"},
	{1, "INSERT INTO referrers (to_kind, to_name, kind, name) VALUES ('policy', 'gold', 'bucket', 'b')"},
	{1, `INSERT INTO copies (bucket, prefix, cluster, state, flags, cursor, objects, bytes, error, verified_at, scan_cursor, owned_until, drain_since)
		VALUES ('b', 'p/', 'c1', 'synced', 1, 'cursor', 10, 100, 'why', 1000, 'scan', 2000, 3000)`},
	{1, `INSERT INTO pending (bucket, key, cluster, gen, size, since, attempts, next_attempt, error, hold, is_foreign, background, claimed_by, claim_until)
		VALUES ('b', 'p/k', 'c1', 9, 3, 1000, 2, 5000, 'failed', 'conflict', '1', '0', '', 0)`},
	{2, "INSERT INTO pulled (bucket, key, cluster, size, etag, used_at, until) VALUES ('b', 'k', 'c2', 5, 'etag', 1000, 2000)"},
	{2, "INSERT INTO uploads (bucket, key, cluster, token, started) VALUES ('b', 'k', 'c2', 'token', 1000)"},
	{3, "INSERT INTO purges (bucket, mode, primary_cluster, since) VALUES ('gone', 'all', 'c1', 1000)"},
	{3, "INSERT INTO purge_targets (bucket, cluster, is_primary, made_bucket, verified, owned_until, pulled_only) VALUES ('gone', 'c1', '1', '0', '1', 1000, '0')"},
	{3, "INSERT INTO purge_keys (bucket, cluster, key, etag) VALUES ('gone', 'c1', 'k', 'etag')"},
	{3, "INSERT INTO resolutions (bucket, key, winner, discard, asked, after_key, resolved, refused) VALUES ('b', 'k', 'c2', '1', 1000, 'a', 2, 3)"},
	{3, "INSERT INTO delete_allowances (bucket, prefix, cluster, remains, until) VALUES ('b', 'p/', 'c1', 4, 1000)"},
	{3, `INSERT INTO verifications (bucket, node, under_way, state, deep, error, started, finished, objects, bytes, total, total_bytes, mismatches, repaired, unrepairable,
		done, step, cursor, step_objects, step_bytes, damage) VALUES ('b', 'n', '1', 'comparing', '1', '', 1000, 0, 1, 2, 3, 4, 5, 6, 7, '["list"]', 'read', 'k', 8, 9, 'one object')`},
	{3, "INSERT INTO mismatches (bucket, key, cluster, reason, state) VALUES ('b', 'k', 'c1', 'size', 'repairing')"},
	{3, "INSERT INTO reports (name, body, at) VALUES ('r', 'body', 1000)"},
	{3, "UPDATE engine SET paused = '1', scrub_last = 1000, scrub_running = '1', scrub_after = 'a'"},
	{6, `INSERT INTO passes (sum, kind, id, name, role, how, proof, created, used, until)
		VALUES ('sum', 'token', 'id', 'ci', 'viewer', 'by ann', '', 1000, 2000, 3000)`},
	{7, "UPDATE counters SET revision = 7"},
	{8, `INSERT INTO audit (seq, at, node, kind, actor, subject, body, prev, hash) VALUES (1, 1000, 'n', 'change', 'ann', 'bucket b', '{}', '', 'hash')`},
	{8, "UPDATE counters SET audit_seq = 1, audit_hash = 'hash'"},
	{9, "UPDATE pending SET gone = 'v1 v2'"},
}

// second is so many seconds after the start of Unix time.
func second(n int64) time.Time { return time.Unix(n, 0).UTC() }

// FormerRows are the statements that fill a database of a version of the schema. The meta value
// "kept" is the engine's to add.
func FormerRows(version int) (statements []string) {
	for _, r := range formerRows {
		if r.since <= version {
			statements = append(statements, r.sql)
		}
	}
	return statements
}

// CheckFormerRows says whether a store holds all that FormerRows put into it when its schema
// had a version, and goes on from there.
func CheckFormerRows(t *testing.T, s state.Store, version int) {
	t.Helper()
	bucket := state.Record{Kind: catalog.KindBucket, Name: "b", Body: []byte(`{}`), Rev: 7, Refs: []state.Ref{ref(catalog.KindPolicy, "gold")}}
	equal(t, "resource", must(s.Catalogue().Get(ctx, catalog.KindBucket, "b"))(t), bucket)
	equal(t, "seq", must(s.ChangeLog().Seq(ctx))(t), 7)
	equal(t, "revision", must(s.Catalogue().Revision(ctx))(t), 7)
	equal(t, "meta value", must(s.Facts().GetMeta(ctx, "kept"))(t), "value")
	checkFormerCopies(t, s)
	checkFormerPending(t, s, version)
	if version >= 2 {
		checkFormerPulled(t, s)
	}
	if version >= 3 {
		checkFormerIntents(t, s)
	}
	if version >= 6 {
		passes := must(s.Passes().ListPasses(ctx, state.PassToken))(t)
		equal(t, "passes", passes, []state.Pass{{
			Kind: state.PassToken, Sum: "sum", ID: "id", Name: "ci", Role: "viewer", How: "by ann",
			Created: second(1), Used: second(2), Until: second(3),
		}})
	}
	if version >= 8 {
		equal(t, "end of the audit records", must(s.Audits().AuditHead(ctx))(t), audit.Head{Seq: 1, Hash: "hash"})
		records := must(s.Audits().AuditRecords(ctx, state.AuditFilter{}, 0))(t)
		equal(t, "number of audit records", len(records), 1)
		equal(t, "hash of the audit record", records[0].Hash, "hash")
	}
	update(t, s, func(tx state.Tx) error {
		equal(t, "referrers", must(tx.Referrers(ref(catalog.KindPolicy, "gold"), 10))(t), []state.Ref{ref(catalog.KindBucket, "b")})
		return tx.Put(record(catalog.KindZone, "z", `{}`))
	})
	equal(t, "seq of the next change", must(s.ChangeLog().Seq(ctx))(t), 8)
	added := add(t, s, pending("b", "p/k", "c1"))
	if added[0].Gen <= 9 {
		t.Errorf("the row has Gen %d when it is added again, and had 9 before", added[0].Gen)
	}
}

func checkFormerCopies(t *testing.T, s state.Store) {
	t.Helper()
	copies := must(s.Catalogue().CopiesOf(ctx, "b"))(t)
	equal(t, "number of copies", len(copies), 1)
	c := copies[0]
	equal(t, "copy", [...]any{c.Prefix, c.Cluster, c.State, c.Primary, c.Cursor, c.Objects, c.Bytes, c.Error, c.ScanCursor},
		[...]any{"p/", "c1", catalog.CopySynced, true, "cursor", int64(10), int64(100), "why", "scan"})
	equal(t, "times of the copy", [...]int64{c.VerifiedAt.Unix(), c.OwnedUntil.Unix(), c.DrainSince.Unix()}, [...]int64{1, 2, 3})
	equal(t, "sums of copies", must(s.Catalogue().CopySums(ctx))(t), []state.CopySum{{Cluster: "c1", State: catalog.CopySynced, Copies: 1, Objects: 10, Bytes: 100}})
	equal(t, "buckets", must(s.Catalogue().BucketCounts(ctx))(t), map[string]int64{"c1": 1})
}

func checkFormerPending(t *testing.T, s state.Store, version int) {
	t.Helper()
	p := onePending(t, s)
	want := state.Pending{
		Bucket: "b", Key: "p/k", Cluster: "c1", Gen: 9, Size: 3, Since: second(1), Attempts: 2, NextAttempt: second(5),
		Error: "failed", Hold: state.HoldConflict, Foreign: state.ForeignAny,
	}
	if version >= 9 {
		want.Gone = "v1 v2"
	}
	equal(t, "pending row", p, want)
	sum := state.Backlog{Bucket: "b", Cluster: "c1", Objects: 1, Bytes: 3, Oldest: second(1), Conflicts: 1}
	equal(t, "backlog", must(s.Queue().Backlogs(ctx, "b"))(t), []state.Backlog{sum})
	sum.Bucket, sum.Cluster = "", ""
	equal(t, "backlog of all", must(s.Queue().BacklogTotal(ctx))(t), sum)
}

func checkFormerPulled(t *testing.T, s state.Store) {
	t.Helper()
	equal(t, "pulled", must(s.Pulls().ListPulled(ctx, state.PulledFilter{}, 0))(t), []state.Pulled{
		{Bucket: "b", Key: "k", Cluster: "c2", Size: 5, ETag: "etag", UsedAt: second(1), Until: second(2)},
	})
	equal(t, "bytes pulled", must(s.Pulls().PulledBytes(ctx))(t), map[string]int64{"c2": 5})
	equal(t, "upload", must(s.Uploads().GetUpload(ctx, "b", "k", "c2"))(t), state.Upload{Bucket: "b", Key: "k", Cluster: "c2", Token: "token", Started: second(1)})
}

func checkFormerIntents(t *testing.T, s state.Store) {
	t.Helper()
	purges := must(s.Purges().Purges(ctx))(t)
	equal(t, "number of purges", len(purges), 1)
	equal(t, "purge", purges[0], state.Purge{
		ID: purges[0].ID, Bucket: "gone", Mode: state.PurgeAll, Primary: "c1", Since: second(1),
		Targets: []state.PurgeTarget{{Cluster: "c1", Primary: true, Verified: true, OwnedUntil: second(1)}},
	})
	equal(t, "keys of the purge", purgeKeys(t, s, "gone"), []state.PurgeKey{{Cluster: "c1", Key: "k", ETag: "etag"}})
	resolutions := must(s.Resolutions().Resolutions(ctx))(t)
	equal(t, "number of resolutions", len(resolutions), 1)
	equal(t, "resolution", resolutions[0], state.Resolution{
		ID: resolutions[0].ID, Bucket: "b", Key: "k", Winner: "c2", Discard: true, Asked: second(1), After: "a", Resolved: 2, Refused: 3,
	})
	equal(t, "allowances", must(s.Allowances().DeleteAllowances(ctx, ""))(t), []state.DeleteAllowance{{Bucket: "b", Prefix: "p/", Cluster: "c1", Left: 4, Until: second(1)}})
	equal(t, "verification", must(s.Verifications().GetVerification(ctx, "b"))(t), state.Verification{
		Bucket: "b", Node: "n", UnderWay: true, State: "comparing", Deep: true, Started: second(1), Objects: 1, Bytes: 2, Total: 3, TotalBytes: 4,
		Mismatches: 5, Repaired: 6, Unrepairable: 7, Done: []string{"list"}, Step: "read", Cursor: "k", StepObjects: 8, StepBytes: 9, Damage: "one object",
	})
	equal(t, "mismatches", must(s.Verifications().ListMismatches(ctx, "b", state.MismatchFilter{}, state.Mismatch{}, 0))(t),
		[]state.Mismatch{{Key: "k", Cluster: "c1", Reason: "size", State: "repairing"}})
	equal(t, "scrub", must(s.Verifications().GetScrub(ctx))(t), state.Scrub{Last: second(1), Running: true, After: "a"})
	equal(t, "paused", must(s.Pauses().Paused(ctx))(t), true)
	equal(t, "reports", must(s.Reports().ListReports(ctx, ""))(t), []state.Report{{Name: "r", Body: "body", At: second(1)}})
}
