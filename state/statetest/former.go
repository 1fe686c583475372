package statetest

import (
	"testing"

	"github.com/fado-project/fado/state"
)

// FormerMeta are meta values as versions of FaDO wrote them that had no rows for what
// people ask for, beside a bucket "b" with a copy, and none of the bucket "gone".
var FormerMeta = map[string]string{
	"replication/paused":     "1",
	"replication/bulletin/0": `{"member":"m","parts":64}`,
	"replication/purges": `{"p1":{"bucket":"p1","mode":"all","primary":"c1","copies":[
		{"cluster":"c1","primary":true,"verified":true,"owned_until":"2026-03-04T05:06:07.008Z"},
		{"cluster":"c2","made_bucket":true,"foreign":["k/é","nul\u0000"]},
		{"cluster":"c3","verified":true,"pulled":{"key":"etag","other":"e2"}},
		{"cluster":"c4","pulled":{}}]}}`,
	"verify/scrub": `{"last":"2026-03-04T05:06:07.008Z","running":true,"after":"a"}`,
	"verify/bucket/b": `{"show":{"bucket":"b","state":"repairing","deep":true,"error":"why\u0000","started":"2026-03-04T05:06:07.009Z","finished":null,
		"objects":1,"bytes":2,"total":3,"total_bytes":4,"estimate":null,"mismatches":5,"repaired":6,"unrepairable":7,
		"keys":[{"key":"k1","cluster":"c1","reason":"size","state":"repaired"}]},
		"done":["list"],"step":"read","cursor":"k\u0000","at":{"objects":8,"bytes":9},"repairs":[{"k":"k1","c":"c1"},{"k":"k2","c":"c2"}]}`,
	"verify/bucket/gone": `{"show":{"bucket":"gone","state":"done","keys":[]}}`,
	"verify/node/n":      `{"running":["b","gone"],"damaged":{"b":"2 objects","gone":"1 object"}}`,
	"unreadable":         `{`,
	"verify/bucket/bad":  `{`,
	"transfer":           "",
}

// CheckFormer says whether a store holds as rows what FormerMeta said.
func CheckFormer(t *testing.T, s state.Movable) {
	t.Helper()
	equal(t, "paused", must(s.Pauses().Paused(ctx))(t), true)
	equal(t, "scrub", must(s.Verifications().GetScrub(ctx))(t), state.Scrub{Last: at(0), Running: true, After: "a"})
	purges := must(s.Purges().Purges(ctx))(t)
	equal(t, "number of purges", len(purges), 1)
	if purges[0].Since.IsZero() || purges[0].ID == 0 {
		t.Errorf("the purge has ID %d and time %s", purges[0].ID, purges[0].Since)
	}
	want := state.Purge{ID: purges[0].ID, Since: purges[0].Since, Bucket: "p1", Mode: state.PurgeAll, Primary: "c1", Targets: []state.PurgeTarget{
		{Cluster: "c1", Primary: true, Verified: true, OwnedUntil: at(0)},
		{Cluster: "c2", MadeBucket: true},
		{Cluster: "c3", Verified: true, PulledOnly: true},
		{Cluster: "c4", PulledOnly: true},
	}}
	equal(t, "purge", purges[0], want)
	equal(t, "its keys", purgeKeys(t, s, "p1"), []state.PurgeKey{
		{Cluster: "c2", Key: "k/é"}, {Cluster: "c2", Key: "nul\x00"}, {Cluster: "c3", Key: "key", ETag: "etag"}, {Cluster: "c3", Key: "other", ETag: "e2"},
	})
	equal(t, "verifications", must(s.Verifications().ListVerifications(ctx, state.VerificationFilter{}, "", 0))(t), []state.Verification{{
		Bucket: "b", Node: "n", UnderWay: true, State: "repairing", Deep: true, Error: "why\ufffd", Started: at(1),
		Objects: 1, Bytes: 2, Total: 3, TotalBytes: 4, Mismatches: 5, Repaired: 6, Unrepairable: 7,
		Done: []string{"list"}, Step: "read", Cursor: "k\x00", StepObjects: 8, StepBytes: 9, Damage: "2 objects",
	}})
	equal(t, "mismatches", must(s.Verifications().ListMismatches(ctx, "b", state.MismatchFilter{}, state.Mismatch{}, 0))(t), []state.Mismatch{
		{Key: "k1", Cluster: "c1", Reason: "size", State: "repaired"}, {Key: "k2", Cluster: "c2", State: "repairing"},
	})
	left := []string{}
	ok(t, s.EachMeta(ctx, func(key, _ string) error { left = append(left, key); return nil }))
	equal(t, "meta values left", left, []string{"unreadable", "verify/bucket/bad"})

	flags, foreign := map[string][3]bool{}, map[string]state.Foreign{}
	for _, p := range allPending(t, s) {
		foreign[p.Key] = p.Foreign
		flags[p.Key] = [3]bool{p.Damaged, p.Counted, p.Background}
	}
	equal(t, "damaged, counted and background", flags, map[string][3]bool{"live": {}, "found": {false, true, true}, "damaged": {true, true, true}})
	equal(t, "foreign", foreign, map[string]state.Foreign{"live": "", "found": state.ForeignAny, "damaged": ""})
	equal(t, "sums", must(s.Catalogue().CopySums(ctx))(t), []state.CopySum{{Cluster: "c1", State: must(s.Catalogue().CopiesOf(ctx, "b"))(t)[0].State, Copies: 1, Objects: 10, Bytes: 100}})
	equal(t, "buckets", must(s.Catalogue().BucketCounts(ctx))(t), map[string]int64{"c1": 1})
	equal(t, "next due", len(must(s.Queue().NextDue(ctx))(t)), 1)
	put(t, s, record("zone", "z", `{}`))
	add(t, s, pending("b", "more", "c1"))
}
