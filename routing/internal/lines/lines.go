// Package lines has what was counted for the audit, line by line.
//
// Invariants:
//
//   - What is added up is neither lost nor counted twice.
//   - How many lines come out is bounded, however many buckets were counted.
package lines

import (
	"cmp"
	"slices"
	"strings"
)

// Kind says what was counted.
type Kind uint8

// The kinds.
const (
	Invoked Kind = iota // invocations, by where they ran and what storage they read from
	Refused             // what policies did not allow
	Carried             // objects copied through this instance
)

// A Line is what was counted of one thing.
type Line struct {
	Kind Kind
	// Bucket and Prefix of the rule; Any: of more buckets than are kept apart.
	Bucket, Prefix string
	Any            bool
	Policy         string
	// Allowed are the clusters that the policy allowed then, sorted.
	Allowed []string
	// From is where the bytes are read, To where the function ran, or the copy is. Where this
	// instance was not to carry bytes To is its own cluster.
	From, To string
	// Via is the cluster that this instance was in when it carried bytes.
	Via string
	// By is what refused: routing, or the guard of what is copied and served.
	By           string
	Count, Bytes int64
}

// most is how many lines of a kind keep their buckets: those with most.
const most = 256

// name is what tells lines apart.
type name struct {
	kind                             Kind
	bucket, prefix, policy, from, to string
	by, via, allowed                 string
	any                              bool
}

func (n *Line) name() name {
	return name{n.Kind, n.Bucket, n.Prefix, n.Policy, n.From, n.To, n.By, n.Via, strings.Join(n.Allowed, " "), n.Any}
}

// Sums are lines by what tells them apart.
type Sums map[name]*Line

// Of sums lines up.
func Of(all ...Line) Sums {
	sums := make(Sums)
	for _, line := range all {
		sums.Add(line)
	}
	return sums
}

// Add adds a line up.
func (s Sums) Add(line Line) {
	id := line.name()
	if sum := s[id]; sum != nil {
		sum.Count, sum.Bytes = sum.Count+line.Count, sum.Bytes+line.Bytes
		return
	}
	s[id] = &line
}

// Shorten returns the lines in order: those with most apart by bucket, the others added up by policy.
func (s Sums) Shorten() []Line {
	all := make([]*Line, 0, len(s))
	for _, line := range s {
		all = append(all, line)
	}
	slices.SortFunc(all, func(a, b *Line) int { return cmp.Or(cmp.Compare(b.Count, a.Count), compare(a, b)) })
	short := make(Sums)
	var kept [Carried + 1]int
	for _, line := range all {
		if kept[line.Kind]++; kept[line.Kind] > most {
			line.Bucket, line.Prefix, line.Any = "", "", true
		}
		short.Add(*line)
	}
	lines := make([]Line, 0, len(short))
	for _, line := range short {
		lines = append(lines, *line)
	}
	slices.SortFunc(lines, func(a, b Line) int { return compare(&a, &b) })
	return lines
}

func compare(a, b *Line) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Policy, b.Policy),
		cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.By, b.By), cmp.Compare(a.Via, b.Via), slices.Compare(a.Allowed, b.Allowed))
}
