package stored

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/state"
)

// EncodeRefs gives the text form of references: "policy/gold cluster/c1". Neither part
// of a reference may have a space, nor its kind a slash; no legal name has either.
func EncodeRefs(refs []state.Ref) (string, error) {
	var b strings.Builder
	for i, r := range refs {
		if strings.ContainsAny(string(r.Kind), " /") || r.Kind == "" || strings.Contains(r.Name, " ") {
			return "", fmt.Errorf("reference to %q %q: not a legal name", r.Kind, r.Name)
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(r.Kind) + "/" + r.Name)
	}
	return b.String(), nil
}

// DecodeRefs reads what EncodeRefs wrote.
func DecodeRefs(text string) []state.Ref {
	if text == "" {
		return nil
	}
	refs := make([]state.Ref, 0, strings.Count(text, " ")+1)
	for part := range strings.SplitSeq(text, " ") {
		kind, name, _ := strings.Cut(part, "/")
		refs = append(refs, state.Ref{Kind: catalog.Kind(kind), Name: name})
	}
	return refs
}

// ToMillis gives the stored form of a time, Unix milliseconds: 0 is the zero time.
func ToMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// FromMillis reads what ToMillis wrote.
func FromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// SortCopySums sorts by cluster and state.
func SortCopySums(all []state.CopySum) {
	slices.SortFunc(all, func(a, b state.CopySum) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), cmp.Compare(a.State, b.State))
	})
}

// Plain makes a message fit for every engine: PostgreSQL's text holds neither NUL nor what
// is not UTF-8. Only messages are treated so: nothing depends on them.
func Plain(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\ufffd"), "\ufffd")
}

// Bits of the stored flags of a copy.
const (
	flagPrimary = 1 << iota
	flagMadeBucket
	flagHeldDeletes
	flagFormerPrimary
	flagAnywhere
	flagMoving
	flagStopped
	flagTrusts
)

// Flags gives the stored form of a copy's flags.
func Flags(c state.Copy) (flags int64) {
	for i, set := range [...]bool{c.Primary, c.MadeBucket, c.HeldDeletes, c.FormerPrimary, c.Anywhere, c.Moving, c.Stopped, c.Trusts} { // in the bits' order
		if set {
			flags |= 1 << i
		}
	}
	return flags
}

// SetFlags reads what Flags wrote.
func SetFlags(c *state.Copy, flags int64) {
	c.Primary, c.MadeBucket = flags&flagPrimary != 0, flags&flagMadeBucket != 0
	c.HeldDeletes, c.FormerPrimary = flags&flagHeldDeletes != 0, flags&flagFormerPrimary != 0
	c.Anywhere, c.Moving = flags&flagAnywhere != 0, flags&flagMoving != 0
	c.Stopped, c.Trusts = flags&flagStopped != 0, flags&flagTrusts != 0
}
