package storage

import "testing"

// Two copies of one version, one of which is the primary by now and got other tags in place.
func TestCompareCopiesOfOneWithOtherTags(t *testing.T) {
	source := Source{ETag: "0123456789abcdef0123456789abcdef-3", Size: 5, Attributes: "A"}
	src := Object{Key: "k", Size: 5, ETag: "11111111111111111111111111111111-2", Source: source, Attributes: "B", Replica: true}
	dst := Object{Key: "k", Size: 5, ETag: "22222222222222222222222222222222-2", Source: source, Attributes: "A", Replica: true}
	if Compare(src, dst) == Equal {
		t.Error("multipart: equal, though attributes differ")
	}
	src.ETag, dst.ETag = "11111111111111111111111111111111", "11111111111111111111111111111111"
	if Compare(src, dst) == Equal {
		t.Error("one MD5, of an original that was encrypted: equal, though attributes differ")
	}
}
