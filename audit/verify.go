package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Problem is something wrong with a chain.
type Problem struct {
	// Seq is the number of the record it was found at; 0 for what is no record.
	Seq  int64
	Text string
}

// String names the record.
func (p Problem) String() string {
	if p.Seq == 0 {
		return p.Text
	}
	return fmt.Sprintf("record %d: %s", p.Seq, p.Text)
}

// Report is what a verification found.
type Report struct {
	Records int64
	// First is the number of the first record, Head the last one's.
	First int64
	Head  Head
	// Root says what the chain begins with: "first record", "checkpoint", or "" where the
	// records before are missing and nothing stands for them.
	Root string
	// Signed is the number of the last checkpoint that a key given has signed: it stands for
	// itself and the records before it. 0 if there is none, or no key was given.
	Signed int64
	// Problems are in the order found, at most 1,000; More says that there are others.
	Problems []Problem
	More     bool
}

const (
	maxProblems = 1000
	maxLine     = 64 << 20
)

// Verify reads records, one JSON object a line as they are exported, and says what is wrong
// with them: which were changed, removed, added or moved, and which tell of data where the
// policy in force did not allow it. With an expected head (its Seq not 0), records missing at
// the end are found, too. With keys (not nil), checkpoints must be signed from the first one on
// that is, and one must be. The error is that of reading.
func Verify(r io.Reader, expected Head, keys *Keys) (*Report, error) {
	v := &verifier{allowed: make(map[string][]string), former: make(map[setName]formerSet), keys: keys}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		rec, err := decodeRecord(line)
		if err != nil {
			v.problem(0, "line %d is no record: %v", n, err)
			v.broken = true
			continue
		}
		v.record(rec)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading records: %w", err)
	}
	v.end(expected)
	return &v.Report, nil
}

// decodeRecord reads a record strictly: a field that is not known would be outside the hash.
func decodeRecord(line []byte) (rec Record, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rec); err != nil {
		return rec, err
	}
	if dec.More() {
		return rec, errors.New("more than one value")
	}
	// Names of fields are matched in any case, and only the last of two counts: what was read
	// must be all that is there.
	again, err := json.Marshal(rec)
	if err == nil {
		again, err = Canonical(again)
	}
	if err != nil {
		return rec, err
	}
	whole, err := Canonical(line)
	if err == nil && !bytes.Equal(whole, again) {
		err = errors.New("its fields are not those of a record")
	}
	return rec, err
}

// setName names clusters that a policy allowed.
type setName struct{ policy, digest string }

// formerSet is what a policy allowed until some time.
type formerSet struct {
	clusters []string
	until    time.Time
}

type verifier struct {
	Report
	keys    *Keys
	allowed map[string][]string
	// former are the sets that policies allowed before, by policy and digest, and when that
	// ended.
	former map[setName]formerSet
	began  time.Time // of the first record
	// partial: what policies allowed before the first record is not known.
	partial bool
	// broken: the last line was no record, so that the next one does not follow.
	broken bool
}

func (v *verifier) problem(seq int64, format string, args ...any) {
	if len(v.Problems) == maxProblems {
		v.More = true
		return
	}
	v.Problems = append(v.Problems, Problem{seq, fmt.Sprintf(format, args...)})
}

func (v *verifier) record(r Record) {
	v.Records++
	sum, err := r.sum()
	switch {
	case err != nil:
		v.problem(r.Seq, "can't be read: %v", err)
	case sum != r.Hash:
		v.problem(r.Seq, "was changed: its hash is not that of what it says")
	}
	if v.Records == 1 {
		v.begin(&r)
	} else {
		v.follows(&r)
	}
	v.Head, v.broken = r.Head(), false
	if err := v.means(&r); err != nil {
		v.problem(r.Seq, "its body can't be read: %v", err)
	}
}

// begin takes the first record.
func (v *verifier) begin(r *Record) {
	v.First = r.Seq
	v.began, _ = r.Time()
	switch {
	case r.Seq == 1:
		v.Root = "first record"
		if r.Prev != "" {
			v.problem(1, "follows another one, though it is the first")
		}
	case r.Kind == Checkpoint:
		v.Root = "checkpoint"
	default:
		v.partial = true
		v.problem(r.Seq-1, "is missing, and those before it: a chain begins with record 1 or with a checkpoint")
	}
}

// follows holds a record against the one before it.
func (v *verifier) follows(r *Record) {
	switch last := v.Head; {
	case r.Seq == last.Seq+2:
		v.problem(last.Seq+1, "is missing")
	case r.Seq > last.Seq+1:
		v.problem(last.Seq+1, "is missing, and those up to %d", r.Seq-1)
	case r.Seq <= last.Seq:
		v.problem(r.Seq, "comes after record %d: it was moved or repeated", last.Seq)
	case r.Prev != last.Hash && !v.broken:
		v.problem(r.Seq, "does not follow record %d: one of them was changed", last.Seq)
	}
}

// means holds what a record tells against what was allowed.
func (v *verifier) means(r *Record) error {
	switch r.Kind {
	case Allowed:
		var b AllowedBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return err
		}
		v.replaced(r, b.Policy)
		v.allowed[b.Policy] = b.Clusters
	case Checkpoint:
		var b CheckpointBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return err
		}
		v.checkpoint(r, &b)
	case Copy:
		var b CopyBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return err
		}
		what := fmt.Sprintf("objects of %q of bucket %s, copied", b.Prefix, b.Bucket)
		switch b.Event {
		case Carried:
			v.lay(r.Seq, b.Policy, b.Digest, b.Since, what, b.To, declared(b.ViaCluster))
		case Left, Removed: // no data comes
		case Created, Synced:
			v.moves(r.Seq, &b.Movement, fmt.Sprintf("the copy of %q of bucket %s", b.Prefix, b.Bucket))
		}
	case Pull:
		var b PullBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return err
		}
		v.moves(r.Seq, &b.Movement, fmt.Sprintf("objects of %q of bucket %s, copied on demand", b.Prefix, b.Bucket))
	case Invocations:
		var b InvocationsBody
		if err := json.Unmarshal(r.Body, &b); err != nil {
			return err
		}
		v.lay(r.Seq, b.Policy, b.Digest, b.Since, fmt.Sprintf("invocations on %q of bucket %s", b.Prefix, b.Bucket), b.Run)
	default: // tells of no data
	}
	return nil
}

// declared is the cluster of an instance, "" where nobody says.
func declared(via string) string {
	if via == NotDeclared {
		return ""
	}
	return via
}

// replaced notes until when a policy allowed what it does now.
func (v *verifier) replaced(r *Record, policy string) {
	if at, err := r.Time(); err == nil {
		v.former[setName{policy, DigestOf(v.allowed[policy])}] = formerSet{v.allowed[policy], at}
	}
}

// clockTolerance is by how much the clocks of instances may differ.
const clockTolerance = time.Minute

// lay holds clusters against what a policy allowed in the period that a record adds up, which
// may have ended before the record: another change may have come first.
func (v *verifier) lay(seq int64, policy, digest, since, what string, clusters ...string) {
	allowed, known := v.allowed[policy]
	if !known && v.partial {
		return
	}
	if digest != DigestOf(allowed) {
		former, was := v.former[setName{policy, digest}]
		from, err := time.Parse(timeLayout, since)
		switch {
		case err != nil:
			v.problem(seq, "%s: it does not say since when", what)
			return
		case !was && from.Before(v.began.Add(clockTolerance)) && v.First > 1:
			return // of before the first record
		case !was:
			v.problem(seq, "%s: by clusters that policy %s never allowed", what, policy)
			return
		case former.until.Add(clockTolerance).Before(from):
			v.problem(seq, "%s: by clusters that policy %s allowed no more", what, policy)
			return
		}
		allowed = former.clusters
	}
	for _, c := range clusters {
		if c != "" && !slices.Contains(allowed, c) {
			v.problem(seq, "%s in %s: policy %s did not allow it there", what, c, policy)
		}
	}
}

func (v *verifier) checkpoint(r *Record, b *CheckpointBody) {
	if b.Size != r.Seq-1 || b.Head != r.Prev {
		v.problem(r.Seq, "its checkpoint is of %d records that end with %.16s…, not of those before it", b.Size, b.Head)
	}
	v.signature(r, b)
	if v.Records > 1 && !v.partial {
		for policy, clusters := range b.Allowed {
			if !slices.Equal(clusters, v.allowed[policy]) {
				v.problem(r.Seq, "its checkpoint has other clusters for policy %s than the records before it", policy)
			}
		}
	}
	v.allowed, v.partial = b.Allowed, false
	if v.allowed == nil {
		v.allowed = make(map[string][]string)
	}
}

// signature holds a checkpoint against the keys. Those before the first signed one may be from
// before there was a key.
func (v *verifier) signature(r *Record, b *CheckpointBody) {
	if v.keys == nil || b.Note == "" && v.Signed == 0 {
		return
	}
	if wrong := v.keys.check(b); wrong != "" {
		v.problem(r.Seq, "%s", wrong)
		return
	}
	v.Signed = r.Seq
}

// moves holds where data was put, and the way it took, against what its policy allowed.
func (v *verifier) moves(seq int64, m *Movement, what string) {
	v.lies(seq, m.Policy, m.To, what)
	if m.ViaCluster != "" && m.ViaCluster != NotDeclared {
		v.lies(seq, m.Policy, m.ViaCluster, what+", by way of instance "+m.Via)
	}
}

// lies holds where data was put against what its policy allowed.
func (v *verifier) lies(seq int64, policy, cluster, what string) {
	clusters, known := v.allowed[policy]
	if !known && v.partial {
		return
	}
	if !slices.Contains(clusters, cluster) {
		v.problem(seq, "%s in %s: policy %s did not allow it there", what, cluster, policy)
	}
}

// end holds the last record against the one that is expected.
func (v *verifier) end(expected Head) {
	if v.Records == 0 { // an export that failed must not pass for one that is whole
		v.problem(0, "there are no records")
	}
	if v.keys != nil && v.Signed == 0 {
		v.problem(0, "no checkpoint is signed by a key that was given")
	}
	switch {
	case expected.Seq == 0 || v.Head == expected:
	case v.Head.Seq < expected.Seq:
		v.problem(v.Head.Seq+1, "is missing, and those up to %d", expected.Seq)
	case v.Head.Seq == expected.Seq:
		v.problem(v.Head.Seq, "is not the record that was expected at the end")
	default:
		v.problem(expected.Seq, "was expected to be the last; the last one is %d", v.Head.Seq)
	}
}
