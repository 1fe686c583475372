package storage

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/storage/s3"
)

func TestCompare(t *testing.T) {
	const a, b = "11111111111111111111111111111111", "22222222222222222222222222222222"
	obj := func(size int64, etag string) Object { return Object{Size: size, ETag: etag} }
	stamped := func(o Object, etag string) Object {
		o.Source = Source{ETag: etag, Size: o.Size}
		return o
	}
	with := func(o Object, attrs string) Object { o.Attributes = attrs; return o }
	for i, c := range []struct {
		a, b Object
		want Comparison
	}{
		{obj(1, a), obj(2, a), Different},
		{obj(1, a), obj(1, a), Equal},
		{obj(1, a), obj(1, b), Different},
		{obj(1, a+"-2"), obj(1, a+"-2"), Equal},
		{obj(1, a+"-2"), obj(1, b+"-3"), Unknown}, // the same content in other parts
		{obj(1, a+"-2"), obj(1, b), Unknown},
		{obj(0, a+"-1"), obj(0, b), Equal},
		{obj(1, ""), obj(1, ""), Unknown},
		{obj(1, a+"-2"), stamped(obj(1, b), a+"-2"), Equal},
		{stamped(obj(1, b), a+"-2"), obj(1, a+"-2"), Equal},
		{obj(1, a+"-2"), stamped(obj(1, b), b+"-2"), Different},
		{stamped(obj(1, a), a+"-9"), stamped(obj(1, b), a+"-9"), Equal},
		{with(obj(1, a), "x"), with(obj(1, a), "x"), Equal},
		{with(obj(1, a), "x"), with(obj(1, a), "y"), Different},
		{with(obj(1, a), "x"), obj(1, a), Equal}, // a listing knows no attributes
	} {
		if got := Compare(c.a, c.b); got != c.want {
			t.Errorf("%d: %+v and %+v: got %v, want %v", i, c.a, c.b, got, c.want)
		}
	}
}

// TestCompareStampedAttributes: where a storage shows a header otherwise than it was
// written, the stamp decides, or the copy would be made again for ever.
func TestCompareStampedAttributes(t *testing.T) {
	src := Object{Size: 1, ETag: "e", Attributes: "as written"}
	dst := Object{Size: 1, ETag: "e", Attributes: "as shown", Source: Source{ETag: "e", Size: 1, Attributes: "as written"}}
	if Compare(src, dst) != Equal || Compare(dst, src) != Equal {
		t.Error("the stamp does not decide")
	}
	src.Attributes = "changed"
	if Compare(src, dst) != Different || Compare(dst, src) != Different {
		t.Error("a change at the source is not seen")
	}
}

// TestCompareIsSymmetric, and never says Equal for different sizes.
func TestCompareIsSymmetric(t *testing.T) {
	etags := rapid.SampledFrom([]string{"", "x", "11111111111111111111111111111111", "22222222222222222222222222222222-2", "22222222222222222222222222222222-3"})
	object := rapid.Custom(func(t *rapid.T) Object {
		o := Object{
			Size: rapid.Int64Range(0, 2).Draw(t, "size"), ETag: etags.Draw(t, "etag"),
			Attributes: rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "attributes"),
		}
		if rapid.Bool().Draw(t, "stamped") {
			o.Source = Source{ETag: etags.Draw(t, "source"), Size: o.Size, Attributes: rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "source attributes")}
		}
		return o
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := object.Draw(t, "a"), object.Draw(t, "b")
		if Compare(a, b) != Compare(b, a) {
			t.Fatalf("%v one way, %v the other", Compare(a, b), Compare(b, a))
		}
		if a.Size != b.Size && Compare(a, b) != Different {
			t.Fatal("sizes differ")
		}
	})
}

// TestLayoutCovers: parts of our own choice cover the object exactly, within S3's
// limits, and their number is never that of the source's parts.
func TestLayoutCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 5<<40).Draw(t, "size")
		source := rapid.IntRange(0, s3.MaxParts).Draw(t, "source parts")
		if rapid.Bool().Draw(t, "same count") {
			source = ownLayout(size, 0).count
		}
		l := ownLayout(size, source)
		if l.count > s3.MaxParts || l.count < 1 || (l.count == source && l.count > 1) {
			t.Fatalf("%d parts for %d", l.count, source)
		}
		var end int64
		for _, n := range []int{1, l.count} {
			var from, to int64
			if _, err := fmt.Sscanf(l.byteRange(n, size), "bytes=%d-%d", &from, &to); err != nil {
				t.Fatal(err)
			}
			if from != int64(n-1)*l.size || to < from {
				t.Fatalf("part %d is %d-%d", n, from, to)
			}
			end = to
		}
		if end != size-1 {
			t.Fatalf("ends at %d of %d", end, size)
		}
	})
}
