package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/audit"
)

// The examples of RFC 8785, section 3.2, and what the rules say of other values.
func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`: `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew","1":"One","\ud83d\ude00":"Emoji","\u0080":"Control","\u00f6":"o"}`:                                    "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"o\",\"€\":\"Euro Sign\",\"😀\":\"Emoji\",\"\ufb33\":\"Hebrew\"}",
		` [ "<&>\u2028" , -0 , {} ] `: "[\"<&>\u2028\",0,{}]",
	} {
		got, err := audit.Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s\nbecomes %s, %v\nwant    %s", in, got, err, want)
		}
	}
	for _, bad := range []string{
		``, `{`, `[`, `{"a"`, `{"a":`, `[1`, `[1,`, `]`, `1 2`, "\"\xff\"", `{"a":1,"a":1}`, `[{"b":{"a":1,"\u0061":2}}]`, strings.Repeat("[", 1<<20),
	} {
		if _, err := audit.Canonical([]byte(bad)); err == nil {
			t.Errorf("%q has a canonical form", bad)
		}
	}
}

// A line as deep as no record is ends with an error, and not with the process.
func TestCanonicalIsBounded(t *testing.T) {
	t.Parallel()
	for depth, fine := range map[int]bool{1: true, 1000: true, 1001: false, 1 << 20: false} {
		for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}} {
			text := strings.Repeat(pair[0], depth) + strings.Repeat(pair[1], depth)
			if pair[0] != "[" {
				text = strings.Repeat(pair[0], depth) + "1" + strings.Repeat(pair[1], depth)
			}
			got, err := audit.Canonical([]byte(text))
			if (err == nil) != fine || fine && string(got) != text {
				t.Errorf("%d of %s: %.20s, %v", depth, pair[0], got, err)
			}
		}
	}
}

// A change's body is written by itself: as the rule would have it, whatever is in it.
func TestChangesAreCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.RuneFrom([]rune("a\"\\\n\x00<&>\u2028é😀"))),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
		body := audit.ChangeBody{
			Resource: text.Draw(t, "resource"), Name: text.Draw(t, "name"), Action: text.Draw(t, "action"),
			Before: text.Draw(t, "before"), After: text.Draw(t, "after"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			body.Diff = append(body.Diff, audit.FieldChange{Field: text.Draw(t, "field"), From: text.Draw(t, "from"), To: text.Draw(t, "to")})
		}
		plain, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		want, err := audit.Canonical(plain)
		if err != nil {
			t.Fatal(err)
		}
		r, err := audit.Head{}.Next(audit.Entry{Kind: audit.Change, Body: body})
		if err != nil || string(r.Body) != string(want) {
			t.Fatalf("%q, %v\nwant %q", r.Body, err, want)
		}
	})
}

// chain makes a chain of records, as a store would.
func chain(t rapid.TB, n int) (records []audit.Record) {
	t.Helper()
	head := audit.Head{}
	add := func(kind audit.Kind, body any) {
		r, err := head.Next(audit.Entry{At: time.Unix(1_700_000_000+int64(len(records)), 0), Node: "n1", Kind: kind, Actor: "admin 127.0.0.1", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		head, records = r.Head(), append(records, r)
	}
	add(audit.Allowed, audit.AllowedBody{Policy: "eu", Clusters: []string{"c1", "c2"}})
	for i := 1; i < n; i++ {
		switch i % 4 {
		case 0:
			add(audit.Checkpoint, audit.CheckpointBody{Size: head.Seq, Head: head.Hash, Allowed: map[string][]string{"eu": {"c1", "c2"}}})
		case 1:
			add(audit.Change, audit.ChangeBody{Resource: "bucket", Name: fmt.Sprint("b", i), Action: "created"})
		default:
			add(audit.Copy, audit.CopyBody{Event: audit.Synced, Movement: audit.Movement{Bucket: fmt.Sprint("b", i), Policy: "eu", From: "c1", To: "c2", Bytes: int64(i)}})
		}
	}
	return records
}

func lines(records []audit.Record) []byte {
	var out bytes.Buffer
	for _, r := range records {
		line, _ := json.Marshal(r)
		out.Write(append(line, '\n'))
	}
	return out.Bytes()
}

func verify(t rapid.TB, text []byte, head audit.Head) *audit.Report {
	t.Helper()
	r, err := audit.Verify(bytes.NewReader(text), head, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A record's hash is that of the record before and its own canonical JSON, whatever is in it.
func TestHashIsOfCanonicalJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.Custom(func(rt *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes")) }))
		head := audit.Head{Seq: rapid.Int64Range(0, 1<<53-2).Draw(rt, "seq"), Hash: rapid.StringMatching("[0-9a-f]{0,64}").Draw(rt, "prev")}
		r, err := head.Next(audit.Entry{
			At: time.UnixMilli(rapid.Int64Range(0, 1<<40).Draw(rt, "at")), Node: text.Draw(rt, "node"), Actor: text.Draw(rt, "actor"), Kind: audit.Change,
			Body: map[string]any{text.Draw(rt, "name"): text.Draw(rt, "value"), "n": rapid.Float64Range(-1e300, 1e300).Draw(rt, "number")},
		})
		if err != nil {
			rt.Fatal(err)
		}
		whole, err := json.Marshal(map[string]any{"seq": r.Seq, "at": r.At, "node": r.Node, "kind": r.Kind, "actor": r.Actor, "body": r.Body})
		if err == nil {
			whole, err = audit.Canonical(whole)
		}
		if err != nil {
			rt.Fatal(err)
		}
		if sum := sha256.Sum256(append([]byte(head.Hash), whole...)); r.Hash != hex.EncodeToString(sum[:]) {
			rt.Fatalf("the hash of %s is another one", whole)
		}
	})
}

// A chain as it was made is whole; from a checkpoint on, too.
func TestWholeChains(t *testing.T) {
	t.Parallel()
	records := chain(t, 30)
	for _, from := range []int{0, 4, 8} {
		r := verify(t, lines(records[from:]), records[29].Head())
		if len(r.Problems) > 0 || r.Records != int64(30-from) || r.Head != records[29].Head() || r.Root == "" {
			t.Errorf("from %d: %+v", from, r)
		}
	}
	if r := verify(t, lines(records[2:]), audit.Head{}); r.Root != "" || len(r.Problems) != 1 || r.Problems[0].Seq != 2 {
		t.Errorf("a part of a chain: %+v", r)
	}
}

// Whatever is done to a chain is found, and the record is named.
func TestEveryMutationIsNamed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := chain(t, rapid.IntRange(3, 20).Draw(t, "records"))
		head := records[len(records)-1].Head()
		at := rapid.IntRange(0, len(records)-1).Draw(t, "record")
		near := []int64{records[at].Seq, records[at].Seq + 1}
		text := lines(records)
		switch what := rapid.SampledFrom([]string{"flip", "remove", "swap", "repeat", "cut", "forge"}).Draw(t, "mutation"); what {
		case "flip":
			rows := bytes.SplitAfter(text, []byte("\n"))
			i := rapid.IntRange(0, len(rows[at])-2).Draw(t, "byte")
			rows[at][i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			text = bytes.Join(rows, nil)
			near = append(near, 0, records[at].Seq-1) // it may be no record any more, or no checkpoint
			var flipped audit.Record
			if json.Unmarshal(rows[at], &flipped) == nil {
				near = append(near, flipped.Seq) // its number may be what was changed: it goes by that one
			}
		case "remove":
			text = lines(slices.Delete(slices.Clone(records), at, at+1))
		case "swap":
			if at == len(records)-1 {
				at--
			}
			records[at], records[at+1] = records[at+1], records[at]
			text = lines(records)
			near = []int64{int64(at + 1), int64(at + 2), int64(at + 3)}
		case "repeat":
			text = lines(slices.Insert(slices.Clone(records), at, records[at]))
		case "cut":
			if at == 0 {
				return // nothing is left to be wrong
			}
			text = lines(records[:at])
		case "forge": // by someone who knows how a record is made
			prev := audit.Head{}
			if at > 0 {
				prev = records[at-1].Head()
			}
			forged, err := prev.Next(audit.Entry{At: time.Unix(1, 0), Kind: audit.Change, Body: audit.ChangeBody{Name: "forged"}})
			if err != nil {
				t.Fatal(err)
			}
			records[at] = forged
			text = lines(records)
		}
		r := verify(t, text, head)
		if !slices.ContainsFunc(r.Problems, func(p audit.Problem) bool { return slices.Contains(near, p.Seq) }) {
			t.Fatalf("none of %v is named: %+v", near, r)
		}
	})
}

// A line whose member stands twice is no record: a reader may see another value than the one that is
// in the hash.
func TestNoMemberStandsTwice(t *testing.T) {
	t.Parallel()
	records := chain(t, 3)
	for _, twice := range []string{`"node":"n2",`, `"body":{},`, `"NODE":"n2",`} {
		text := bytes.Replace(lines(records), []byte(`"node":"n1"`), []byte(twice+`"node":"n1"`), 1)
		if r := verify(t, text, records[2].Head()); len(r.Problems) == 0 {
			t.Errorf("%s beside the member of that name is right", twice)
		}
	}
	if r := verify(t, lines(records), records[2].Head()); len(r.Problems) > 0 {
		t.Errorf("%+v", r)
	}
}

// Data where its policy did not allow it is found, whether the chain is whole or not.
func TestForbiddenCopyIsFound(t *testing.T) {
	t.Parallel()
	head, records := audit.Head{}, []audit.Record{}
	for _, e := range []audit.Entry{
		{Kind: audit.Allowed, Body: audit.AllowedBody{Policy: "eu", Clusters: []string{"c1", "c2"}}},
		{Kind: audit.Copy, Body: audit.CopyBody{Event: audit.Created, Movement: audit.Movement{Bucket: "b", Policy: "eu", To: "c2"}}},
		{Kind: audit.Allowed, Body: audit.AllowedBody{Policy: "eu", Clusters: []string{"c1"}}},
		{Kind: audit.Copy, Body: audit.CopyBody{Event: audit.Left, Movement: audit.Movement{Bucket: "b", Policy: "eu", To: "c2"}}},
		{Kind: audit.Copy, Body: audit.CopyBody{Event: audit.Synced, Movement: audit.Movement{Bucket: "b", Policy: "eu", To: "c2"}}},
		{Kind: audit.Copy, Body: audit.CopyBody{Event: audit.Created, Movement: audit.Movement{Bucket: "b", Policy: "unknown", To: "c2"}}},
		{Kind: audit.Pull, Body: audit.PullBody{Movement: audit.Movement{Bucket: "b", Policy: "eu", To: "c2", Objects: 1}}},
		{Kind: audit.Pull, Body: audit.PullBody{Movement: audit.Movement{Bucket: "b", Policy: "eu", To: "c1", Objects: 1}}},
	} {
		r, err := head.Next(e)
		if err != nil {
			t.Fatal(err)
		}
		head, records = r.Head(), append(records, r)
	}
	r := verify(t, lines(records), head)
	if len(r.Problems) != 3 || r.Problems[2].Seq != 7 || r.Problems[0].Seq != 5 || r.Problems[1].Seq != 6 || !strings.Contains(r.Problems[0].String(), "record 5: ") {
		t.Errorf("%v", r.Problems)
	}
}
