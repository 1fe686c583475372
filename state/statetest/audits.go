package statetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/fado-project/fado/audit"
	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

func changeRecord(name string, ms int) audit.Entry {
	return audit.Entry{At: at(ms), Node: "n1", Kind: audit.Change, Actor: "admin ::1", Subject: "bucket " + name, Body: audit.ChangeBody{Resource: "bucket", Name: name, Action: "created"}}
}

// verified holds all records of a store against each other.
func verified(t tb, s state.Store) []audit.Record {
	t.Helper()
	all := must(s.Audits().AuditRecords(ctx, state.AuditFilter{}, 0))(t)
	var text bytes.Buffer
	for _, r := range all {
		line, err := json.Marshal(r)
		ok(t, err)
		text.Write(append(line, '\n'))
	}
	head := must(s.Audits().AuditHead(ctx))(t)
	if len(all) == 0 && head == (audit.Head{}) {
		return nil // a chain that has not begun is right, and an export of it none that proves something
	}
	report, err := audit.Verify(&text, head, nil)
	ok(t, err)
	if len(report.Problems) > 0 {
		t.Fatalf("%v", report.Problems)
	}
	return all
}

// testAudit: records are there if and only if their transaction is, in one chain, across
// restarts; they are found by what they are about, and trimmed to a checkpoint.
func testAudit(t *testing.T, fx Fixture) {
	s := fx.Store
	equal(t, "records of an empty store", len(verified(t, s)), 0)
	broken := errors.New("broken")
	_, err := s.Catalogue().Update(ctx, func(tx state.Tx) error {
		ok(t, tx.Audit(changeRecord("never", 0)))
		return broken
	})
	isErr(t, err, broken)
	update(t, s, func(tx state.Tx) error {
		return errors.Join(
			tx.Put(record(catalog.KindBucket, "b1", "{}")), tx.Audit(changeRecord("b1", 1)), tx.Audit(changeRecord("b2", 2)),
			tx.Audit(audit.Entry{At: at(3), Kind: audit.Allowed, Subject: "policy p", Body: audit.AllowedBody{Policy: "p", Clusters: []string{"c1", "c2"}}}))
	})
	update(t, s, func(tx state.Tx) error {
		allowed, err := tx.AuditAllowed()
		ok(t, err)
		equal(t, "what is allowed", allowed, map[string][]string{"p": {"c1", "c2"}})
		ok(t, tx.Audit(audit.Entry{At: at(4), Kind: audit.Allowed, Subject: "policy p", Body: audit.AllowedBody{Policy: "p", Clusters: []string{}}}))
		allowed, err = tx.AuditAllowed()
		ok(t, err)
		equal(t, "what is allowed within", allowed, map[string][]string{"p": {}})
		head, err := tx.AuditHead()
		equal(t, "the head within", head.Seq, int64(4))
		return err
	})
	equal(t, "records", len(verified(t, s)), 4)
	equal(t, "records of a bucket", len(must(s.Audits().AuditRecords(ctx, state.AuditFilter{Subject: "bucket b2"}, 0))(t)), 1)
	equal(t, "records of a kind", len(must(s.Audits().AuditRecords(ctx, state.AuditFilter{Kind: audit.Allowed}, 0))(t)), 2)
	equal(t, "records of a time", len(must(s.Audits().AuditRecords(ctx, state.AuditFilter{Since: at(2), Until: at(4)}, 0))(t)), 2)
	last := must(s.Audits().AuditRecords(ctx, state.AuditFilter{Newest: true}, 2))(t)
	equal(t, "the newest records", []int64{last[0].Seq, last[1].Seq}, []int64{4, 3})
	equal(t, "those before them", len(must(s.Audits().AuditRecords(ctx, state.AuditFilter{Newest: true, Before: 3}, 0))(t)), 2)
	equal(t, "a page of records", len(must(s.Audits().AuditRecords(ctx, state.AuditFilter{After: 1}, 2))(t)), 2)

	ok(t, s.Close())
	s = fx.Reopen()
	update(t, s, func(tx state.Tx) error {
		head, err := tx.AuditHead()
		ok(t, err)
		allowed, err := tx.AuditAllowed()
		ok(t, err)
		return errors.Join(
			tx.Audit(audit.Entry{At: at(10), Kind: audit.Checkpoint, Body: audit.CheckpointBody{Size: head.Seq, Head: head.Hash, Allowed: allowed}}),
			tx.Audit(changeRecord("b3", 11)))
	})
	equal(t, "records after a restart", len(verified(t, s)), 6)
	equal(t, "removed without a checkpoint", must(s.Audits().TrimAudit(ctx, at(10)))(t), int64(0))
	equal(t, "removed", must(s.Audits().TrimAudit(ctx, at(100)))(t), int64(4))
	left := verified(t, s)
	equal(t, "left", len(left), 2)
	equal(t, "the first", left[0].Kind, audit.Checkpoint)
	update(t, s, func(tx state.Tx) error { return tx.Audit(changeRecord("b4", 12)) })
	equal(t, "records behind those trimmed", len(verified(t, s)), 3)
	if when, err := left[0].Time(); err != nil || !when.Equal(at(10)) {
		t.Fatalf("%s, %v", when.Format(time.RFC3339Nano), err)
	}
	ok(t, s.Close())
}

// testRevision: the revision is the number of the last change of a zone, cluster, policy or
// bucket, and of nothing else.
func testRevision(t *testing.T, fx Fixture) {
	s := fx.Store
	rev := func() state.Seq { return must(s.Catalogue().Revision(ctx))(t) }
	first := rev()
	made := update(t, s, func(tx state.Tx) error {
		before, err := tx.Revision()
		equal(t, "revision within", before, first)
		return errors.Join(err, tx.Put(record(catalog.KindBucket, "b1", "{}")))
	})
	equal(t, "revision", rev(), made)
	putCopies(t, s, state.Copy{Bucket: "b1", Copy: catalog.Copy{Cluster: "c1"}})
	put(t, s, record(catalog.KindKey, "AKIA", "{}"))
	equal(t, "revision after copies and keys", rev(), made)
	gone := update(t, s, func(tx state.Tx) error { return tx.Delete(catalog.KindBucket, "b1") })
	equal(t, "revision after a deletion", rev(), gone)
	ok(t, s.Close())
	s = fx.Reopen()
	equal(t, "revision after a restart", rev(), gone)
	ok(t, s.Close())
}
