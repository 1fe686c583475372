package audit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fado-project/fado/audit"
)

// What was counted is held against what its policy allowed when it was counted, also where a
// change came before the record; and against nothing else.
func TestCountsAreHeldAgainstPolicies(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(1_700_000_000, 0).Add(time.Duration(s) * time.Second) }
	since := func(s int) audit.Period { return audit.Period{Since: audit.FormatTime(at(s))} }
	eu, wide := []string{"c1"}, []string{"c1", "c2"}
	ran := func(run string, from int, allowed []string) audit.Entry {
		return audit.Entry{Kind: audit.Invocations, Body: audit.InvocationsBody{
			Period: since(from), Bucket: "b", Policy: "p", Run: run, Count: 1, Digest: audit.DigestOf(allowed),
		}}
	}
	carried := func(to, via string, allowed []string) audit.Entry {
		return audit.Entry{Kind: audit.Copy, Body: audit.CopyBody{Event: audit.Carried, Period: since(0), Movement: audit.Movement{
			Bucket: "b", Policy: "p", To: to, Via: "n1", ViaCluster: via, Objects: 1, Digest: audit.DigestOf(allowed),
		}}}
	}
	allow := func(clusters []string) audit.Entry {
		return audit.Entry{Kind: audit.Allowed, Body: audit.AllowedBody{Policy: "p", Clusters: clusters}}
	}
	for name, tc := range map[string]struct {
		at      int // of the last record, in seconds
		entries []audit.Entry
		wrong   string
	}{
		"allowed":                 {60, []audit.Entry{allow(wide), ran("c2", 0, wide)}, ""},
		"not allowed":             {60, []audit.Entry{allow(eu), ran("c2", 0, eu)}, `record 2: invocations on "" of bucket b in c2: policy p did not allow it there`},
		"allowed when it ran":     {60, []audit.Entry{allow(wide), allow(eu), ran("c2", 0, wide)}, ""},
		"not even then":           {60, []audit.Entry{allow(eu), allow(wide), allow(eu), ran("c3", 0, wide)}, "c3"},
		"allowed no more":         {600, []audit.Entry{allow(wide), allow(eu), ran("c2", 500, wide)}, "allowed no more"},
		"never allowed":           {60, []audit.Entry{allow(eu), ran("c2", 0, wide)}, "never allowed"},
		"carried":                 {60, []audit.Entry{allow(wide), carried("c1", "c2", wide)}, ""},
		"carried to elsewhere":    {60, []audit.Entry{allow(eu), carried("c2", "c1", eu)}, "in c2"},
		"carried by a wrong way":  {60, []audit.Entry{allow(eu), carried("c1", "c2", eu)}, "in c2"},
		"carried by nobody knows": {60, []audit.Entry{allow(eu), carried("c1", audit.NotDeclared, eu)}, ""},
		"pulled by a wrong way": {60, []audit.Entry{allow(eu), {Kind: audit.Pull, Body: audit.PullBody{Movement: audit.Movement{
			Bucket: "b", Policy: "p", To: "c1", ViaCluster: "c2",
		}}}}, "by way of"},
		"refused is no harm": {60, []audit.Entry{allow(eu), {Kind: audit.Refused, Body: audit.RefusedBody{Policy: "p", Cluster: "c2"}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head, records := audit.Head{}, []audit.Record{}
			for i, e := range tc.entries {
				if e.At = at(i); i == len(tc.entries)-1 {
					e.At = at(tc.at)
				}
				r, err := head.Next(e)
				if err != nil {
					t.Fatal(err)
				}
				head, records = r.Head(), append(records, r)
			}
			r := verify(t, lines(records), head)
			if tc.wrong == "" != (len(r.Problems) == 0) || tc.wrong != "" && !strings.Contains(r.Problems[0].String(), tc.wrong) {
				t.Errorf("%v, want %q", r.Problems, tc.wrong)
			}
		})
	}
}

// The JSON of records of data that moves has their fields in one object.
func TestMovementsAreFlat(t *testing.T) {
	t.Parallel()
	m := audit.Movement{Bucket: "b", Prefix: "p/", From: "c1", To: "c2", Via: "n1", Objects: 1, Bytes: 2, Policy: "p", Digest: "d"}
	const rest = `"bucket":"b","prefix":"p/","from":"c1","to":"c2","via":"n1","objects":1,"bytes":2,"policy":"p","digest":"d"}`
	for want, body := range map[string]any{`{"event":"synced",` + rest: audit.CopyBody{Event: audit.Synced, Movement: m}, `{` + rest: audit.PullBody{Movement: m}} {
		if got, err := json.Marshal(body); err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
}
