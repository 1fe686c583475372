package storage

import (
	"github.com/fado-project/fado/storage/internal/sums"
)

// Comparison is the outcome of comparing two objects without reading them.
type Comparison uint8

// The outcomes.
const (
	Different Comparison = iota
	Equal
	Unknown // same size, but neither ETag nor stamp tells: Stat or read to know
)

// Compare tells whether two objects have the same content and, where both were
// stat'ed, the same headers, metadata and tags, without reading them. Either may be
// the copy. ETags of multipart uploads depend on the parts, so that two that differ
// prove nothing; a stamp decides then, which only Stat reads.
func Compare(a, b Object) Comparison {
	if a.Size != b.Size {
		return Different
	}
	content := compareContent(a, b)
	if content == Equal && !sameAttributes(a, b) {
		return Different
	}
	return content
}

// sameAttributes compares headers, metadata and tags as far as they are known: with
// what a stamp says they were at the source, or else with each other.
func sameAttributes(a, b Object) bool {
	aIsCopy := stampMatches(a, b) && a.Source.Attributes != ""
	bIsCopy := stampMatches(b, a) && b.Source.Attributes != ""
	switch {
	case aIsCopy && bIsCopy: // each says it is the other's copy
		return agree(a.Source.Attributes, b.Attributes) && agree(b.Source.Attributes, a.Attributes)
	case aIsCopy:
		return agree(a.Source.Attributes, b.Attributes)
	case bIsCopy:
		return agree(b.Source.Attributes, a.Attributes)
	case a.Source.ETag != "" && a.Source == b.Source:
		was := a.Source.Attributes
		return was == "" || agree(a.Attributes, b.Attributes) || agree(was, a.Attributes) && agree(was, b.Attributes)
	default:
		return agree(a.Attributes, b.Attributes)
	}
}

// agree reports whether two digests of attributes are equal, or one is not known.
func agree(a, b string) bool { return a == "" || b == "" || a == b }

func compareContent(a, b Object) Comparison {
	switch {
	case sums.RealETag(a.ETag) && a.ETag == b.ETag:
		return Equal
	case a.Size == 0:
		return Equal
	case stampMatches(a, b) || stampMatches(b, a):
		return Equal
	case a.Source.ETag != "" && a.Source == b.Source:
		return Equal // two copies of one version
	case sums.IsMD5(a.ETag) && sums.IsMD5(b.ETag):
		return Different
	case a.Source.ETag != "" || b.Source.ETag != "":
		return Different // a stamp that names another version
	default:
		return Unknown
	}
}

// stampMatches reports whether copy is stamped with what src is.
func stampMatches(copy, src Object) bool {
	return copy.Source.ETag != "" && copy.Source.ETag == src.ETag && copy.Source.Size == src.Size
}
