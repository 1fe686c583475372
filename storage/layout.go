package storage

import (
	"fmt"

	"github.com/fado-project/fado/storage/internal/sums"
	"github.com/fado-project/fado/storage/s3"
)

const (
	ownPart = 16 << 20 // where the source's parts are not known
	// orderedPart is the size of parts that are held in memory until their turn in the
	// content's digest has come.
	orderedPart = 8 << 20
	// orderedFrom is from what size on an object that was uploaded in one piece is copied
	// in parts. Below, one stream that the destination checks by its MD5 costs the least,
	// and a cut costs no more than this.
	orderedFrom = 128 << 20

	partWorkers = 4 // parts of one object at a time
	mostWorkers = 8 // of an object of so many parts that a cut loses few of them
)

// layout says how an object is cut into parts.
type layout struct {
	count    int
	size     int64 // of every part but the last; 0: as the source's parts are
	verified bool  // the parts' ETags must add up to the source's
	// digest of the whole content, computed in order; nil: each part is checked by itself.
	digest *sums.Content
}

// ownLayout cuts an object into parts of our choice. Their number is not that of the
// source's parts, so that an ETag with this number always means the source's layout.
func ownLayout(size int64, sourceParts int) layout {
	part := int64(ownPart)
	count := func() int64 { return (size + part - 1) / part }
	for count() > s3.MaxParts || (count() == int64(sourceParts) && count() > 1) {
		part += s3.MinPart
	}
	return layout{count: int(count()), size: part}
}

// orderedLayout cuts an object into parts that fit the memory lent for them.
func orderedLayout(size int64, d *sums.Content) layout {
	return layout{count: int((size + orderedPart - 1) / orderedPart), size: orderedPart, digest: d}
}

func (l layout) byteRange(part int, size int64) string {
	from := int64(part-1) * l.size
	return fmt.Sprintf("bytes=%d-%d", from, min(from+l.size, size)-1)
}

// bytesOf returns a part's length, where the parts are of our choice.
func (l layout) bytesOf(part int, size int64) int64 {
	return min(l.size, size-int64(part-1)*l.size)
}

// workers is how many parts are on their way at a time. What is on its way when the copy is
// cut has to be sent again: beyond a few, that is to be a small share of the whole.
func (l layout) workers() int {
	return min(l.count, max(partWorkers, min(mostWorkers, l.count/8)))
}
