package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind says what a record tells.
type Kind string

// The kinds of records.
const (
	// Change: people or a configuration changed a resource.
	Change Kind = "change"
	// Allowed: from now on a policy allows these clusters.
	Allowed Kind = "allowed"
	// Copy: a copy of a bucket's rule was begun, completed, left routing, or is gone.
	Copy Kind = "copy"
	// Pull: objects were about to be copied to where invocations asked for them.
	Pull Kind = "pull"
	// Invocations: functions ran, and read objects.
	Invocations Kind = "invocations"
	// Refused: policies did not allow what was asked for.
	Refused Kind = "refused"
	// Session: someone signed in at the console, or failed to, or out, made or revoked a token, or was given a
	// URL of an object.
	Session Kind = "session"
	// Action: people had something done that changes no resource, or gives data up.
	Action Kind = "action"
	// Checkpoint: the sets allowed now, so that what comes before it is not needed.
	Checkpoint Kind = "checkpoint"
)

// Entry is a record that has no place in the chain yet.
type Entry struct {
	At    time.Time
	Node  string
	Kind  Kind
	Actor string
	// Subject is the policy or bucket that the record is about, for those who look for it.
	// It is not part of the record: the body says it.
	Subject string
	// Body is one of the bodies below.
	Body any
}

// ChangeBody is the body of a Change: a resource by kind and name, and a digest of what it
// was and is ("" for nothing). Secrets are not in it.
type ChangeBody struct {
	Resource string `json:"resource"`
	Name     string `json:"name"`
	Action   string `json:"action"`
	Before   string `json:"before"`
	After    string `json:"after"`
	// Diff are the fields that changed, where something was changed.
	Diff []FieldChange `json:"diff,omitempty"`
	// Role, How and Address are those of the [Caller]; Request is what made the change.
	Role    string `json:"role,omitempty"`
	How     string `json:"how,omitempty"`
	Address string `json:"address,omitempty"`
	Request string `json:"request,omitempty"`
}

// ActionBody is the body of an Action.
type ActionBody struct {
	// Resource and Name are what it was done to, "" for the whole of FaDO.
	Resource string `json:"resource,omitempty"`
	Name     string `json:"name,omitempty"`
	// Action is the operationId that the API's document has for it.
	Action string `json:"action"`
	// With are the parameters that matter. No secret and no key of an object is among them.
	With  map[string]string `json:"with,omitempty"`
	State ActionState       `json:"state"`
	// Status is the one that an Action was answered with that Failed.
	Status int `json:"status,omitempty"`
	// Role, How and Address are those of the [Caller]; Request is what asked for it.
	Role    string `json:"role,omitempty"`
	How     string `json:"how,omitempty"`
	Address string `json:"address,omitempty"`
	Request string `json:"request,omitempty"`
}

// ActionState says how far an action is.
type ActionState string

// The states of an action.
const (
	// ActionBegun: it gives data or access away, and is on record before it is done. One that then fails is
	// on record as ActionFailed, too, by the same request.
	ActionBegun ActionState = "begun"
	ActionDone  ActionState = "done"
	// ActionFailed: it was answered with an error. A part of it may have been done.
	ActionFailed ActionState = "failed"
)

// FieldChange is what a field of a resource was and what it is now, as JSON; "" where it has no
// value. Fields inside others are named with dots.
type FieldChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

// AllowedBody is the body of an Allowed.
type AllowedBody struct {
	Policy string `json:"policy"`
	// Clusters are sorted.
	Clusters []string `json:"clusters"`
	Digest   string   `json:"digest"`
}

// Movement is what records of data that moves have in common: objects of a bucket's rule that
// come from one cluster to another.
type Movement struct {
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
	// From is the cluster that the data comes from, "" where none moves.
	From string `json:"from"`
	To   string `json:"to"`
	// Via is the instance that the bytes pass, ViaCluster where it is: [NotDeclared] where
	// nobody says. Both are "" where the instance that makes the record may not have them.
	Via        string `json:"via"`
	ViaCluster string `json:"via_cluster,omitempty"`
	Objects    int64  `json:"objects"`
	Bytes      int64  `json:"bytes"`
	Policy     string `json:"policy"`
	// Digest is that of the clusters that the policy allowed.
	Digest string `json:"digest"`
}

// NotDeclared stands for the cluster of an instance of which nobody says where it is.
const NotDeclared = "not declared"

// Period is when what a record adds up was counted.
type Period struct {
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
}

// CopyBody is the body of a Copy. The period is that of a Carried.
type CopyBody struct {
	Event CopyEvent `json:"event"`
	Movement
	Period
}

// CopyEvent says what became of a copy.
type CopyEvent string

// The events of a copy. Data is written in a cluster between Created and Left only.
const (
	Created CopyEvent = "created"
	Synced  CopyEvent = "synced"
	Left    CopyEvent = "left"
	Removed CopyEvent = "removed"
	// Carried: objects were copied through the instance since the last such record, whatever
	// for.
	Carried CopyEvent = "carried"
)

// PullBody is the body of a Pull. It is on record before the first byte is copied: a copy that
// fails after that is on record, too.
type PullBody struct{ Movement }

// InvocationsBody is the body of an Invocations: those that named objects of a bucket's rule, ran
// in one cluster and read from one storage. An invocation that names several inputs is counted
// with each.
type InvocationsBody struct {
	Period
	// Bucket and Prefix of the rule; of Others, of buckets that are not told one by one.
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
	Others bool   `json:"others,omitempty"`
	// Run is where the functions ran, Read the cluster whose storage they were told to read
	// from, "" for none.
	Run   string `json:"run"`
	Read  string `json:"read"`
	Count int64  `json:"count"`
	// Bytes of the objects named, as far as their sizes were known.
	Bytes  int64  `json:"bytes"`
	Policy string `json:"policy"`
	// Digest is that of the clusters that the policy allowed when it was decided.
	Digest string `json:"digest"`
}

// RefusedBody is the body of a Refused.
type RefusedBody struct {
	Period
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
	Others bool   `json:"others,omitempty"`
	// Cluster that was not allowed, "" where none was.
	Cluster string `json:"cluster"`
	// By is what refused: routing an invocation, or the guard a write, a copy or a passage.
	By     string `json:"by"`
	Count  int64  `json:"count"`
	Policy string `json:"policy"`
	Digest string `json:"digest"`
}

// SessionBody is the body of a Session.
type SessionBody struct {
	Event SessionEvent `json:"event"`
	// Session names it; it is no secret.
	Session string `json:"session"`
	User    string `json:"user"`
	Role    string `json:"role"`
	// How is what the session was given for: password, token or link.
	How     string `json:"how"`
	Address string `json:"address"`
	// Request is the one that asked for it.
	Request string `json:"request,omitempty"`
	// Operation, Bucket, Key and Version are what a URL was signed for.
	Operation string `json:"operation,omitempty"`
	Bucket    string `json:"bucket,omitempty"`
	Key       string `json:"key,omitempty"`
	Version   string `json:"version,omitempty"`
}

// SessionEvent says what became of a session. One that expires has no event.
type SessionEvent string

// The events of a session.
const (
	SignedIn  SessionEvent = "signed-in"
	SignedOut SessionEvent = "signed-out"
	// SignInFailed: someone was not let in. Session and Role are "", and so is User where there is none
	// of that name: people type passwords there, too.
	SignInFailed SessionEvent = "sign-in-failed"
	// TokenMade and TokenRevoked: Session is the token's ID, User its name.
	TokenMade    SessionEvent = "token-made"
	TokenRevoked SessionEvent = "token-revoked"
	// URLSigned: someone may read or change an object by a URL.
	URLSigned SessionEvent = "url-signed"
)

// CheckpointBody is the body of a Checkpoint.
type CheckpointBody struct {
	// Size is the number of the last record before it, Head that record's hash.
	Size int64  `json:"size"`
	Head string `json:"head"`
	// Allowed has the clusters of every policy.
	Allowed map[string][]string `json:"allowed"`
	// Note is the signature where there is a key, a signed note.
	Note string `json:"note,omitempty"`
}

// Record is one link of the chain.
type Record struct {
	Seq   int64           `json:"seq"`
	At    string          `json:"at"`
	Node  string          `json:"node"`
	Kind  Kind            `json:"kind"`
	Actor string          `json:"actor"`
	Body  json.RawMessage `json:"body"`
	Prev  string          `json:"prev"`
	Hash  string          `json:"hash"`
}

// timeLayout is how times are written: in UTC, to the millisecond.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// FormatTime writes a time as records have it.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// Head is the end of a chain.
type Head struct {
	Seq  int64
	Hash string
}

// Next returns the record that follows a head.
func (h Head) Next(e Entry) (Record, error) {
	text, err := encode(e.Body)
	if err != nil {
		return Record{}, fmt.Errorf("encoding an audit record: %w", err)
	}
	r := Record{
		Seq: h.Seq + 1, At: FormatTime(e.At), Node: e.Node, Kind: e.Kind, Actor: e.Actor, Body: text, Prev: h.Hash,
	}
	r.Hash = r.sumWith(text)
	return r, nil
}

// encode writes a body as canonical JSON.
func encode(body any) ([]byte, error) {
	if b, ok := body.(ChangeBody); ok {
		return b.canonical(), nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return Canonical(text)
}

// canonical is what [Canonical] makes of the body's JSON, written at once: every change of the
// catalogue waits for it.
func (b *ChangeBody) canonical() []byte {
	var out bytes.Buffer
	out.Grow(len(b.Action) + len(b.After) + len(b.Before) + len(b.Name) + len(b.Resource) + 64)
	out.WriteString(`{"action":`)
	writeText(&out, asJSON(b.Action))
	writeGiven(&out, "address", b.Address)
	out.WriteString(`,"after":`)
	writeText(&out, asJSON(b.After))
	out.WriteString(`,"before":`)
	writeText(&out, asJSON(b.Before))
	b.writeDiff(&out)
	writeGiven(&out, "how", b.How)
	out.WriteString(`,"name":`)
	writeText(&out, asJSON(b.Name))
	writeGiven(&out, "request", b.Request)
	out.WriteString(`,"resource":`)
	writeText(&out, asJSON(b.Resource))
	writeGiven(&out, "role", b.Role)
	out.WriteByte('}')
	return out.Bytes()
}

// writeGiven writes a member that is left out where it is empty.
func writeGiven(out *bytes.Buffer, name, value string) {
	if value != "" {
		out.WriteString(`,"` + name + `":`)
		writeText(out, asJSON(value))
	}
}

func (b *ChangeBody) writeDiff(out *bytes.Buffer) {
	for i, c := range b.Diff {
		out.WriteString([]string{`,"diff":[`, `,`}[min(i, 1)])
		out.WriteString(`{"field":`)
		writeText(out, asJSON(c.Field))
		out.WriteString(`,"from":`)
		writeText(out, asJSON(c.From))
		out.WriteString(`,"to":`)
		writeText(out, asJSON(c.To))
		out.WriteByte('}')
	}
	if len(b.Diff) > 0 {
		out.WriteByte(']')
	}
}

// Head returns the head that a record is.
func (r *Record) Head() Head { return Head{Seq: r.Seq, Hash: r.Hash} }

// Time returns when the record was made.
func (r *Record) Time() (time.Time, error) { return time.Parse(timeLayout, r.At) }

// sum returns the hash that the record should have.
func (r *Record) sum() (string, error) {
	body, err := Canonical(r.Body)
	if err != nil {
		return "", fmt.Errorf("record %d: %w", r.Seq, err)
	}
	return r.sumWith(body), nil
}

// sumWith is sum of a record whose body is canonical. The members are written in their order,
// since every change waits for this.
func (r *Record) sumWith(body []byte) string {
	var out bytes.Buffer
	out.Grow(2*len(r.Prev) + len(body) + len(r.Actor) + len(r.Node) + 128)
	out.WriteString(r.Prev)
	out.WriteString(`{"actor":`)
	writeText(&out, asJSON(r.Actor))
	out.WriteString(`,"at":`)
	writeText(&out, asJSON(r.At))
	out.WriteString(`,"body":`)
	out.Write(body)
	out.WriteString(`,"kind":`)
	writeText(&out, asJSON(string(r.Kind)))
	out.WriteString(`,"node":`)
	writeText(&out, asJSON(r.Node))
	out.WriteString(`,"seq":`)
	out.WriteString(strconv.FormatInt(r.Seq, 10)) // as RFC 8785 writes them, below 2^53
	out.WriteByte('}')
	sum := sha256.Sum256(out.Bytes())
	return hex.EncodeToString(sum[:])
}

// asJSON returns a text as JSON has it, which is UTF-8.
func asJSON(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// DigestOf stands for clusters that a policy allows, which are sorted.
func DigestOf(clusters []string) string { return Digest([]byte(strings.Join(clusters, " "))) }

// Digest stands for a text: 16 hexadecimal digits of its SHA-256.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
